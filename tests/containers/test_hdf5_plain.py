"""gatewise's own reader of HDF5 says what libhdf5 says, of every file that it knows, and knows when it does not."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import hdf5_both as both
import numpy as np
import pytest
from clock import calls_of
from costs import ENVIRONMENT
from hdf5_both import OURS, REFUSED, THEIRS, told
from together import folder, in_thirds, together

sys.path.append(str(Path(__file__).parents[1] / "attacks"))
from mutate import cut, flip, hdf5_mended, lie, splice, swap

import gatewise as gw
from gatewise.containers import open_tensors
from gatewise.containers._hdf5_messages import NotPlain, checksum
from gatewise.containers._hdf5_plain import Plain
from gatewise.cursor import DEFAULT_LIMITS
from gatewise.errors import GatewiseError
from gatewise.tensors import Strided

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILES = [
    path for path in sorted(FIXTURES.rglob("*")) if path.suffix in (".h5", ".keras", ".nnp") and both.hdf5_in(path)
]
NUMBERS = (
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "i1",
    "<i2",
    ">i4",
    "<i8",
    "u1",
    ">u2",
    "<u4",
    "<u8",
    "?",
    "<c8",
    ">c8",
    "<c16",
)


@together("path", FILES, of=folder, said=lambda path: path.name)
def test_every_fixture_is_plain_and_both_readers_say_the_same_of_it(path: Path) -> None:
    data = both.hdf5_in(path)
    assert told(data, OURS) == told(data, THEIRS)


# Files made here, by every version of the format that h5py writes.


def numbers(group: Any) -> None:
    luck = np.random.default_rng(0)
    for number, dtype in enumerate(NUMBERS):
        here = group.require_group(f"of{number // 6}")
        here[f"n{number}"] = luck.integers(0, 2, (3, 5)).astype(dtype)
    group["none"] = np.zeros((0, 3), "f4")
    group["one"] = np.float32(3)
    group["null"] = h5py.Empty("f4")


def what_is_no_number(group: Any) -> None:
    group["text"], group["texts"], group["fixed"] = "abc", ["a", "bb"], np.array([b"a", b"bb"])
    group["pairs"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
    group["words"] = np.zeros(3, h5py.enum_dtype({"A": 0, "B": 1}, "i4"))
    group["rows"] = np.zeros(2, "(3,)f4")
    group["raw"] = np.zeros(3, "V2")
    group["kind"] = np.dtype("f8")


def texts(group: Any) -> None:
    group.attrs["layer_names"] = ["a", "é", ""]
    group.attrs["weight_names"] = np.array([b"x", b"yy ", b""], "S5")
    group.attrs["name"], group.attrs["backend"], group.attrs["model_config"] = "jax", np.bytes_(b"tf"), "x" * 50_000
    group.attrs["keras_version"], group.attrs["index"], group.attrs["dtype"] = h5py.Empty("S3"), 3, np.zeros(0)
    for padding in (h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD, h5py.h5t.STR_SPACEPAD):
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(padding)
        made = h5py.h5a.create(group.create_group(f"p{padding}").id, b"name", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        made.write(np.array(b"a \0b  ", "S6"), mtype=kind)


def links(group: Any) -> None:
    group["b"], group["a"], group["B/é/日本"] = [1.0], [2.0], [3.0]
    group["soft"], group["outer"] = h5py.SoftLink("/b"), h5py.ExternalLink("other.h5", "/x")
    group["again"], group["B/up"] = group["b"], group["B"]


def places(group: Any) -> None:
    group.create_dataset("unwritten", (3, 4), "f4")
    group.create_dataset("filled", (3, 4), "f4", fillvalue=7)
    group.create_dataset("outside", (4,), "u1", external=[("/etc/passwd", 0, 4)])
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    group.create_virtual_dataset("virtual", layout)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(group.id, b"compact", h5py.h5t.IEEE_F32BE, h5py.h5s.create_simple((3,)), compact)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 3], "f4"))


def odd_numbers(group: Any) -> None:
    """Numbers that no numpy type is laid out like."""
    whole, broken, brain = h5py.h5t.STD_I32LE.copy(), h5py.h5t.IEEE_F64LE.copy(), h5py.h5t.IEEE_F32LE.copy()
    whole.set_precision(24)
    broken.set_fields(59, 48, 11, 0, 48)
    broken.set_precision(60)
    brain.set_fields(15, 7, 8, 0, 7)
    brain.set_precision(16)
    brain.set_size(2)
    for name, kind in (("i", whole), ("f", broken), ("brain", brain)):
        made = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple((3,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, -2, 0.5], "f4"))


BUILDERS = (numbers, what_is_no_number, texts, links, places, odd_numbers)
VERSIONS = ("earliest", "v108", "v110", "latest")


def made(build: Any, version: Any = "earliest", **how: Any) -> bytes:
    with h5py.File("x.h5", "w", driver="core", backing_store=False, libver=(version, "latest"), **how) as file:
        build(file)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


@pytest.mark.parametrize("build", BUILDERS, ids=[build.__name__ for build in BUILDERS])
@pytest.mark.parametrize("ordered", [False, True], ids=["by name", "in the order of making"])
def test_both_readers_say_the_same_of_what_h5py_writes(build: Any, ordered: bool) -> None:
    for version in VERSIONS:
        data = made(build, version, track_order=ordered)
        assert told(data, OURS) == told(data, THEIRS), version


def chunks(group: Any) -> None:
    luck = np.random.default_rng(0)
    for number, dtype in enumerate(NUMBERS):
        values = luck.integers(0, 2, (3, 5)).astype(dtype)
        group.create_dataset(f"chunked{number}", data=values, chunks=(2, 2))
        group.create_dataset(f"packed{number}", data=values, chunks=(2, 3), compression="gzip", shuffle=True)
    group.create_dataset("large", data=luck.random((100, 300)), chunks=(7, 13), compression="gzip")
    group.create_dataset("lzf", data=luck.integers(0, 3, 1_000), chunks=(300,), compression="lzf", shuffle=True)
    group.create_dataset("zeros", data=np.zeros(5_000), chunks=(3_000,), compression="lzf")
    for number in (1, 4, 7):
        values = luck.integers(0, 255, 100 * number, "u1")
        group.create_dataset(f"summed{number}", data=values, chunks=(number,), fletcher32=True, compression="gzip")
    shrunk = group.create_dataset("shrunk", data=np.arange(10.0), maxshape=(None,), chunks=(3,))
    shrunk.resize((17,))
    shrunk.resize((5,))
    left_out = group.create_dataset("left out", (4,), "f4", chunks=(4,), compression="gzip", shuffle=True)
    left_out.id.write_direct_chunk((0,), np.arange(4, dtype="f4").tobytes(), 0b11)


def left_chunks(group: Any) -> None:
    """What libhdf5 is asked for."""
    group.create_dataset("never written", (3, 4), "f4", chunks=(2, 2))
    group.create_dataset("nearly empty", (30, 40), "f4", chunks=(8, 8))[0:3, 0:3] = 1


def read_by(data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often libhdf5 was asked for anything, while everything was read."""
    asked = []
    real = h5py.File
    monkeypatch.setattr(h5py, "File", lambda *given: asked.append(given) or real(*given))
    told(data, OURS)
    return len(asked)


def test_chunks_are_read_without_libhdf5_as_it_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(chunks)
    assert told(data, OURS) == told(data, THEIRS)
    assert read_by(data, monkeypatch) == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("build", [chunks, left_chunks], ids=["plain ones", "others"])
def test_chunks_are_what_h5py_reads(build: Any, version: str, tmp_path: Path) -> None:
    """Of every index, the newest ones too: libhdf5 finds those, and gatewise opens them."""
    (tmp_path / "x.h5").write_bytes(made(build, version))
    tensors = open_tensors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert set(tensors) == set(file)
        assert [name for name in file if not np.array_equal(tensors[name].array(), file[name][()])] == []


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_a_filter_that_libhdf5_undoes_without_looking_where_it_writes_is_refused(version: str, tmp_path: Path) -> None:
    def build(file: Any) -> None:
        file.create_dataset("w", data=np.arange(100.0), chunks=(10,), scaleoffset=3)

    (tmp_path / "x.h5").write_bytes(made(build, version))
    with pytest.raises(GatewiseError, match="filter 6, which gatewise does not undo"):
        open_tensors(tmp_path / "x.h5")


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("packing", [{"fletcher32": True}, {"compression": "lzf"}, {"compression": "gzip"}], ids=str)
def test_a_chunk_that_is_cut_or_changed_is_refused(packing: Any, version: str, tmp_path: Path) -> None:
    """libhdf5 2.0 reads past the end of such a one, and ends the process or shows what was there."""

    def build(file: Any) -> None:
        one = file.create_dataset("w", (500,), "f8", chunks=(250,), **packing)
        one.id.write_direct_chunk((0,), b"\0" * 3)
        one.id.write_direct_chunk((250,), b"\1abcd\0\0\0" * 9)

    (tmp_path / "x.h5").write_bytes(made(build, version))
    with pytest.raises(GatewiseError):
        open_tensors(tmp_path / "x.h5")["w"].array()


def test_chunks_that_are_not_plain_are_listed_and_their_elements_read_by_libhdf5(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = made(left_chunks)
    assert told(data, OURS) == told(data, THEIRS)
    assert read_by(data, monkeypatch) > 0


def test_what_was_never_written_is_the_fill_value(tmp_path: Path) -> None:
    def build(file: Any) -> None:
        for number, shape in enumerate([(), (1,), (3, 4)]):
            file.create_dataset(f"n{number}", shape, ">f4", fillvalue=7)
            file.create_dataset(f"z{number}", shape, "i2")

    (tmp_path / "x.h5").write_bytes(made(build))
    for name, tensor in open_tensors(tmp_path / "x.h5").items():
        array = tensor.array()
        assert array.shape == tensor.shape
        assert (array == (7 if name[0] == "n" else 0)).all()


@pytest.mark.parametrize("version", ["v108", "latest"])
@pytest.mark.parametrize("grows", ["none", "to a limit", "first", "second", "last", "two"])
def test_chunks_lie_where_they_belong_whichever_axes_may_grow(version: str, grows: str, tmp_path: Path) -> None:
    """libhdf5 2.0 tells wrong places of those that may grow without end along an axis that is not the first."""
    shape, most = (4, 6, 5), {"none": None, "to a limit": (9, 9, 9), "first": (None, 6, 5), "second": (4, None, 5)}
    most |= {"last": (4, 6, None), "two": (None, 6, None)}
    values = np.arange(120, dtype=">i4").reshape(shape)
    packed: list[dict[str, Any]] = [
        {},
        {"compression": "gzip"},
        {"compression": "lzf", "shuffle": True, "fletcher32": True},
    ]

    def build(file: Any) -> None:
        file["kind"] = np.dtype("f8")
        file.create_dataset("typed", data=[1.0], dtype=file["kind"])  # so libhdf5 reads the file, whatever the version
        for number, how in enumerate(packed):
            for chunk in ((2, 1, 3), (1, 2, 2), (3, 6, 5)):
                name = f"{number}{chunk[0]}"
                file.create_dataset(f"all{name}", data=values, chunks=chunk, maxshape=most[grows], **how)
                made = file.create_dataset(
                    f"some{name}", shape, ">i4", chunks=chunk, maxshape=most[grows], fillvalue=7, **how
                )
                made[2:3, 1:4, 3:] = values[2:3, 1:4, 3:]

    (tmp_path / "x.h5").write_bytes(made(build, version))
    tensors = open_tensors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert len(tensors) == 1 + 2 * 3 * len(packed)
        for name, tensor in tensors.items():
            assert np.array_equal(tensor.array(), file[name][()]), name


def test_trees_of_several_levels_are_read_whole() -> None:
    def many(file: Any) -> None:
        for number in range(300):
            file.create_dataset(f"many/d{number}", data=[number]) if number % 2 else file.create_group(
                f"many/g{number}"
            )
        for number in range(30):
            file.create_group("deep" + "/g" * number + "/x")

    data = made(many)
    assert data.count(b"TREE\0\1") > 0  # a level above the leaves
    assert told(data, OURS) == told(data, THEIRS)


def test_attributes_that_continue_elsewhere_in_the_file_are_read() -> None:
    def changed(file: Any) -> None:
        for number in range(3):
            group = file.create_group(f"g{number}")
            file[f"d{number}"] = [1.0]
            for again in range(4):
                group.attrs["weight_names"] = ["x"] * (1 + 50 * again)
                group.attrs["name"] = np.bytes_(b"y" * 300 * (4 - again))
                file[f"d{number}"].attrs["dtype"] = "z" * 100 * again

    for version in ("earliest", "v108"):
        data = made(changed, version)
        assert (b"OCHK" in data) == (version == "v108")
        assert both.is_plain(data)
        assert told(data, OURS) == told(data, THEIRS)


def _many_links(file: Any) -> None:
    for number in range(20):
        file[f"w{number}"] = [float(number)]


def _many_attributes(file: Any) -> None:
    _good(file)
    for number in range(20):
        file.attrs[f"a{number}"] = number


def _typed(file: Any) -> None:
    file["kind"] = np.dtype("f8")
    file.create_dataset("w", data=[1.0, 2.0], dtype=file["kind"])


def _good(file: Any) -> None:
    file["w"] = [1.0, 2.0]


def _in_new_chunks(file: Any) -> None:
    file.create_dataset("w", data=[1.0, 2.0], chunks=(1,))


NOT_PLAIN = {
    "a group in dense storage": (_many_links, "latest"),
    "attributes in dense storage": (_many_attributes, "latest"),
    "a type that has a name": (_typed, "earliest"),
    "new chunks": (_in_new_chunks, "latest"),
    "space that is managed by pages": (_good, "pages"),
}


def _not_plain(what: str) -> bytes:
    build, version = NOT_PLAIN[what]
    return made(build, "v110", fs_strategy="page") if version == "pages" else made(build, version)


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_is_not_plain_is_read_by_libhdf5(what: str, tmp_path: Path) -> None:
    data = _not_plain(what)
    with pytest.raises(NotPlain):
        told(data, OURS)
    (tmp_path / "x.h5").write_bytes(data)
    tensors = open_tensors(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(tensors) == sorted(names)
        assert all(np.array_equal(tensors[name].array(), file[name][()]) for name in names)


def test_a_file_that_turns_out_not_to_be_plain_is_told_of_once(tmp_path: Path) -> None:
    """It is read from the start again: what was noted before is not noted twice."""

    def build(file: Any) -> None:
        file["a"], file["b"] = [1.0], "text"
        _typed(file.create_group("z"))

    (tmp_path / "x.h5").write_bytes(made(build))
    tensors = open_tensors(tmp_path / "x.h5")
    assert list(tensors) == ["a", "z/w"]
    assert len(tensors.notes) == len(set(tensors.notes)) == 2


def test_bfloat16_that_hdf5_itself_describes_is_read_as_such() -> None:
    [row] = [row for row in told(made(odd_numbers), OURS) if row[0] == "brain" and len(row) == 4]
    assert row[1:] == ("bfloat16", (3,), "[1.0, -2.0, 0.5]")
    assert [row for row in told(made(odd_numbers), OURS) if row[0] in "if" and len(row) == 2] == [
        ("f", None),
        ("i", None),
    ]


def test_a_tensor_in_chunks_costs_no_more_where_there_are_many(tmp_path: Path) -> None:
    def calls(count: int) -> int:
        path = tmp_path / f"{count}.h5"
        with h5py.File(path, "w") as file:
            for number in range(count):
                file.create_dataset(f"w{number}", data=[1.0, 2.0], chunks=(1,))
        tensors = list(open_tensors(path).values())[:20]
        tensors[0].array()
        return calls_of(lambda: [tensor.array() for tensor in tensors])

    assert calls(500) < 1.2 * calls(50)


def test_ten_times_the_datasets_take_ten_times_as_long(tmp_path: Path) -> None:
    def calls(count: int) -> int:
        path = tmp_path / f"{count}.h5"
        with h5py.File(path, "w") as file:
            for number in range(count):
                file[f"w{number}"] = [1.0]
        return calls_of(lambda: open_tensors(path))

    calls(10)
    few, more = calls(100), calls(1_000)
    assert more < 12 * few, (few, more)
    assert more / 1_000 < 200, f"{more / 1_000:.0f} calls for each dataset"


# Damage.


@functools.cache
def small() -> list[bytes]:
    shortest = sorted((both.hdf5_in(path) for path in FILES), key=len)[:40]
    return [*shortest, *(made(build, "latest") for build in BUILDERS)]


KINDS = (flip, flip, lie, lie, cut, splice, swap)


def _or_refused(data: bytes, how: Any) -> Any:
    try:
        return told(data, how)
    except GatewiseError:
        return REFUSED
    except NotPlain:
        return NotPlain


def _only_refusals(ours: Any, theirs: Any) -> bool:
    """libhdf5 also tidies up what it tells of a type: numbers there are no numbers here, and never the other way round."""
    said = (ours[-1], theirs[-1])
    return REFUSED in said or f"'{REFUSED}'" in said or ours[-1] is None


@in_thirds
def test_of_a_damaged_file_the_two_readers_say_the_same_or_one_of_them_refuses_it(third: int) -> None:
    """libhdf5 looks at more than is asked for, and refuses more; in what both read there is no difference."""
    luck = random.Random(third)
    compared = 0
    for _ in range(200):
        data = luck.choice(small())
        for _ in range(luck.choice((1, 1, 2))):
            data = luck.choice(KINDS)(data, luck, small()[:5])
        data = hdf5_mended(data)
        if data[:8] != both.SIGNATURE:
            continue
        ours = _or_refused(data, OURS)
        if isinstance(ours, list) and isinstance(theirs := _or_refused(data, THEIRS), list):
            compared += 1
            first = next(((a, b) for a, b in zip(ours, theirs, strict=False) if a != b), None)
            assert first is None or _only_refusals(*first), first
    assert compared > 50


def _two_links_of_one_name() -> tuple[bytes, str]:
    def build(file: Any) -> None:
        file["first name"], file["other name"] = [1.0], [2.0]

    return hdf5_mended(made(build, "latest").replace(b"other name", b"first name")), "names"


def _a_tree_of_two_groups() -> tuple[bytes, str]:
    def build(file: Any) -> None:
        file["a/x"], file["b/y"] = [1.0], [2.0]

    data = bytearray(made(build))
    root = Plain(memoryview(bytes(data)), DEFAULT_LIMITS, "x.h5").root
    ours, theirs = (root.member(name)._header.first[17] for name in (b"a", b"b"))
    data[theirs[1] : theirs[2]] = data[ours[1] : ours[2]]
    return bytes(data), "names"


def _two_chunks_at_one_place() -> tuple[bytes, str]:
    data = bytearray(made(lambda file: file.create_dataset("w", data=np.arange(4.0), chunks=(2,))))
    second = (
        data.index(b"TREE\1") + 24 + 32 + 8
    )  # behind the node's head, a chunk, and the second one's size and filters
    assert int.from_bytes(data[second : second + 8], "little") == 2
    data[second : second + 8] = bytes(8)
    return bytes(data), "float64"


@pytest.mark.parametrize("build", [_two_links_of_one_name, _a_tree_of_two_groups, _two_chunks_at_one_place])
def test_what_stands_twice_where_one_belongs_is_refused(build: Any) -> None:
    """Which of the two was meant, nobody can tell."""
    data, what = build()
    rows = told(data, OURS)
    assert any(row[1] == what and REFUSED in str(row[-1]) for row in rows), rows


@pytest.mark.parametrize("build", [links, texts], ids=["links", "texts"])
def test_every_byte_of_a_header_of_the_second_version_is_under_its_checksum(build: Any) -> None:
    data = made(build, "latest")
    start = data.index(b"OHDR")
    assert checksum(data[:44]).to_bytes(4, "little") == data[44:48]
    for at in (9, 40, 46, start + 9, start + 20):
        broken = bytearray(data)
        broken[at] ^= 4
        with pytest.raises((GatewiseError, NotPlain)):
            told(bytes(broken), OURS)


def test_the_checksum_is_bob_jenkins_lookup3() -> None:
    """The values are those of his own driver (lookup3.c, driver5)."""
    assert (checksum(b""), checksum(b"Four score and seven years ago")) == (0xDEADBEEF, 0x17770551)


# What is imported.

PROBE = """
import sys, gatewise as gw
for path in sys.argv[2:]:
    checkpoint = gw.open(path)
    checkpoint.inspect()
    for tensor in checkpoint.tensors.values():
        tensor.array()
    assert "h5py" not in sys.modules, path
source = gw.open(sys.argv[1])
for name in ("x.weights.h5", "x.keras", "x.h5"):
    gw.convert(sys.argv[1], name, "keras")
    assert "h5py" not in sys.modules, name
"""


def test_listing_reading_writing_and_proving_what_is_plain_imports_no_h5py(tmp_path: Path) -> None:
    torch = FIXTURES / "torch" / "2.13.0" / "lstm_bi2.state.pt"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, torch, *FILES],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_probe_sees_h5py_where_a_file_is_not_plain(tmp_path: Path) -> None:
    """The twin."""
    (tmp_path / "x.h5").write_bytes(_not_plain("a group in dense storage"))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "", tmp_path / "x.h5"], capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT,
        check=False,
    )  # fmt: skip
    assert "AssertionError" in done.stderr
    assert isinstance(gw.open(tmp_path / "x.h5").tensors["w1"].data, Strided)
