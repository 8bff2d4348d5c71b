"""Numpy's own files: headers that are programs, shapes that are lies, elements that are pickles.

Sources: numpy/lib/format.py; CVE-2019-6446 (object arrays are pickles); the header was once given to ``eval``.
"""

from __future__ import annotations

import struct

from bytes_of import PROTO, called, text, zipped
from museum import Attack

from gatewise.errors import BrokenFile, ContainerError

PICKLE = PROTO + called("os.system", text("x")) + b"."


def _npy(
    header: str | bytes, body: bytes = bytes(16), version: tuple[int, int] = (1, 0), length: int | None = None
) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    size = len(raw) if length is None else length
    return (
        b"\x93NUMPY"
        + bytes(version)
        + (struct.pack("<H", size % 65536) if version[0] == 1 else struct.pack("<I", size))
        + raw
        + body
    )


def _said(descr: str = "'<f4'", shape: str = "(4,)", order: str = "False", more: str = "") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}\n"


HEADERS = {
    "a call": _said("__import__('os').system('x')"),
    "a call in the shape": _said(shape="(__import__('os').system('x'),)"),
    "a lambda": "(lambda: 0)()\n",
    "a conditional": _said(order="True if 1 else False"),
    "a comprehension": _said(shape="tuple(4 for _ in range(1))"),
    "a sum": _said(shape="(2+2,)"),
    "a power": _said(shape="(9**9**9,)"),
    "a text of a megabyte": _said("'" + "a" * (1 << 20) + "'"),
    "a text that is glued": _said("'<' 'f4'"),
    "a raw text": _said("r'<f4'"),
    "a set": "{'descr', 'shape'}\n",
    "a hundred thousand brackets": "(" * 60_000 + ")" * 60_000,
    "a key too many": _said(more="'evil': 1, "),
    "a key twice": _said(more="'shape': (1,), "),
    "a shape of fewer than none": _said(shape="(-4,)"),
    "a shape of fractions": _said(shape="(4.0,)"),
    "a shape that is no tuple": _said(shape="4"),
    "a shape of 2^80": _said(shape=f"({1 << 80},)"),
    "a shape of five thousand digits": _said(shape=f"({'9' * 5000},)"),
    "a shape that overflows to the right size": _said(shape=f"({1 << 62}, 4, 4)"),
    "a shape of ten thousand axes": _said(shape=f"({'1,' * 10_000})"),
    "objects": _said("'|O'"),
    "objects in a structure": _said("[('a', '|O')]"),
    "a structure": _said("[('a', '<f4')]"),
    "elements of no bytes": _said("'|V0'", "(1099511627776,)"),
    "elements of a gigabyte": _said("'|V1073741824'"),
    "a dtype that there is not": _said("'<z9'"),
    "a time": _said("'<M8[ns]'", "(2,)"),
    "nothing": "",
    "zeros": b"\0" * 100,
    "bytes that are no text": b"\xff" * 100,
}
SLOW = {
    "a header that is tried in every way": "{" + "'descr': '<f4', " * 3000 + "!\n",
    "brackets that are tried in every way": "{'descr': [" + "'" * 20_000 + "\n",
    "white space that is tried in every way": "{" + " " * 60_000 + "x\n",
}

ATTACKS = (
    *(Attack(f"a header of {what} is refused", _npy(header), ContainerError) for what, header in HEADERS.items()),
    *(Attack(f"a header of {what} is refused in an archive", zipped({"a.npy": _npy(header)}), (None, ContainerError)) for what, header in HEADERS.items()),
    *(Attack(f"{what} costs nothing", _npy(header), ContainerError) for what, header in SLOW.items()),
    Attack("objects are not unpickled", _npy(_said("'|O'", "(1,)"), PICKLE), BrokenFile, "does not run it"),
    Attack("objects in an archive are left out", zipped({"a.npy": _npy(_said()), "b.npy": _npy(_said("'|O'", "(1,)"), PICKLE)}), None),
    Attack("an archive whose member is a pickle is none", zipped({"a.npy": PICKLE}), ContainerError),
    Attack("a version to come is refused", _npy(_said(), version=(9, 9)), BrokenFile, "version 9"),
    Attack("a header of four gigabytes is refused", _npy(_said(), version=(2, 0), length=0xFFFFFFFF), ContainerError),
    Attack("a header of a hundred megabytes is refused", _npy(_said(), version=(2, 0), length=100 << 20), ContainerError),
    Attack("elements that are not there are refused", _npy(_said(), bytes(3)), BrokenFile, "ends early"),
    Attack("a terabyte of elements that are not there is refused", _npy(_said(shape=f"({1 << 38},)")), BrokenFile, "ends early"),
    Attack("elements of a member that are not there are refused", zipped({"a.npy": _npy(_said(), bytes(3))}), BrokenFile, "announces"),
    Attack("a stream of two thousand arrays of nothing opens", _npy(_said(shape="(0,)"), b"") * 2_000, None),
    Attack("a stream behind a line of JSON a hundred thousand deep opens",
           b"[" * 100_000 + b"]" * 100_000 + b"\n" + _npy(_said()), None),
    Attack("a stream whose line is a number of a hundred thousand digits opens", b'{"a": ' + b"9" * 100_000 + b"}\n" + _npy(_said()), None),
    Attack("a stream that ends in a header is refused", _npy(_said()) * 2 + _npy(_said())[:30], BrokenFile),
)  # fmt: skip
