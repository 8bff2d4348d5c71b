"""Pickles that would eat the machine: small files that claim, repeat, nest or multiply.

Sources: the "billion laughs" of the pickle literature (a tuple of tuples that doubles), Python's own LONG and memo
opcodes, and what the sizes in BINBYTES8, FRAME and LONG4 allow a file to claim.
"""

from __future__ import annotations

import struct

from bytes_of import FOUR_FLOATS, PROTO, array, called, integer, name, state, tensor, text, torch_stream, torch_zip
from museum import Attack

from gatewise.errors import BrokenFile, ContainerError, LimitExceeded

HUGE = (1 << 62, 1 << 40)


def _laughs(opener: bytes, closer: bytes, depth: int = 60) -> bytes:
    """Each level holds the level below twice: 2^60 leaves in a few hundred bytes."""
    program = opener + closer
    for level in range(depth):
        index = struct.pack("<I", level)
        program += b"r" + index + b"0" + opener + b"j" + index + b"j" + index + closer
    return program


LAUGHS = {
    "tuples": _laughs(b"(", b"t"),
    "lists": _laughs(b"(", b"l"),
    "frozensets": _laughs(b"(", b"\x91"),
    "tuples through their builder": b")" + b"".join(
        b"r" + struct.pack("<I", n) + b"0" + called("builtins.tuple", b"(j" + struct.pack("<I", n) + b"j" + struct.pack("<I", n) + b"l")
        for n in range(60)
    ),
    "stubs": b"N" + b"".join(
        b"r" + struct.pack("<I", n) + b"0" + called("evil.Twice", (b"j" + struct.pack("<I", n)) * 2) for n in range(60)
    ),
    "dicts": b"}" + b"".join(
        b"r" + struct.pack("<I", n) + b"0}(K\x01j" + struct.pack("<I", n) + b"K\x02j" + struct.pack("<I", n) + b"u" for n in range(60)
    ),
}  # fmt: skip


def _copied(builder: str) -> bytes:
    """A list of ten thousand, copied a thousand times."""
    return torch_zip(PROTO + b"](" + b"K\0" * 10_000 + b"eq\0(" + called(builder, b"h\0") * 1_000 + b"t.")


def _deep(opener: bytes, closer: bytes = b"", levels: int = 100_000) -> bytes:
    return opener * levels + (closer or b"") * levels


def _nested(step: bytes, levels: int = 100_000) -> bytes:
    """A value that is wrapped again and again without a mark."""
    return b"N" + step * levels


DEPTHS = {
    "marks": _deep(b"("),
    "tuples of one": _nested(b"\x85"),
    "lists of one": b"]" + b"r\0\0\0\0" + b"".join([b"]"] * 50_000) + b"a" * 50_000,
    "dicts within dicts": b"}" + b"K\1}" * 50_000 + b"s" * 50_000,
    "persistent ids of persistent ids": _nested(b"Q"),
    "calls of calls": name("a.b") + b")R" * 5_000,
    "frozensets of one": b"N" + b"" + b"".join([b"r\0\0\0\0" + b"0(j\0\0\0\0\x91"] * 50_000),
    "states of states": called("a.b") + (called("a.b") * 5000) + b"b" * 5000,
}
CLAIMS = {
    "an integer of two gigabytes": b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"\1",
    "an integer of negative length": b"\x8b" + struct.pack("<i", -1) + b"\1",
    "an integer of a hundred thousand digits": b"L" + b"9" * 100_000 + b"L\n",
    "an integer of a hundred thousand bytes": b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000,
    "a text of an exabyte": b"\x8d" + struct.pack("<Q", 1 << 60) + b"a",
    "a text of four gigabytes": b"X" + struct.pack("<I", 0xFFFFFFFF) + b"a",
    "bytes of an exabyte": b"\x8e" + struct.pack("<Q", 1 << 60) + b"a",
    "a byte array of an exabyte": b"\x96" + struct.pack("<Q", 1 << 60) + b"a",
    "a string of negative length": b"T" + struct.pack("<i", -1) + b"a",
    "a frame of an exabyte": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
    "a frame of all bits": b"\x95" + b"\xff" * 8 + b"N",
    "a memo that was never written": b"j\xff\xff\xff\xff",
    "a class whose name is a megabyte": b"c" + b"a" * (1 << 20) + b"\nb\n",
    "a line without an end": b"S'" + b"a" * (1 << 20),
}


def _floods() -> dict[str, bytes]:
    many = 60_000
    return {
        "objects": PROTO + b"N0" * many + state(w=tensor()) + b".",
        "objects on the stack": PROTO + b"N" * many + b".",
        "memo numbers": PROTO
        + b"".join(b"Nr" + struct.pack("<I", n) + b"0" for n in range(50_000))
        + state(w=tensor())
        + b".",
        "empty lists": PROTO + b"(" + b"]" * many + b"t.",
        "calls": PROTO + name("a.b") + b"q\0" + b"0" + b"h\0)R0" * 20_000 + state(w=tensor()) + b".",
        "byte arrays": PROTO
        + b"\x96"
        + struct.pack("<Q", 100)
        + b"a" * 100
        + b"q\0"
        + called("builtins.bytearray", b"h\0") * 1000
        + b".",
    }


def _memo_far() -> bytes:
    """Memo numbers are keys, not places: a list as long as the largest number would be 64 GB."""
    return torch_zip(PROTO + b"Nr\xff\xff\xff\xff0" + state(w=tensor()) + b".")


def _copies() -> bytes:
    """A megabyte of text, copied by its builder a hundred thousand times."""
    program = b"B" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\0"
    return torch_zip(PROTO + program + b"(" + called("builtins.bytes", b"h\0") * 100_000 + b"t.")


def _encodes() -> bytes:
    program = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\0" + text("latin1") + b"q\1"
    return torch_zip(PROTO + program + b"(" + called("_codecs.encode", b"h\0h\1") * 100_000 + b"t.")


def _colliding_keys() -> bytes:
    """Integers with one hash: a dict of them is a list, and n of them cost n²."""
    prime = (1 << 61) - 1
    keys = b"".join(integer(1 + n * prime) + b"N" for n in range(60_000))
    return torch_zip(PROTO + b"}(" + keys + b"u.")


def _colliding_small_keys() -> bytes:
    """The same within 64 bits: only few of them share a hash, so they are allowed."""
    prime = (1 << 61) - 1
    return torch_zip(
        PROTO + b"}(" + b"".join(integer(n * prime) + b"N" for n in range(4)) + b"u0" + state(w=tensor()) + b"."
    )


def _key_of_laughs() -> bytes:
    """A key whose hash would take 2^60 steps."""
    return torch_zip(PROTO + b"}" + LAUGHS["tuples"] + b"Ns.")


def _same_state() -> bytes:
    """One dict as the state of ten thousand modules."""
    shared = PROTO + state(weight=tensor()) + b"q\0"
    return torch_zip(shared + b"0}(" + b"".join(integer(n) + b"h\0" for n in range(10_000)) + b"u.")


def _many_names() -> bytes:
    """One tensor under eight thousand names."""
    return torch_zip(
        PROTO + tensor() + b"q\x09" + b"0}(" + b"".join(integer(n) + b"h\x09" for n in range(8_000)) + b"u."
    )


def _modules(children: int = 2, depth: int = 40) -> bytes:
    """Modules that hold the module below twice: a tree of 2^40 paths."""
    program = b""
    for level in range(depth):
        below = b"j" + struct.pack("<I", 1000 + level - 1)
        inner = state(**{f"m{n}": below for n in range(children)}) if level else b"}"
        parts = state(
            _parameters=state(w=tensor()) if not level else b"}", _buffers=b"}", _modules=inner, training=b"\x88"
        )
        program += (
            name("torch.nn.modules.container.Sequential")
            + b")\x81"
            + parts
            + b"br"
            + struct.pack("<I", 1000 + level)
            + b"0"
        )
    return torch_zip(PROTO + program + b"j" + struct.pack("<I", 1000 + depth - 1) + b".")


def _one_name() -> bytes:
    """Twenty thousand arrays that are set under one name: each wants a number of its own."""
    shared = array() + b"q\x09" + b"0"
    return PROTO + shared + called("a.b") + b"(" + (text("x") + b"h\x09") * 5_000 + b"u."


def _rank() -> bytes:
    return torch_zip(PROTO + state(w=tensor(shape=(1,) * 2000, strides=(1,) * 2000)) + b".")


ATTACKS = (
    *(Attack(f"a billion laughs of {what} end at once", torch_zip(PROTO + program + b"."), (None, ContainerError)) for what, program in LAUGHS.items()),
    *(
        Attack(f"a billion laughs of {what} beside a tensor end at once", torch_zip(PROTO + state(a=program, w=tensor()) + b"."),
               (None, ContainerError))
        for what, program in LAUGHS.items()
    ),
    *(
        Attack(f"a billion laughs of {what} in a plain pickle end at once", PROTO + state(a=program, w=array()) + b".", (None, ContainerError))
        for what, program in LAUGHS.items()
    ),
    *(Attack(f"nesting without end: {what}", torch_zip(PROTO + program + b"."), (None, ContainerError)) for what, program in DEPTHS.items()),
    *(
        Attack(f"nesting without end in a plain pickle: {what}", PROTO + state(w=array(), a=program) + b".", (None, ContainerError))
        for what, program in DEPTHS.items()
    ),
    *(
        Attack(f"nesting without end in a stream of torch 0.4: {what}",
               torch_stream(PROTO + state(w=tensor(legacy=True), a=program) + b"."), (None, ContainerError))
        for what, program in DEPTHS.items()
    ),
    *(Attack(f"{what} is refused", torch_zip(PROTO + program + b"."), BrokenFile, "opcode") for what, program in CLAIMS.items()),
    *(Attack(f"a flood of {what} is bounded", torch_zip(pickled), (None, ContainerError)) for what, pickled in _floods().items()),
    *(
        Attack(f"a list that is copied into a thousand {builder}s is refused", _copied(f"builtins.{builder}"), LimitExceeded, "copied")
        for builder in ("list", "tuple", "set", "frozenset")
    ),
    Attack("the largest memo number takes no memory", _memo_far(), None),
    Attack("a megabyte that is copied a hundred thousand times is refused", _copies(), LimitExceeded),
    Attack("a text that is encoded a hundred thousand times is refused", _encodes(), LimitExceeded),
    Attack("keys that all hash alike are refused", _colliding_keys(), BrokenFile, "cannot be a key"),
    Attack("few keys that hash alike are kept", _colliding_small_keys(), None),
    Attack("a key of a billion laughs is refused", _key_of_laughs(), BrokenFile, "cannot be a key"),
    Attack("one state dict under ten thousand names is bounded", _same_state(), (None, ContainerError)),
    Attack("one tensor under eight thousand names is bounded", _many_names(), (None, ContainerError)),
    Attack("modules that hold each other twice end at once", _modules(), (None, ContainerError)),
    Attack("arrays that all have one name are told apart quickly", _one_name(), None),
    Attack("a tensor of two thousand axes is refused", _rank(), LimitExceeded, "rank"),
    Attack("an array of two thousand axes is refused", PROTO + state(w=array(shape=(1,) * 2000)) + b".", ContainerError),
    Attack("an array of 2^80 elements is refused", PROTO + state(w=array(shape=HUGE)) + b".", ContainerError),
    Attack("an array of fewer than no elements is refused", PROTO + state(w=array(shape=(-4,))) + b".", ContainerError),
    Attack("a stream that claims a million keys is refused",
           torch_stream(PROTO + state(w=tensor(legacy=True)) + b".", keys=["0"] * 100_000, storages=FOUR_FLOATS), ContainerError),
)  # fmt: skip
