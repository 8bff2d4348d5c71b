"""What the fuzzer tries: for each target a name, the inputs to begin with, and what is done with one.  Knows no guidance and no limits.

Four groups.  ``texts`` are phrases, layouts and pasted errors; ``parts`` the readers that formats are built from, each by itself;
``memory`` the formats, over bytes and without a disk; ``files`` everything that is done with a file, on a disk.  One execution is
one whole call on one new input.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "attacks")]

from reading import Seed, read_whole, seeds  # noqa: E402

from gatewise.containers import _asked, _guarded  # noqa: E402
from gatewise.containers._flatbuffer import Flatbuffer  # noqa: E402
from gatewise.containers._hdf5 import Bytes, Group  # noqa: E402
from gatewise.containers._hdf5_messages import SIGNATURE, NotPlain  # noqa: E402
from gatewise.containers._hdf5_plain import Plain  # noqa: E402
from gatewise.containers._keras_config import lambdas, model_of, parse  # noqa: E402
from gatewise.containers._leveldb_table import Table, is_table  # noqa: E402
from gatewise.containers._msgpack import Reader  # noqa: E402
from gatewise.containers._pickle import load  # noqa: E402
from gatewise.containers._protobuf import DOUBLE, FLOAT, INT, PACKED, SINT, TEXT, Message  # noqa: E402
from gatewise.containers._snappy import decompressed  # noqa: E402
from gatewise.containers._tflite_schema import MODEL  # noqa: E402
from gatewise.containers._zip import ZipFile  # noqa: E402
from gatewise.containers._zstd import _frames  # noqa: E402
from gatewise.containers.hdf5_tree import tensors_of  # noqa: E402
from gatewise.containers.numpy_files import header_of  # noqa: E402
from gatewise.cursor import DEFAULT_LIMITS, Cursor  # noqa: E402
from gatewise.errors import GatewiseError  # noqa: E402
from gatewise.source import Source  # noqa: E402
from gatewise.tar import members as tar_members  # noqa: E402
from gatewise.tensors import StoredTensor, Strided  # noqa: E402

_PLAIN_LSTM = "torch/2.13.0/lstm_bi2.state.pt"


# What is tried: a name, the inputs to begin with, and what is done with one.


class Target:
    def __init__(self, name: str, corpus: Iterable[bytes], run: Callable[[bytes], None]):
        self.name, self.run = name, run
        self.corpus = list(corpus)

    @property
    def group(self) -> str:
        """What executions are counted by."""
        return "/".join(self.name.split("/")[:2])


def file_targets(folder: Path) -> Iterator[Target]:
    """One for each folder and suffix of the fixtures: the damaged file, opened and looked at all over."""
    kinds: dict[tuple[str, str], list[Seed]] = {}
    for seed in seeds():
        kinds.setdefault((seed.file.relative_to(ROOT / "tests/fixtures").parts[0], seed.file.suffix), []).append(seed)
    for (framework, suffix), group in kinds.items():
        for number, seed in enumerate(group):
            place = seed.place(folder / f"{framework}{suffix}{number}")
            corpus = [each.file.read_bytes() for each in [seed, *group[:20]]]
            yield Target(f"files/{framework}/{seed.file.name}", corpus, _opener(place))


def _opener(place: Seed) -> Callable[[bytes], None]:
    fresh = place.file.with_name("~fresh")

    def run(data: bytes) -> None:
        fresh.write_bytes(data)
        fresh.replace(place.file)  # a new file each time: an old one may still be mapped
        read_whole(place.opened)

    return run


def memory_targets() -> Iterator[Target]:
    """The formats alone, without a disk and without what is above them; many times as many runs as with a disk."""
    kinds: dict[str, list[bytes]] = {".h": [_c_header()]}
    for seed in seeds():
        kinds.setdefault(seed.file.suffix, []).append(seed.file.read_bytes())
    for suffix, corpus in kinds.items():
        yield Target(f"memory/{suffix}", sorted(corpus, key=len)[:60], _containers)


def _c_header() -> bytes:
    import gatewise as gw

    with tempfile.TemporaryDirectory() as folder:
        gw.convert(ROOT / "tests/fixtures" / _PLAIN_LSTM, Path(folder, "model.h"), "c.LSTM")
        return Path(folder, "model.h").read_bytes()


def _source(data: bytes) -> Source:
    """The bytes as a file that lies beside nothing."""
    nowhere = Source(ROOT / "tests/symptoms")
    return Source.of(memoryview(data), Path("model"), nowhere.folder.below("model"), DEFAULT_LIMITS)


def _containers(data: bytes) -> None:
    source = _source(data)
    for known in _asked(source):
        if known.claims(source):
            tensors = _guarded(known, source, known.read)
            for tensor in list(tensors.values())[:20]:
                if tensor.nbytes < 1 << 16:
                    tensor.array()
            return


# The readers that formats are built from, each by itself: the same bytes reach deeper, and many more a second.


def part_targets() -> Iterator[Target]:
    files = [seed.file.read_bytes() for seed in seeds()]
    members = list(_members(files))
    pickles = [data[:4096] for data in [*files, *members] if data[:2] == b"\x80\x02"]
    texts = [data for data in [*files, *members] if data[:1] == b"{" and len(data) < 1 << 14]
    packed = [data for data in files if data[:1] in b"\x80\x81\x82\x83\x84\x85\x86\xde" and data[:2] != b"\x80\x02"]
    stored = [_as_zip({"a": b"1", "b/c": b"22" * 40}, kind) for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    yield Target("parts/pickle", dict.fromkeys(pickles), _machine)
    yield Target("parts/zip", [*stored, *(data for data in files if data[:4] == b"PK\3\4" and len(data) < 4096)], _zip)
    yield Target("parts/tar", [_as_tar({"a": b"1", "b/c": b"22" * 40})], _tar)
    yield Target("parts/npy", [data[:300] for data in members if data[:6] == b"\x93NUMPY"], _npy)
    yield Target("parts/protobuf", [data[:2048] for data in files if data[:1] == b"\x08"], _protobuf)
    yield Target("parts/flatbuffer", [data for data in files if data[4:8] == b"TFL3" and len(data) < 8192], _flatbuffer)
    yield Target("parts/msgpack", [data[:2048] for data in packed], _msgpack)
    yield Target("parts/snappy", [b"\x0a\x10hello\x15\x05", b"\x40\x00a\xfe\x01\x00"], _snappy)
    yield Target("parts/zstd", list(_frames_in(files)), _zstd)
    yield Target("parts/hdf5", [*_hdf5_in([*files, *members]), *_made_hdf5()], _hdf5)
    yield Target("parts/table", [data for data in files if is_table(_source(data)) and len(data) < 4096], _table)
    yield Target("parts/keras config", texts, _keras_config)


def _members(files: Iterable[bytes]) -> Iterator[bytes]:
    for data in files:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (archive.read(name) for name in archive.namelist())


def _as_zip(contents: dict[str, bytes], kind: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    return made.getvalue()


def _as_tar(contents: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()[: 5 * 512]


def _frames_in(files: Iterable[bytes]) -> Iterator[bytes]:
    for data in files:
        if (at := data.find(b"\x28\xb5\x2f\xfd")) >= 0:
            yield data[at : at + 2048]


def _hdf5_in(files: Iterable[bytes]) -> list[bytes]:
    return sorted((data for data in files if data[:8] == SIGNATURE and len(data) < 1 << 15), key=len)[:20]


def _made_hdf5() -> Iterator[bytes]:
    """What no fixture has: headers of the second version, links in the header, compact elements, chunks."""
    import h5py

    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    for version in ("earliest", "v108", "latest"):
        with h5py.File("x.h5", "w", driver="core", backing_store=False, libver=(version, "latest")) as file:
            file["vars/0"], file["vars/1"], file["soft"] = [1.0, 2.0], True, h5py.SoftLink("/vars")
            h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3,)), compact)
            if version == "earliest":
                file.create_dataset(
                    "packed", data=[[1.0, 2.0, 3.0]] * 5, chunks=(2, 2), compression="gzip", shuffle=True
                )
                file.create_dataset("sum", data=[1.0] * 9, chunks=(4,), compression="gzip", fletcher32=True)
                file.create_dataset("lzf", data=[1.0] * 90, chunks=(40,), compression="lzf")
            file.attrs["layer_names"], file.attrs["name"] = ["a", "b"], b"fixed"
            file.flush()
            yield file.id.get_file_image()


def _machine(data: bytes) -> None:
    load(Cursor(data, path="model", where="pickle"), DEFAULT_LIMITS)


def _zip(data: bytes) -> None:
    archive = ZipFile(_source(data))
    for name in list(archive)[:8]:
        archive.read(name, check=True)


def _tar(data: bytes) -> None:
    tar_members(memoryview(data), Path("model"), DEFAULT_LIMITS)


def _npy(data: bytes) -> None:
    header = header_of(Cursor(data, path="model", where="npy"), _source(data))
    _said(header.dtype and header.strides)


def _protobuf(data: bytes) -> None:
    _ANYTHING.read(Cursor(data, path="model", where="protobuf"), DEFAULT_LIMITS)


_ANYTHING = Message({})  # every kind of field, and itself
_ANYTHING.fill({1: ("a", INT), 2: ("b", TEXT), 3: ("c", [INT]), 4: ("d", [FLOAT]), 5: ("e", [_ANYTHING]), 6: ("f", SINT), 7: ("g", _ANYTHING),
                8: ("h", PACKED), 9: ("i", DOUBLE), 10: ("j", [TEXT]), 11: ("k", _ANYTHING), 12: ("l", [_ANYTHING]), 14: ("m", [_ANYTHING])})  # fmt: skip


def _flatbuffer(data: bytes) -> None:
    Flatbuffer(_source(data), "flatbuffer").root(MODEL)


def _msgpack(data: bytes) -> None:
    Reader(Cursor(data, path="model", where="msgpack"), DEFAULT_LIMITS).value()


def _snappy(data: bytes) -> None:
    decompressed(memoryview(data), DEFAULT_LIMITS, path="model", where="snappy")


def _zstd(data: bytes) -> None:
    with contextlib.suppress(
        IndexError, ValueError, ArithmeticError, LookupError
    ):  # decompress() makes refusals of these
        b"".join(_frames(data, 1 << 20, "zstd"))  # what is written here, even where a library is installed


def _hdf5(data: bytes) -> None:
    """gatewise's own reader alone: what it leaves to libhdf5 is not looked at."""
    with contextlib.suppress(NotPlain):
        file = Bytes(_source(data), memoryview(data))
        for tensor in file._read(_tree_of, False, Plain)[0]:
            if isinstance(tensor.data, Strided):
                tensor.array()
            elif tensor.nbytes < 1 << 16:
                file._read(tensor.data._elements, False, Plain)  # type: ignore[attr-defined]


def _tree_of(root: Group) -> tuple[list[StoredTensor], list[str]]:
    for name in ("layer_names", "name"):
        with contextlib.suppress(GatewiseError):
            root.texts(name)
    return tensors_of(root)


def _table(data: bytes) -> None:
    for _ in Table(_source(data), "table").entries(1 << 20):
        pass


def _keras_config(data: bytes) -> None:
    model = model_of(parse(data, DEFAULT_LIMITS, "config"), DEFAULT_LIMITS)
    if model is not None:
        _said([list(lambdas(model)), *((layer.inner, layer.cells) for layer in model.layers)])


def text_targets() -> Iterator[Target]:
    """Phrases, users' layouts, pasted texts; the bytes are read as UTF-8 with replacements."""
    from gatewise.layouts import layouts
    from gatewise.symptoms import explain, symptoms

    phrases = [part.phrase.encode() for layout in layouts() for part in layout.parts]
    yield Target("texts/phrase", dict.fromkeys(phrases), lambda data: _phrase(data.decode("utf-8", "replace")))
    yield Target("texts/layout", [_TOML.encode()], lambda data: _layout(data.decode("utf-8", "replace")))
    pasted = (ROOT / "tests/symptoms/cases.txt").read_text(encoding="utf-8").split("@@@")
    texts = [text.encode() for text in [*pasted, *(row.title for row in symptoms())]]
    yield Target("texts/explain", texts, lambda data: _said(explain(data.decode("utf-8", "replace"))))


def _said(_answer: object) -> None:
    """The answer does not matter, only that there is one."""


def _phrase(text: str) -> None:
    import numpy as np

    from gatewise.layouts._phrase import phrase

    parsed = phrase(text)
    sizes = {"unit": 2, "feature": 3, "hidden": 2, "direction": 2, "gate": 4, "one": 1, "state": 2, "layer": 1}
    for block in parsed.blocks or (parsed,):
        shape = block.shape(sizes)
        if len(shape) < 20 and int(np.prod(shape, dtype=object)) < 1 << 20:
            for role in range(block.roles):
                block.segments(role)
    phrase.cache_clear()


def _layout(text: str) -> None:
    import numpy as np

    from gatewise.layouts import recognise
    from gatewise.layouts._user import layout_of_text
    from gatewise.tensors import StoredTensor, Tensors

    layout = layout_of_text(text, "fuzzed.toml")
    shapes = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,), "bias2": (16,)}
    stored = [StoredTensor(n, "float32", s, lambda s=s: np.zeros(s, "f4")) for n, s in shapes.items()]  # type: ignore[misc]
    recognise(Tensors(stored), (layout,), chosen=True)


_TOML = """
name = "mine.LSTM"
cell = "lstm"
gates = "ofgi"
forget_bias = 1.0
source = "me"
recurrent_activation = "hard_sigmoid(0.2)"
[spelled]
g = "c"
[[parts]]
name = "kernel[:0]"
role = "kernel"
phrase = "feature (gate unit)"
[[parts]]
name = ["recurrent_kernel[:0]", "u{layer}{_reverse}"]
role = ["recurrent_kernel"]
phrase = "hidden (gate unit)"
[[parts]]
name = "bias"
role = ["bias", "recurrent_bias"]
phrase = "(gate unit)"
gates = "ofgi"
optional = true
"""


GROUPS: dict[str, float] = {"texts": 0.15, "parts": 0.3, "memory": 0.35, "files": 0.2}  # shares of the processor's time


def all_targets(folder: Path) -> list[Target]:
    return [*text_targets(), *part_targets(), *memory_targets(), *file_targets(folder)]
