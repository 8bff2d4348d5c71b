"""Light on its feet: what ``inspect`` imports, how much of a large file it reads, how long it takes to start.

All of it through the real command line, in processes of their own.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from clock import calls_of, seconds_of_children
from costs import ENVIRONMENT, PROBE, cost_of, linux, ran
from filemakers import npz, safetensors, state_dict_pickle, torch_arrays, torch_legacy, torch_zip
from test_architecture import FRAMEWORKS
from together import rarely

HEAVY = FRAMEWORKS | {"numpy", "h5py", "ml_dtypes"}
GIGABYTE = 1 << 30


# What is imported.


def converted(path: Path, arrays: Any) -> Path:
    """What a path's suffix names, which gatewise writes of a torch zip."""
    import gatewise as gw

    gw.convert(torch_zip(path.with_name("source.pt"), arrays), path)
    return path


def keras_weights(path: Path, arrays: Any) -> Path:
    return converted(path.with_name("model.weights.h5"), arrays)


def keras_zip(path: Path, arrays: Any) -> Path:
    return converted(path.with_name("model.keras"), arrays)


MAKERS = {
    "a torch zip": torch_zip,
    "a torch stream": torch_legacy,
    "safetensors": safetensors,
    "npz": npz,
    "Keras weights": keras_weights,
    "a Keras model": keras_zip,
}


@linux
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    "options", rarely([[], ["--json"], ["--tensors"]], 3), ids=["as text", "as JSON", "with tensors"]
)
def test_inspect_imports_no_numpy_and_no_framework(tmp_path: Path, make: Any, options: list[str]) -> None:
    path = make(tmp_path / "model", torch_arrays("lstm", 3, 4, 2, 2, prefix="encoder.lstm."))
    modules = {name.partition(".")[0] for name in cost_of("inspect", path, *options)["modules"]}
    assert modules & HEAVY == set()


@linux
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_converting_to_keras_and_proving_it_imports_numpy_and_no_h5py(tmp_path: Path, suffix: str) -> None:
    """What was written is read back for the proof, which the last line tells of."""
    path = torch_zip(tmp_path / "model.pt", torch_arrays("lstm", 3, 4, 2, 2, prefix="encoder.lstm."))
    modules = {name.partition(".")[0] for name in cost_of("convert", path, "-o", tmp_path / f"x{suffix}")["modules"]}
    assert modules & HEAVY == {"numpy"}


@linux
def test_the_probe_sees_numpy_where_gates_are_shown(tmp_path: Path) -> None:
    """The twin: statistics want the numbers."""
    path = npz(tmp_path / "model.npz", torch_arrays())
    assert "numpy" in cost_of("inspect", path, "--gates")["modules"]


# How much is read.


def sparse_torch_zip(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """What torch.save writes, with holes for numbers: gigabytes that take no room.  Zip64 where a size wants it."""
    described = {name: ("float32", shape) for name, shape in shapes.items()}
    members: list[tuple[str, bytes | int]] = [
        ("archive/data.pkl", state_dict_pickle(described)),
        ("archive/version", b"3\n"),
    ]
    for index, shape in enumerate(shapes.values()):
        count = 4
        for length in shape:
            count *= length
        members.append((f"archive/data/{index}", count))
    directory = b""
    with open(path, "wb") as file:
        for name, content in members:
            at, size = file.tell(), content if isinstance(content, int) else len(content)
            crc = 0 if isinstance(content, int) else zlib.crc32(content)  # torch itself writes no sums when told so
            padding = -(at + 30 + len(name) + 4) % 64
            extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
            file.write(
                struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0x800, 0, 0, 0, crc, size, size, len(name), len(extra))
            )
            file.write(name.encode() + extra)
            if isinstance(content, int):
                file.seek(size, os.SEEK_CUR)
            else:
                file.write(content)
            directory += struct.pack(
                "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0x800, 0, 0, 0, crc, size, size, len(name), 0, 0, 0, 0, 0, at
            ) + name.encode()  # fmt: skip
        start = file.tell()
        file.write(directory)
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(directory), start, 0))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of more than two gigabytes, its recurrent layer 1.1 of them."""
    units = 4096
    lstm = {}
    for layer in range(2):
        for name, shape in (("weight_ih", (4 * units, units)), ("weight_hh", (4 * units, units)), ("bias_ih", (4 * units,)),
                            ("bias_hh", (4 * units,))):  # fmt: skip
            lstm[f"encoder.lstm.{name}_l{layer}"] = shape
    folder = tmp_path_factory.mktemp("large")
    path = sparse_torch_zip(folder / "model.pt", {"embed.weight": (400_000, 1024), **lstm})
    if path.stat().st_blocks * 512 > GIGABYTE // 4:
        path.unlink()
        pytest.skip("this file system has no holes: a file of 2 GB would really take 2 GB")
    return path


@linux
def test_inspect_of_two_gigabytes_reads_under_one_megabyte(large: Path, tmp_path: Path) -> None:
    assert 2 * GIGABYTE < large.stat().st_size < 4 * GIGABYTE
    small = cost_of("inspect", torch_zip(tmp_path / "small.pt", torch_arrays()), "--tensors")
    cost = cost_of("inspect", large, "--tensors")
    read, touched, peak = (cost[key] - small[key] for key in ("rchar", "mapped", "peak"))
    # The process of a file of 2 kB is the measure: what 2 GB cost more, by read() and by touching pages together.
    assert read + touched < 1_000_000, (read, touched)
    assert peak < 4_000_000
    assert cost["peak"] < 64_000_000


@linux
def test_the_measure_sees_a_file_that_is_read(large: Path) -> None:
    """The twin: touching a hundred megabytes of the mapping shows."""
    touch = PROBE.replace(
        "code = main(sys.argv[1:])",
        "import mmap; file = open(sys.argv[1], 'rb'); data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "code = sum(data[at] for at in range(0, 100 << 20, 4096))",
    )
    assert ran(large, probe=touch)["mapped"] > 90_000_000


def brought_in(path: Path) -> int:
    """Bytes of a file that the system holds in memory: whoever reads it brings them in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_PRIVATE) as data,
    ):
        pages = -(-len(data) // mmap.PAGESIZE)
        told = (ctypes.c_ubyte * pages)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(data))
        assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(data)), told) == 0
        return sum(page & 1 for page in told) * mmap.PAGESIZE


@linux
def test_a_file_that_is_not_in_memory_is_brought_in_by_its_headers_alone(tmp_path: Path) -> None:
    """The system reads on from where a mapped file is touched, on some disks for eight megabytes."""
    path = torch_zip(tmp_path / "model.pt", torch_arrays("lstm", 512, 512, 2, 2))
    assert path.stat().st_size > 40_000_000
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if brought_in(path) > 1_000_000:
            pytest.skip("this file system keeps its files in memory")
        cost_of("inspect", path, "--tensors")
        assert brought_in(path) < 1_000_000
        assert len(os.pread(file.fileno(), 10_000_000, 20_000_000)) == 10_000_000
    assert brought_in(path) >= 10_000_000  # the measure sees what is read


def test_the_large_file_is_read_as_what_it_is(large: Path) -> None:
    import gatewise as gw

    (layer,) = gw.open(large).layers
    assert (layer.name, layer.spec.hidden_size, layer.num_layers) == ("encoder.lstm", 4096, 2)
    assert layer[1, "forward"].kernel["o"].shape == (4096, 4096)


@pytest.mark.framework("torch")
def test_torch_agrees_that_the_large_file_is_one(tmp_path: Path) -> None:
    import torch

    small = sparse_torch_zip(tmp_path / "small.pt", {"rnn.weight_ih_l0": (16, 4), "rnn.weight_hh_l0": (16, 4)})
    state = torch.load(small, weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "rnn.weight_ih_l0": (16, 4), "rnn.weight_hh_l0": (16, 4)
    }  # fmt: skip


# How long it takes.


def _seconds(environment: Mapping[str, str], *words: str | Path) -> float:
    command = [sys.executable, *words]
    return seconds_of_children(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=True))


# The least that lists a checkpoint: the standard library's zip reader and its unpickler, told what torch's calls mean.
LISTER = """
import io, pickle, sys, zipfile
class Bare(pickle.Unpickler):
    def find_class(self, module, name):
        if name == "OrderedDict":
            from collections import OrderedDict
            return OrderedDict
        return (lambda storage, offset, size, *rest: (storage, size)) if name.startswith("_rebuild") else name
    def persistent_load(self, id):
        return id
archive = zipfile.ZipFile(sys.argv[1])
(member,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
for name, (storage, size) in Bare(io.BytesIO(archive.read(member))).load().items():
    print(name, storage[1], size)
"""
INSPECT = "import sys; from gatewise.__main__ import main; sys.exit(main())"  # as the console script calls it


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty LSTMs in a state dict of two gigabytes."""
    names = (("weight_ih", (4096, 1024)), ("weight_hh", (4096, 1024)), ("bias_ih", (4096,)), ("bias_hh", (4096,)))
    shapes = {f"rnn{number:02}.{name}_l0": shape for number in range(60) for name, shape in names}
    return sparse_torch_zip(tmp_path_factory.mktemp("many") / "model.pt", shapes)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an installed gatewise: compiled once."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}


def test_inspect_takes_little_more_than_the_bare_standard_library_takes_to_list_the_tensors(
    many: Path, installed: dict[str, str]
) -> None:
    """Of runs that take turns the shortest: what else the machine does lengthens a run, and nothing shortens one.  An idle
    machine measures 1.4 times, a busy one more; before 3.11 Python took longer for its own code than the lister's C does."""
    ours, bare = ("-c", INSPECT, "inspect", many), ("-c", LISTER, many)
    for words in (bare, ours):
        _seconds(installed, *words)
    mine, theirs = zip(*((_seconds(installed, *ours), _seconds(installed, *bare)) for _ in range(6)), strict=True)
    ratio = min(mine) / min(theirs)
    assert ratio <= (2 if sys.version_info >= (3, 11) else 2.4), f"{ratio:.2f} times"


@linux
def test_inspect_of_two_gigabytes_takes_less_than_25_megabytes(many: Path, installed: dict[str, str]) -> None:
    code = INSPECT.replace("sys.exit(main())", "code = main()")
    code += "\nprint(code, *(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    ran = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(many)], capture_output=True, text=True, env=installed, check=True
    )
    returned, kilobytes = map(int, ran.stdout.splitlines()[-1].split())
    assert returned == 0
    assert kilobytes <= 25_000


# What Python's own start, or anybody's regular expression, imports anyway is not ours to save.
COSTLY = frozenset(("argparse", "ast", "dataclasses", "gettext", "inspect", "json", "locale", "pathlib", "pkgutil",
                    "shutil", "tempfile", "threading", "tokenize", "typing", "unicodedata", "urllib"))  # fmt: skip


@linux
@pytest.mark.parametrize(
    "make",
    [torch_zip, torch_legacy, safetensors, keras_weights],
    ids=["a torch zip", "a torch stream", "safetensors", "Keras weights"],
)
def test_inspect_imports_nothing_of_the_standard_library_that_costs_as_much_as_opening(
    tmp_path: Path, make: Any
) -> None:
    path = make(tmp_path / "model", torch_arrays("lstm", 3, 4, 2, 2, prefix="encoder.lstm."))
    bare = subprocess.run(
        [sys.executable, "-c", "import json, re, sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    own = {"json"} if make in (safetensors, keras_weights) else set()  # whose header, or configuration, is JSON
    assert set(cost_of("inspect", path)["imported"]) & COSTLY - set(bare.stdout.split()) - own == set()


def test_ten_times_the_tensors_take_ten_times_as_long(tmp_path: Path) -> None:
    """In calls of functions, which are as many on a busy machine as on an idle one."""
    import gatewise as gw

    def calls(layers: int) -> int:
        shapes = {f"rnn{at}.{name}_l0": (8, 2) for at in range(layers) for name in ("weight_ih", "weight_hh")}
        path = sparse_torch_zip(tmp_path / f"{layers}.pt", shapes)
        return calls_of(lambda: gw.open(path).inspect())

    calls(10)
    few, more = calls(50), calls(500)
    assert more < 12 * few, (few, more)
    assert more / 1_000 < 750, f"{more / 1_000:.0f} calls for each tensor"


def test_the_doctor_does_little_for_each_of_many_small_files(tmp_path: Path) -> None:
    """500 files a second are 2 ms for each; in calls of functions, which a busy machine does not make more."""
    import gatewise as gw

    arrays = torch_arrays("lstm", 3, 4, 1, 1, prefix="rnn.")
    paths = [torch_zip(tmp_path / f"{number}.pt", arrays) for number in range(21)]
    gw.diagnose(paths.pop())
    calls = calls_of(lambda: [gw.diagnose(path) for path in paths]) / len(paths)
    assert calls < 14_000, calls


def test_explain_answers_in_a_few_times_what_python_takes_to_start(installed: dict[str, str]) -> None:
    ours = ("-c", INSPECT, "explain", "AttributeError: 'LSTM' object has no attribute '_flat_weights'")
    bare = ("-c", "import zipfile, pickle, json")
    for words in (bare, ours):
        _seconds(installed, *words)
    mine, theirs = zip(*((_seconds(installed, *ours), _seconds(installed, *bare)) for _ in range(5)), strict=True)
    assert min(mine) <= 4 * min(theirs), (min(mine), min(theirs))
