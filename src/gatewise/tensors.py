"""THE WAIST: what every container gives and every layout takes.

A file becomes a :class:`Tensors`: a mapping from names to :class:`StoredTensor`, lazy, with what the file says about
its objects (:class:`Declared`) and about who wrote it (:class:`WrittenBy`).  This module knows no file format and no
cell.  It does not import numpy: names, shapes and dtypes are known without it, arrays are made when asked for.
"""

from __future__ import annotations

import bisect
import math
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from .errors import BrokenFile, GatewiseError
from .pieces import InPieces, in_pieces
from .record import field, lazy, record, replace

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    Array = np.ndarray[Any, Any]

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1,
    "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip
FLOATS = frozenset(("float64", "float32", "float16", "bfloat16"))
_FROM_ML_DTYPES = frozenset(
    ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
)  # numpy has no such types; the package ml_dtypes gives them to it


def numpy_dtype(name: str, big_endian: bool = False) -> np.dtype[Any]:
    """The numpy dtype for one of the names in ITEM_BYTES.  bfloat16 and float8 come from ``ml_dtypes``."""
    import numpy as np

    if name in _FROM_ML_DTYPES:
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    else:
        dtype = np.dtype(name)
    return dtype.newbyteorder(">") if big_endian else dtype


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides, in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@record
class Strided:
    """Elements that lie in a buffer: a mapped file, an archive member, a storage.

    ``buffer`` is a memoryview of bytes, or a function that gives one (compressed members open when asked).
    ``offset`` and ``strides`` count elements, as torch does.  ``storage`` names the storage: two tensors with the
    same storage and overlapping elements share weights.
    """

    buffer: memoryview | Callable[[], memoryview]
    offset: int = 0
    strides: tuple[int, ...] | None = None
    big_endian: bool = False
    storage: str | None = None

    def __init__(  # as record would make it; one for each tensor of a file, so it is written out
        self, buffer: memoryview | Callable[[], memoryview], offset: int = 0, strides: tuple[int, ...] | None = None,
        big_endian: bool = False, storage: str | None = None,
    ):  # fmt: skip
        state = vars(self)
        state["buffer"], state["offset"], state["strides"] = buffer, offset, strides
        state["big_endian"], state["storage"] = big_endian, storage

    @property
    def ground(self) -> object | None:
        """The object whose memory the elements lie in, a mapped file or an array; None: they are opened anew when asked."""
        return getattr(self.buffer, "obj", None)

    def array(self, tensor: StoredTensor) -> Array:
        """A read-only view of the elements, never a copy of a mapped buffer."""
        import numpy as np

        buffer = self.buffer if isinstance(self.buffer, memoryview) else self.buffer()
        dtype = numpy_dtype(tensor.dtype, self.big_endian)
        strides = contiguous_strides(tensor.shape) if self.strides is None else self.strides
        if 0 in tensor.shape:
            try:
                empty: Array = np.empty(tensor.shape, dtype)
            except ValueError:  # numpy counts the axes that are not 0
                raise BrokenFile(
                    f"tensor {tensor.name!r} has the shape {tensor.shape}, which numpy cannot say."
                ) from None
            empty.flags.writeable = False
            return empty
        _still_whole(buffer.obj, tensor)
        last = self.offset + sum((size - 1) * step for size, step in zip(tensor.shape, strides, strict=True))
        if self.offset < 0 or min(strides, default=0) < 0 or (last + 1) * dtype.itemsize > len(buffer):
            raise BrokenFile(
                f"tensor {tensor.name!r} reaches past the end of its storage: it needs "
                f"{(last + 1) * dtype.itemsize:,} bytes, the storage has {len(buffer):,}.",
                next="The file is cut or damaged; fetch it again.",
            )
        view: Array = np.ndarray(
            tensor.shape,
            dtype,
            buffer=buffer,
            offset=self.offset * dtype.itemsize,
            strides=tuple(step * dtype.itemsize for step in strides),
        )
        view.flags.writeable = False
        return view


def _still_whole(ground: object, tensor: StoredTensor) -> None:
    """A mapped file that somebody has cut since it was opened: to look behind its end would end this process (SIGBUS).
    What is cut at the very moment at which it is read is not seen here, and does."""
    if isinstance(ground, mmap.mmap) and ground.size() < len(ground):
        raise BrokenFile(
            f"tensor {tensor.name!r} cannot be read: the file has been cut to {ground.size():,} bytes since it was opened, "
            f"when it had {len(ground):,}.",
            next="Whoever writes this file should write another one and rename it; open it again when that is done.",
        )


@record
class StoredTensor:
    """A name, a dtype (one of ITEM_BYTES), a shape, and elements that are read only when asked for.

    ``data`` is where the elements are: :class:`Strided`, or any function that returns an array of that shape and
    dtype.  ``where`` says it to people (``member archive/data/3``).  ``made_from`` says how a tensor came about that
    the file does not hold as such (``weight_hh_l0_g * weight_hh_l0_v / |weight_hh_l0_v|``), ``sources`` from which.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Strided | Callable[[], Array] = field(repr=False)
    where: str = ""
    made_from: str = ""
    sources: tuple[str, ...] = ()

    def __init__(  # as record would make it; see Strided
        self, name: str, dtype: str, shape: tuple[int, ...], data: Strided | Callable[[], Array], where: str = "",
        made_from: str = "", sources: tuple[str, ...] = (),
    ):  # fmt: skip
        state = vars(self)
        state["name"], state["dtype"], state["shape"], state["data"] = name, dtype, shape, data
        state["where"], state["made_from"], state["sources"] = where, made_from, sources

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_BYTES[self.dtype]

    @property
    def identity(self) -> tuple[object, ...] | None:
        """Equal for two tensors that are the same elements of the same storage; None where that is not known."""
        if isinstance(self.data, Strided) and self.data.storage is not None:
            return (self.data.storage, self.data.offset, self.data.strides, self.shape, self.dtype)
        return None

    def array(self) -> Array:
        """The elements, read-only.  A view of the mapped file where the file allows it."""
        if isinstance(self.data, Strided):
            return self.data.array(self)
        try:
            return self.data()
        except GatewiseError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Elements that are computed: what they are computed from is the file's, and may fit nothing.
            raise BrokenFile(
                f"tensor {self.name!r}: its elements cannot be made of what the file holds ({error}).", where=self.where or None,
                next="The file is cut or damaged; fetch it again.",
            ) from error  # fmt: skip

    def require_whole(self) -> None:
        """For whoever looks at an array again that he has had for a while.  Raises BrokenFile where the file behind it has
        been cut meanwhile, as :meth:`array` does."""
        if isinstance(self.data, Strided):
            _still_whole(self.data.ground, self)

    def pieces(self) -> Iterator[memoryview]:
        """The elements' bytes, row-major and little-endian, about a megabyte at once, for whoever writes them.  The file
        behind them is read as they are asked for, and no more of it than that is kept in memory."""
        if isinstance(self.data, InPieces):
            return self.data.pieces()
        return in_pieces(self.array(), numpy_dtype(self.dtype))

    def cast(self, dtype: str) -> StoredTensor:
        """The same numbers in another dtype, rounded as numpy rounds them."""
        return replace(self, dtype=dtype, data=_Cast(self, dtype))

    def renamed(self, name: str) -> StoredTensor:
        return replace(self, name=name)


class _Cast(InPieces):
    """A tensor's elements in another dtype."""

    def __init__(self, tensor: StoredTensor, dtype: str):
        self._tensor = tensor
        self._dtype = dtype

    def __call__(self) -> Array:
        return self._tensor.array().astype(numpy_dtype(self._dtype))

    def pieces(self) -> Iterator[memoryview]:
        return in_pieces(self._tensor.array(), numpy_dtype(self._dtype))


@record
class Declared:
    """What a file says of one object in it: a pickled module, a Keras layer's config, an ONNX node.

    ``path``      its tensors' names begin with it ("" for the root)
    ``kind``      its class or operator, as the file spells it: ``torch.nn.modules.rnn.LSTM``, ``keras.LSTM``
    ``settings``  its attributes: plain values only
    ``name``      the user's own name for it, where that is not the path
    ``after``     paths of the objects whose output it takes directly, where the file tells
    ``supposed``  what is taken for granted about ``after``, where the file could hide something between the two
    ``version``   the version of the framework that wrote it, where the file tells (``2.2.4-tf``)
    ``inputs``    the tensors that it is given, by what its own operator calls them: ``{"W": "onnx::LSTM_209"}``; a layout
                  whose ``kinds`` has this class finds its parts by these words, whatever the tensors are called
    """

    path: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    after: tuple[str, ...] = ()
    version: str | None = None
    member: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    supposed: str = ""


@record
class WrittenBy:
    """Who wrote the file and how we know.  ``version`` is a specifier: ``>=1.0,<1.4``, ``2.2.4``, or ""."""

    framework: str
    version: str
    because: str

    def as_dict(self) -> dict[str, str]:
        return {"framework": self.framework, "version": self.version, "because": self.because}


class Tensors(Mapping[str, StoredTensor]):
    """The tensors of one file by name, in the file's order, with what the file says about them.

    ``path`` and ``bytes`` are the file's, ``container`` is the format's name.  ``naming`` says whose naming scheme
    the names follow where a format has one of its own (``keras-h5``, ``keras-vars``); "" is the framework's plain
    one.  ``notes`` are sentences for people.  ``files`` are those that were opened, more as elements are asked for: they are
    what is never written over.
    """

    def __init__(
        self,
        tensors: Iterable[StoredTensor],
        *,
        path: object = "",
        container: str = "",
        bytes: int = 0,
        naming: str = "",
        declared: Iterable[Declared] = (),
        written_by: Iterable[WrittenBy] = (),
        notes: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ):
        self._by_name = {tensor.name: tensor for tensor in tensors}
        self.path = str(path)
        self.container = container
        self.bytes = bytes
        self.naming = naming
        self.declared = tuple(declared)
        self.written_by = tuple(written_by)
        self.notes = tuple(notes)
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata or {}))
        self.files: dict[str, None] = {}

    def __getitem__(self, name: str) -> StoredTensor:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<Tensors {self.container} {self.path!r}: {len(self)} tensors>"

    @lazy
    def _in_order(self) -> tuple[list[str], Mapping[str, int]]:
        """The names sorted, so that those under one path stand together; and each one's place in the file."""
        return sorted(self._by_name), {name: place for place, name in enumerate(self._by_name)}

    def below(self, path: str) -> list[str]:
        """The names under a path, in the file's order: the path's own, and those that go on behind a ``.``, ``/`` or
        ``_``; every name under "".  Found without a look at the others, since a file may have thousands of paths."""
        if not path:
            return list(self._by_name)
        names, places = self._in_order
        found = [path] if path in places else []
        for separator in "./_":
            first = bisect.bisect_left(names, path + separator)
            behind = bisect.bisect_left(names, path + chr(ord(separator) + 1), first)
            found += names[first:behind]
        return sorted(found, key=places.__getitem__)

    def with_tensors(self, tensors: Iterable[StoredTensor], notes: Iterable[str] = ()) -> Tensors:
        """The same file's facts over other tensors."""
        made = Tensors(
            tensors,
            path=self.path,
            container=self.container,
            bytes=self.bytes,
            naming=self.naming,
            declared=self.declared,
            written_by=self.written_by,
            notes=(*self.notes, *notes),
            metadata=self.metadata,
        )
        made.files = self.files
        return made
