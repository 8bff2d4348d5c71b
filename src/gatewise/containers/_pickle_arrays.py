"""Writes a tree of dicts, texts, numbers and arrays as a pickle, array by array: what Python's own pickler makes of it.

Protocol 4 (Python 3.4 and later).  Numpy's classes are named ``numpy.core…``, which every numpy loads.  Elements are
written as they come.  Sources: CPython's Lib/pickle.py;
numpy/_core/src/multiarray/methods.c, ``array_reduce`` and ``array_setstate``; descriptor.c, ``arraydescr_reduce``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ..errors import NotRepresentable
from ..tensors import StoredTensor
from ._pickle_write import scalar
from ._pickled_numpy import CODES, ML_DTYPES

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import IO, Any

Tree = Mapping[str, "Any"]  # of trees, of StoredTensor, of texts, numbers and None
_BUILD = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
_PLAIN_DTYPE = b"(K\x03%sNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
_OWN_DTYPE = b"(K\x03%sNNNK%cK%cK@tb"  # size and alignment of a type that numpy does not know


def write(file: IO[bytes], tree: Tree) -> None:
    """The whole pickle.  Raises NotRepresentable."""
    file.write(b"\x80\x04")
    _value(file, tree)
    file.write(b".")


def _value(file: IO[bytes], value: Any) -> None:
    if isinstance(value, StoredTensor):
        _array(file, value)
    elif isinstance(value, str):
        file.write(_text(value))
    elif value is None or isinstance(value, bool | int | float):
        file.write(scalar(value))
    elif isinstance(value, Mapping):
        file.write(b"}(" if value else b"}")
        for key, part in value.items():
            _value(file, key)
            _value(file, part)
        file.write(b"u" if value else b"")
    else:
        raise NotRepresentable(f"a {type(value).__name__} is not written into a pickle.")


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _array(file: IO[bytes], tensor: StoredTensor) -> None:
    shape = b"(" + b"".join(scalar(size) for size in tensor.shape) + b"t"
    size = tensor.nbytes
    length = b"B" + struct.pack("<I", size) if size < 1 << 32 else b"\x8e" + struct.pack("<Q", size)
    file.write(_BUILD + b"(K\x01" + shape + _dtype(tensor) + b"\x89" + length)
    file.writelines(tensor.pieces())
    file.write(b"tb")


def _dtype(tensor: StoredTensor) -> bytes:
    """``numpy.dtype("f4", False, True)`` with its state."""
    if tensor.dtype in ML_DTYPES:
        size = tensor.nbytes // max(tensor.size, 1) or 1
        name, state = f"cml_dtypes\n{tensor.dtype}\n".encode(), _OWN_DTYPE % (_text("<"), size, size)
    elif tensor.dtype in CODES:
        code = CODES[tensor.dtype]
        name, state = _text(code), _PLAIN_DTYPE % _text("|" if code[1:] == "1" else "<")
    else:
        raise NotRepresentable(f"tensor {tensor.name!r} is {tensor.dtype}, which a numpy array cannot be.")
    return b"cnumpy\ndtype\n" + name + b"\x89\x88\x87R" + state
