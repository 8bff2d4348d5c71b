"""The pickle machine: what Python's pickler writes it reads, what it reads it writes back, and it never runs anything."""

import collections
import functools
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from together import folder, together
from torch_help import FILES, FIXTURES, loads, named, same, torch_stream, torch_zip

from gatewise.containers import open_tensors
from gatewise.containers._pickle_opcodes import ROWS
from gatewise.containers._pickle_write import dumps
from gatewise.containers._pickled import Global, LegacyStr, Persistent, Stub
from gatewise.containers._pickled_numpy import array_of, scalar_of
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, NotRepresentable

PLAIN = {
    "nothing": None,
    "booleans": [True, False],
    "integers of every size": [0, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**63, -(2**70), 2**2000],
    "floats": [0.0, -0.0, 1.5, float("inf"), 1e-300],
    "texts": ["", "weight", "é ü 漢 🎵", "two\nlines \\ and 'quotes'", "x" * 300],
    "bytes": [b"", b"abc", bytes(range(256)), b"x" * 300, bytearray(b"\x00\xff")],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((),)],
    "dicts": {"a": 1, 2: "b", (1, "c"): [3], None: {}, 1.5: 0},
    "sets": [set(), {1, 2}, frozenset(), frozenset({"a"})],
    "complex": 1 - 2j,
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "counter": collections.Counter("abca"),
    "many": list(range(3000)),
    "a dict of many": {str(i): i for i in range(2000)},
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("what", PLAIN)
def test_reads_what_pythons_pickler_writes(what, protocol):
    assert same(loads(pickle.dumps(PLAIN[what], protocol)), PLAIN[what])


@pytest.mark.parametrize("what", PLAIN)
def test_pythons_unpickler_reads_what_the_writer_writes(what):
    assert pickle.loads(dumps(PLAIN[what])) == PLAIN[what]


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=60, deadline=None)
@given(tree=_TREES, protocol=st.integers(0, 5))
def test_any_plain_tree_survives_both_ways(tree, protocol):
    read = loads(pickle.dumps(tree, protocol))
    assert read == tree
    assert same(loads(dumps(read)), read)
    assert pickle.loads(dumps(read)) == tree


def test_shared_objects_stay_shared_and_cycles_stay_cycles():
    shared = ["once"]
    tree = {"a": shared, "b": shared}
    tree["self"] = tree
    for protocol in range(6):
        read = loads(pickle.dumps(tree, protocol))
        assert read["a"] is read["b"]
        assert read["self"] is read
    again = loads(dumps(read))
    assert again["a"] is again["b"]
    assert again["self"] is again


def test_a_tuple_that_contains_itself_is_written_once():
    inner: list = []
    tree = (inner, 1)
    inner.append(tree)
    read = loads(dumps(tree))
    assert read[0][0] is read


class Thing:
    def __init__(self, value):
        self.value = value


class Listed(list):
    pass


class Keyworded:
    def __new__(cls, *, size):  # noqa: ARG004  # what pickle hands back to it
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"size": 3}


@pytest.mark.parametrize("protocol", range(6))
def test_an_object_becomes_a_stub_that_remembers_everything(protocol):
    stub = loads(pickle.dumps(Thing([1, Thing(None)]), protocol))
    assert isinstance(stub, Stub)
    assert (str(stub.cls), stub.args, stub.how) == (f"{__name__}.Thing", (), "newobj")
    assert stub.attributes["value"][0] == 1
    assert stub.attributes["value"][1].attributes == {"value": None}


def test_items_entries_and_keywords_are_remembered():
    listed = Listed([1, 2])
    listed.note = "here"
    stub = loads(pickle.dumps(listed, 2))
    assert (stub.items, stub.state) == ([1, 2], {"note": "here"})
    assert same(loads(dumps(stub)), stub)
    keyworded = loads(pickle.dumps(Keyworded(size=1), 4))
    assert keyworded.kwargs == {"size": 3}
    with pytest.raises(NotRepresentable):
        dumps(keyworded)


def test_a_default_dict_keeps_its_factory_and_never_calls_it():
    read = loads(pickle.dumps(collections.defaultdict(list, a=[1]), 2))
    assert read.factory == Global("__builtin__", "list")
    with pytest.raises(KeyError):
        read["missing"]
    assert pickle.loads(dumps(read)) == {"a": [1]}


PYTHON_2_FILES = FIXTURES.parent / "pickle" / "python-2.7.18"
PYTHON_2 = {
    "a str of ASCII": (b"U\x03abc.", "abc"),
    "a str that is UTF-8": (b"U\x05caf\xc3\xa9.", "café"),
    "a str that is not UTF-8 is Latin-1": (b"U\x04caf\xe9.", "café"),
    "a long str": (b"T\x04\x00\x00\x00caf\xe9.", "café"),
    "protocol 0's str": (b"S'caf\\xe9 \\'x\\''\np0\n.", "café 'x'"),
    "protocol 0's unicode": (b"Vcaf\\u00e9\np0\n.", "café"),
    "protocol 0's booleans": (b"(I01\nI00\ntp0\n.", (True, False)),
    "protocol 0's long": (b"L12345678901234567890L\n.", 12345678901234567890),
    "protocol 0's dict": (b"(dp0\nS'a'\np1\nI1\ns.", {"a": 1}),
    "protocol 0's list": (b"(lp0\nI1\naI2\na.", [1, 2]),
    "an OrderedDict by its items": (b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'a'\naI1\naatR.", {"a": 1}),
    "an old-style object": (b"(i__main__\nThing\np0\n(dp1\nb.", None),
}


@pytest.mark.parametrize("what", PYTHON_2)
def test_python_2_pickles(what):
    data, expected = PYTHON_2[what]
    read = loads(data)
    if expected is None:
        assert isinstance(read, Stub)
        assert str(read.cls) == "__main__.Thing"
    else:
        assert read == expected
    assert same(loads(dumps(read)), read) or not isinstance(read, LegacyStr)


@pytest.mark.parametrize("path", sorted(PYTHON_2_FILES.glob("*.pkl")), ids=lambda path: path.name)
def test_pickles_that_python_2_7_wrote(path):
    old, new, ordered, *rest = loads(path.read_bytes())
    assert (str(old.cls), old.attributes) == ("__main__.Old", {"x": [1, "é"]})
    assert (str(new.cls), new.attributes) == ("__main__.New", {"y": {"a": (1, 2**70, 1.5, None, True)}})
    assert list(ordered.items()) == [("b", 1), ("a", 2)]
    assert rest == [
        {1, 2}, frozenset({"x"}), "café", "café", "café 漢 \\n \n", 1 + 2j, bytearray(b"ab\xff"), {1: [2]},
        "multi\nline's \"q\"", -5, 3000000000, 1e-7, float("inf"),
        Global("__builtin__", "len"), Global("__main__", "Old"),
    ]  # fmt: skip
    assert [text.raw for text in rest if isinstance(text, LegacyStr)] == [b"caf\xe9", b"caf\xc3\xa9"]


def test_a_python_2_str_keeps_its_bytes():
    for raw in (b"caf\xc3\xa9", b"caf\xe9", bytes(range(128, 256))):
        read = loads(b"U" + bytes([len(raw)]) + raw + b".")
        assert isinstance(read, LegacyStr)
        assert read.raw == raw
        assert loads(dumps(read)).raw == raw


# Nothing runs.

HOSTILE = {
    "REDUCE": b"cos\nsystem\n(S'touch SENTINEL'\ntR.",
    "REDUCE of the posix module": b"cposix\nsystem\n(S'touch SENTINEL'\ntR.",
    "REDUCE with memo and protocol 2": b"\x80\x02cposix\nsystem\nq\x00X\x0e\x00\x00\x00touch SENTINELq\x01\x85q\x02Rq\x03.",
    "INST": b"(S'touch SENTINEL'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch SENTINEL'\no.",
    "NEWOBJ": b"cos\nsystem\nS'touch SENTINEL'\n\x85\x81.",
    "NEWOBJ_EX": b"csubprocess\nPopen\nS'touch SENTINEL'\n\x85}S'shell'\nI01\ns\x92.",
    "STACK_GLOBAL": b"\x8c\x02os\x8c\x06system\x93S'touch SENTINEL'\n\x85R.",
    "eval": b'c__builtin__\neval\nS\'open("SENTINEL", "w")\'\n\x85R.',
    "getattr chained": b"c__builtin__\ngetattr\ncos\nsystem\nS'__call__'\n\x86RS'touch SENTINEL'\n\x85R.",
    "BUILD of a stub": b"cos\nPathLike\n)R}S'__setstate__'\ncos\nsystem\nsb.",
    "a persistent id that is called": b"S'x'\nQS'touch SENTINEL'\n\x85R.",
    "a torch rebuild of a stub": b"ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nS'touch SENTINEL'\n\x85RI0\n))I00\nNtR.",
}


@functools.cache
def started():
    """What was started since this was first asked.  One hook for all tests: Python takes none away, and each slows down
    whatever runs behind it."""
    events = []
    sys.addaudithook(lambda event, _: events.append(event) if event in ("os.system", "subprocess.Popen") else None)
    return events


@pytest.mark.parametrize("layout", ["zip", "stream"])
@pytest.mark.parametrize("opcode", HOSTILE)
def test_no_opcode_runs_anything(opcode, layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = len(started())
    loads(HOSTILE[opcode])
    make = torch_zip if layout == "zip" else torch_stream
    try:
        open_tensors(make(tmp_path / "file.pt", HOSTILE[opcode]))
    except GatewiseError:
        assert "rebuild" in opcode
    assert started()[before:] == []
    assert not (tmp_path / "SENTINEL").exists()


# What is broken is refused, with the opcode and the byte.

BROKEN = {
    "an unknown opcode": b"\x80\x02\xff.",
    "an empty pickle": b".",
    "two objects left": b"NN.",
    "no end": b"\x80\x02N",
    "a pop from nothing": b"0.",
    "a mark that was never set": b"t.",
    "a pop through a mark": b"N(\x85.",
    "a memo never written": b"h\x07.",
    "an announced text longer than the file": b"X\xff\xff\xff\xffabc.",
    "announced bytes longer than any file": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a frame longer than the file": b"\x80\x04\x95\xff\xff\xff\xff\x00\x00\x00\x00N.",
    "an integer of a gigabyte": b"\x8b\x00\x00\x00\x40.",
    "an integer of many digits": b"L" + b"9" * 10_000 + b"L\n.",
    "a list as a key": b"}]Ns.",
    "a huge integer as a key": b"}\x8a\x10" + b"\x01" * 16 + b"Ns.",
    "an odd number of parts": b"}(Nu.",
    "an append to a number": b"K\x01Na.",
    "a call of a text": b"X\x01\x00\x00\x00a)R.",
    "arguments that are no tuple": b"cos\nsystem\nNR.",
    "a state for a list": b"]}b.",
    "a state set twice": b"ca\nb\n)R}b}b.",
    "attributes that no container has": b"ccollections\nOrderedDict\n)R}S'__class__'\nNsb.",
    "text that is not UTF-8": b"X\x01\x00\x00\x00\xff.",
    "an extension code": b"\x82\x01.",
    "an out-of-band buffer": b"\x80\x05\x97.",
    "a protocol from the future": b"\x80\x06N.",
    "a class without a name": b"c\n\n.",
    "a line without an end": b"Vabc",
    "quotes that do not close": b"S'abc\n.",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_pickle_is_refused(what):
    with pytest.raises(BrokenFile) as refusal:
        loads(BROKEN[what])
    assert "byte" in str(refusal.value)
    assert "opcode" in str(refusal.value)


BOMBS = {
    "objects": b"N0" * 3000 + b"N.",
    "marks": b"(" * 300 + b"t" * 300 + b".",
    "lists copied over and over": b"]("
    + b"N" * 900
    + b"eq\x000"
    + b"c__builtin__\nlist\nq\x01h\x00\x85R0h\x01" * 50
    + b"N.",
    "keys of many parts": b"(" + b"N" * 900 + b"tq\x00}" + b"h\x00Ns" * 20 + b".",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_meets_a_limit(what):
    with pytest.raises(LimitExceeded):
        loads(BOMBS[what], Limits(objects=5000, nesting=200))


def test_a_key_of_doubling_tuples_is_refused_at_once():
    with pytest.raises(BrokenFile):
        loads(b"}" + b")" + b"2\x86" * 60 + b"Ns.")


def test_a_deep_tree_is_read_written_and_dropped_without_recursion():
    deep = loads(b")" + b"\x85" * 20_000 + b".")
    assert len(dumps(deep)) > 20_000


def test_every_opcode_of_pythons_own_table_is_known():
    import pickletools

    assert {op.code.encode("latin-1")[0]: op.name for op in pickletools.opcodes} == {
        code[0]: name for code, name, *_ in ROWS
    }


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=12))
def test_whatever_numbers_a_memo_gives_they_mean_what_they_mean_to_python(numbers):
    """Python numbers from 0 on, Python 2's cPickle from 1, and a tool that drops numbers leaves gaps.  None: MEMOIZE, which
    counts what is there."""
    written, known = b"\x80\x04(", {}
    for value, number in enumerate(numbers):
        at = len(known) if number is None else number
        known[at] = value
        written += b"K" + bytes([value]) + (b"\x94" if number is None else b"q" + bytes([number]))
    written += b"".join(b"h" + bytes([at]) for at in known) + b"l."
    assert loads(written) == pickle.loads(written)


# Real files.


@together("path", [p for p in FILES if named(p) != "1.0.1/lstm_bi2.trace.ts"], of=folder, said=named)
def test_the_tree_of_a_real_file_is_written_back_the_same(path):
    tree = open_tensors(path).metadata["tree"]
    written = dumps(tree)
    assert same(loads(written), tree)
    assert dumps(loads(written)) == written


def test_a_name_over_several_lines_cannot_smuggle_opcodes():
    smuggled = "system\n(S'touch SENTINEL'\ntR."
    with pytest.raises(BrokenFile):
        loads(b"\x8c\x02os\x8c" + bytes([len(smuggled)]) + smuggled.encode() + b"\x93.")
    with pytest.raises(NotRepresentable):
        dumps(Global("os", smuggled))


def test_numbers_of_every_length_are_written_as_python_writes_them():
    for value in (2**k + d for k in range(1, 80) for d in (-1, 0, 1)):
        assert pickle.loads(dumps(value)) == value == loads(dumps(value))
        assert pickle.loads(dumps(-value)) == -value == loads(dumps(-value))


def test_persistent_ids_are_kept_and_written_back():
    tree = [Persistent(("storage", Global("torch", "FloatStorage"), "0", "cpu", 3))]
    assert same(loads(dumps(tree)), tree)


# Numpy's objects.

ARRAYS = {
    "float64": np.arange(6.0).reshape(2, 3),
    "big-endian": np.arange(6, dtype=">i4"),
    "column-major": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)),
    "no elements": np.zeros((0, 3), "f2"),
    "no axes": np.array(True),
    "complex": np.array([1 + 2j], "c8"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("what", ARRAYS)
def test_numpy_arrays_are_tensors_over_the_pickles_bytes(what, protocol):
    array = ARRAYS[what]
    tensor = array_of(loads(pickle.dumps(array, protocol)), "a")
    assert (tensor.dtype, tensor.shape) == (array.dtype.name, array.shape)
    assert tensor.array().tolist() == array.tolist()


@pytest.mark.parametrize("code", ["f8", ">f4", "f2", "i8", "u1", "?", "<u2"])
def test_numpy_scalars_are_numbers(code):
    for protocol in range(6):
        assert scalar_of(loads(pickle.dumps(np.array(1).astype(code)[()], protocol))) == 1


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([None, 1]), np.zeros(2, "f4,i4"), np.array(0, "M8[s]")], ids=str
)
def test_numpy_arrays_that_are_no_numbers_are_no_tensors(array):
    assert array_of(loads(pickle.dumps(array, 2)), "a") is None


def test_an_array_that_python_2_pickled_has_its_bytes():
    array = np.array([1.5, -2.0, 3e-9])
    stub = loads(pickle.dumps(array, 2))
    for raw in (array.tobytes(), np.array([1.0] * 3, "i1").tobytes() * 8):
        stub.state = (*stub.state[:4], loads(b"U\x18" + raw + b"."))
        assert array_of(stub, "a").array().tobytes() == raw


def test_a_numpy_array_whose_bytes_do_not_fit_its_shape_is_refused():
    stub = loads(pickle.dumps(np.arange(3.0), 2))
    stub.state = (*stub.state[:1], (4,), *stub.state[2:])
    with pytest.raises(BrokenFile, match="24 bytes"):
        array_of(stub, "a")
