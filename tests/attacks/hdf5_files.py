"""HDF5 files with loops, links to elsewhere, elements elsewhere, filters that would be loaded, floods and lies.

Sources: the HDF5 File Format Specification; keras CVE-2025-12058 and -12060 (files named by a model), CVE-2026-1669 (external
storage reads /etc), CVE-2026-0897 (shapes that eat the machine), CVE-2025-9905 (Lambda layers in .h5).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bytes_of import zipped
from museum import Attack

from gatewise.errors import BrokenFile, ContainerError

Build = Callable[[Any, Any], None]  # the file, the group of one layer's weights


def _legacy(build: Build, config: Any = None, names: list[str] | None = None) -> Callable[[Path], Path]:
    """A Keras 2 file with one LSTM; ``build`` adds to it before it is closed."""

    def make(folder: Path) -> Path:
        import h5py
        import numpy as np

        path = folder / "model.h5"
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = "2.2.4", "tensorflow"
            if config is not None:
                file.attrs["model_config"] = json.dumps(config) if not isinstance(config, str) else config
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = np.array([b"lstm"])
            layer = weights.create_group("lstm")
            layer.attrs["weight_names"] = np.array([n.encode() for n in names or ["w:0"]])
            build(file, layer)
        return path

    return make


def _vds(_file: Any, layer: Any) -> None:
    import h5py

    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    layer.create_virtual_dataset("w:0", layout)


def _external_storage(_file: Any, layer: Any) -> None:
    layer.create_dataset("w:0", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def _external_link(file: Any, layer: Any) -> None:
    import h5py

    layer["w:0"] = h5py.ExternalLink("/etc/passwd", "/x")
    del file


def _soft(target: str) -> Build:
    def build(_file: Any, layer: Any) -> None:
        import h5py

        layer["w:0"] = h5py.SoftLink(target)

    return build


def _loop(file: Any, layer: Any) -> None:
    layer["w:0"] = [1.0, 2.0]
    layer["again"] = layer
    file["model_weights"]["again"] = file["/"]


def _weights_are_the_group(_file: Any, layer: Any) -> None:
    layer["w:0"] = layer


def _never_written(_file: Any, layer: Any) -> None:
    layer.create_dataset("w:0", (1 << 20, 1 << 12), "f4", chunks=(1024, 1024))


def _huge_shape(_file: Any, layer: Any) -> None:
    layer.create_dataset("w:0", (1 << 40, 1 << 20), "f8", chunks=(1, 1024))


def _bomb(_file: Any, layer: Any) -> None:
    layer.create_dataset(
        "w:0", (256 << 18,), "f4", chunks=(1 << 22,), compression="gzip", compression_opts=1, fillvalue=0
    )
    layer["w:0"][: 1 << 22] = 0


def _huge_chunk(_file: Any, layer: Any) -> None:
    layer.create_dataset("w:0", (4,), "f4", chunks=(1 << 28,), maxshape=(None,), compression="gzip")


def _strange_filter(_file: Any, layer: Any) -> None:
    import h5py

    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((4,))
    made.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(layer.id, b"w:0", h5py.h5t.IEEE_F32LE, space, made)


def _attributes(_file: Any, layer: Any) -> None:
    layer["w:0"] = [1.0]
    for number in range(3_000):
        layer.attrs[f"weight_names{number}"] = b"x" * 100


def _many(_file: Any, layer: Any) -> None:
    for number in range(3_000):
        layer.create_group(f"g{number}")
    layer["w:0"] = [1.0]


def _deep(_file: Any, layer: Any) -> None:
    here = layer
    for _ in range(600):
        here = here.create_group("g")
    layer["w:0"] = [1.0]


def _of(**how: Any) -> Build:
    def build(_file: Any, layer: Any) -> None:
        layer.create_dataset("w:0", **how)

    return build


def _objects(_file: Any, layer: Any) -> None:
    import h5py

    layer.create_dataset("w:0", (2,), h5py.special_dtype(ref=h5py.Reference))


def _text(_file: Any, layer: Any) -> None:
    import h5py

    layer.create_dataset("w:0", (2,), h5py.string_dtype())


def _good(_file: Any, layer: Any) -> None:
    layer["w:0"] = [1.0, 2.0]


def _plain(build: Callable[[Any], None]) -> Callable[[Path], Path]:
    """A file that no framework wrote."""

    def make(folder: Path) -> Path:
        import h5py

        with h5py.File(folder / "plain.h5", "w") as file:
            build(file)
        return folder / "plain.h5"

    return make


def _plain_loop(file: Any) -> None:
    group = file.create_group("a")
    group["w"] = [1.0]
    group["again"] = file["/"]
    group["self"] = group


def _plain_diamond(file: Any) -> None:
    """Thirty levels, each of which holds the next twice: 2^30 paths."""
    here = file.create_group("bottom")
    here["w"] = [1.0]
    for level in range(30):
        above = file.create_group(f"level{level}")
        above["left"], above["right"] = here, here
        here = above


def _plain_external(file: Any) -> None:
    import h5py

    file["w"] = h5py.ExternalLink("/etc/passwd", "/x")
    file["s"] = h5py.SoftLink("/s")
    file["v"] = [1.0]


def _many_axes(folder: Path) -> Path:
    """A virtual dataset that says to select from 6,142 axes: libhdf5 2.0 writes so many zeros past the end of its stack.  Its
    group is in dense storage, which is left to libhdf5."""
    import h5py

    path = folder / "axes.h5"
    with h5py.File(path, "w", libver="v110") as file:
        for number in range(20):
            file[f"w{number}"] = [1.0]
        layout = h5py.VirtualLayout((3,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
        file.create_virtual_dataset("virtual", layout)
    data = bytearray(path.read_bytes())
    behind = data.index(b"other.h5\0x\0") + 11  # the names: what is selected there, which is all, and what here
    axes = data.index((2).to_bytes(4, "little"), behind) + 16
    data[axes : axes + 4] = (6142).to_bytes(4, "little")
    path.write_bytes(data)
    return path


def _keras_zip(build: Callable[[Any], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        inner = _plain(build)(folder)
        data = inner.read_bytes()
        inner.unlink()
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
        path = folder / "model.keras"
        path.write_bytes(zipped({"config.json": json.dumps(config).encode(), "metadata.json": b'{"keras_version": "3.5.0"}',
                                 "model.weights.h5": data}))  # fmt: skip
        return path

    return make


def _vars(how: Callable[[Any], None]) -> Callable[[Any], None]:
    def build(file: Any) -> None:
        how(file.create_group("layers/lstm/cell/vars"))

    return build


def _vars_external(group: Any) -> None:
    import h5py

    group["0"] = h5py.ExternalLink("/etc/passwd", "/x")


def _vars_storage(group: Any) -> None:
    group.create_dataset("0", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def _vars_huge(group: Any) -> None:
    group.create_dataset("0", (1 << 40, 1 << 20), "f8", chunks=(1, 1024))


LEGACY = {
    "a virtual dataset of /etc/passwd": (_vds, BrokenFile, "virtual dataset"),
    "elements in /etc/passwd (CVE-2026-1669)": (_external_storage, BrokenFile, "another file"),
    "a link to another file": (_external_link, BrokenFile, "a link to another file"),
    "a link to itself": (_soft("w:0"), BrokenFile, "soft link"),
    "a link to nothing": (_soft("/nothing"), BrokenFile, "soft link"),
    "a link to the root": (_soft("/"), BrokenFile, "soft link"),
    "a group where a tensor belongs": (_weights_are_the_group, ContainerError, ""),
    "a group that holds itself": (_loop, (None, ContainerError), ""),
    "sixteen gigabytes that were never written": (_never_written, ContainerError, ""),
    "a shape of 2^63 bytes (CVE-2026-0897)": (_huge_shape, ContainerError, ""),
    "a compressed bomb": (_bomb, ContainerError, ""),
    "a chunk of a gigabyte for four numbers": (_huge_chunk, (None, ContainerError), ""),
    "a filter that would be loaded": (_strange_filter, BrokenFile, "filter"),
    "a flood of attributes": (_attributes, (None, ContainerError), ""),
    "a flood of groups": (_many, (None, ContainerError), ""),
    "groups in groups, six hundred deep": (_deep, (None, ContainerError), ""),
    "references": (_objects, (None, ContainerError), ""),
    "texts": (_text, (None, ContainerError), ""),
    "thirty-two axes": (_of(shape=(1,) * 32, dtype="f4"), (None, ContainerError), ""),
    "no axes": (_of(data=1.0), (None, ContainerError), ""),
    "a compact tensor": (_of(data=[1.0] * 4, dtype="f2"), (None, ContainerError), ""),
    "elements of big-endian integers": (_of(data=[1] * 4, dtype=">i8"), (None, ContainerError), ""),
}
NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "",
    "/",
    ".",
    "..",
    "w:0/../../..",
    "a/" * 2000 + "w",
    "\x1b[2J",
    "w:0\0",
    "é" * 5000,
    "%s%n",
)
PLAIN = {
    "groups that hold each other": (_plain_loop, (None, ContainerError)),
    "a billion paths": (_plain_diamond, (None, ContainerError)),
    "links to elsewhere": (_plain_external, (None, ContainerError)),
}
ATTACKS = (
    *(Attack(f"{what}: nothing else is read", _legacy(build), expected, says) for what, (build, expected, says) in LEGACY.items()),
    *(
        Attack(f"a weight called {shown[:30]!r} is looked for in its group alone", _legacy(_good, names=[shown]), (None, ContainerError))
        for shown in NAMES
        if "\0" not in shown
    ),
    *(Attack(f"{what} in a file of no framework", _plain(build), expected) for what, (build, expected) in PLAIN.items()),
    *(
        Attack(f"{what} in a .keras file: nothing else is read", _keras_zip(_vars(build)), ContainerError)
        for what, build in {"a link to another file": _vars_external, "elements in /etc/passwd": _vars_storage, "a shape of 2^63 bytes": _vars_huge}.items()
    ),
    Attack("a virtual dataset that overflows libhdf5's stack is refused", _many_axes, BrokenFile, "virtual dataset"),
    Attack("a .keras file whose weights are no HDF5 is refused", zipped({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b"x" * 100}), ContainerError),
    Attack("a signature and nothing else is refused", b"\x89HDF\r\n\x1a\n", ContainerError),
    Attack("a signature and a megabyte of ones is refused", b"\x89HDF\r\n\x1a\n" + b"\xff" * (1 << 20), ContainerError),
    Attack("a signature and a megabyte of zeros is refused", b"\x89HDF\r\n\x1a\n" + bytes(1 << 20), ContainerError),
)  # fmt: skip
