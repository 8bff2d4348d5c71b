"""Writes HDF5 front to back: groups, texts as attributes, and contiguous datasets, whose elements pass through in pieces.

Everything about the file is known before its first byte, so it can go straight into an archive, and no tensor is held.
The forms are the oldest, which every libhdf5 reads: superblock 0, version 1 object headers, symbol tables, global heaps.
Nothing depends on a library's version: the same tree gives the same bytes everywhere.
Source: HDF5 File Format Specification 3.0, sections II to IV; files of libhdf5 1.14.  Not known here: Keras.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import NotRepresentable
from ..record import field, record
from ..tensors import StoredTensor
from ._hdf5_messages import SIGNATURE

_UNDEFINED = b"\xff" * 8
_LEAF, _INNER = 8, 32  # entries of one symbol node, children of one B-tree node: twice the superblock's 4 and 16
_SPACE, _TYPE, _FILL, _LAYOUT, _ATTRIBUTE, _TABLE = 1, 3, 5, 8, 12, 17  # header messages
_COLLECTION, _STRINGS = 1 << 12, 60_000  # the smallest collection of strings, in bytes; how many go into one
_TEXT = bytes.fromhex("19010100 10000000 10000000 01000000 00000800 00000000")  # UTF-8 of any length, ended by a zero
_NO_FILL = bytes((2, 2, 2, 1, 0, 0, 0, 0))  # libhdf5's default: zeros, if elements were ever missing

_FLOATS = {  # dtype → bytes; sign bit; exponent's place and bits; mantissa's place and bits; bias
    "float16": (2, 15, 10, 5, 0, 10, 15),
    "float32": (4, 31, 23, 8, 0, 23, 127),
    "float64": (8, 63, 52, 11, 0, 52, 1023),
}
_INTEGERS = {f"{sign}int{bits}": (bits, sign == "") for bits in (8, 16, 32, 64) for sign in ("", "u")}


@record
class Folder:
    """A group: texts and lists of texts by name, and what it holds."""

    attributes: dict[str, str | list[str]] = field(default_factory=dict)
    members: dict[str, Folder | StoredTensor] = field(default_factory=dict)

    def at(self, path: str) -> Folder:
        """The group at a path below this one, made where there is none.  Raises NotRepresentable where a dataset is."""
        here = self
        for part in _parts(path):
            found = here.members.setdefault(part, Folder())
            if isinstance(found, StoredTensor):
                raise NotRepresentable(f"{part!r} in {path!r} is a tensor and would be a group too.")
            here = found
        return here

    def put(self, path: str, tensor: StoredTensor) -> None:
        """A tensor at a path below this group.  Raises NotRepresentable where something is."""
        last = _parts(path)[-1]
        above = path.rpartition("/")[0]
        place = self.at(above) if above else self
        if last in place.members:
            raise NotRepresentable(f"two tensors would lie at {path!r}.")
        place.members[last] = tensor


def _parts(path: str) -> list[str]:
    """The names in a path, each one that a link can have.  Raises NotRepresentable."""
    parts = path.split("/")
    if any(part in ("", ".") for part in parts):
        raise NotRepresentable(f"HDF5 cannot name {path!r}: a part of it is empty or a dot.")
    return parts


def _utf8(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raw = b"\0"
    if b"\0" in raw:
        raise NotRepresentable(f"HDF5 cannot hold {text!r:.60}: it is no text, or a zero in it would end it.")
    return raw


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def _padded(raw: bytes) -> bytes:
    return raw + b"\0" * (-len(raw) % 8)


def _message(kind: int, body: bytes, flags: int = 0) -> bytes:
    body = _padded(body)
    return _little(kind, 2) + _little(len(body), 2) + _little(flags, 4) + body


def _space(shape: tuple[int, ...], whole: bool = False) -> bytes:
    """A dataspace; ``whole``: with its largest sizes, which are the same."""
    sizes = b"".join(_little(size, 8) for size in shape)
    return bytes((1, len(shape), 1 if shape else 0, 0, 0, 0, 0, 0)) + sizes * (2 if whole or shape else 1)


def _type(tensor: StoredTensor) -> bytes:
    if tensor.dtype in _FLOATS:
        size, sign, *places, bias = _FLOATS[tensor.dtype]
        return (
            bytes((0x11, 0x20, sign, 0))
            + _little(size, 4)
            + _little(size * 8 << 16, 4)
            + bytes(places)
            + _little(bias, 4)
        )
    if tensor.dtype in _INTEGERS:
        bits, signed = _INTEGERS[tensor.dtype]
        return bytes((0x10, 8 if signed else 0, 0, 0)) + _little(bits // 8, 4) + _little(bits << 16, 4)
    if tensor.dtype == "bool":  # h5py's: an enumeration of int8
        base = bytes((0x10, 8, 0, 0)) + _little(1, 4) + _little(8 << 16, 4)
        return bytes((0x18, 2, 0, 0)) + _little(1, 4) + base + b"FALSE\0\0\0TRUE\0\0\0\0" + b"\0\1"
    raise NotRepresentable(f"tensor {tensor.name!r} is {tensor.dtype}, which HDF5 has no word for.")


class Plan:
    """A tree, placed: ``size`` bytes in all, which ``pieces`` gives from the first to the last."""

    def __init__(self, root: Folder):
        self._blocks: list[bytes | StoredTensor] = [b""]  # the superblock comes last, once the end is known
        self._at = 96
        self._elements: list[tuple[int, StoredTensor]] = []  # where each one's address stands in the blocks
        self._texts: dict[str, list[bytes]] = {}  # where each one lies, as often as it is used
        self._collections(root)
        top = self._group(root)
        for number, tensor in self._elements:
            self._locate(number, tensor)
        self.size = self._at
        self._blocks[0] = self._superblock(*top)

    def pieces(self) -> Iterator[bytes | memoryview]:
        for block in self._blocks:
            if isinstance(block, StoredTensor):
                yield from block.pieces()
            else:
                yield block

    def _put(self, block: bytes) -> int:
        """Where a block of metadata lies: all of them have lengths of whole 8 bytes."""
        at = self._at
        self._blocks.append(block)
        self._at += len(block)
        return at

    def _superblock(self, header: int, tree: int, heap: int) -> bytes:
        return (
            SIGNATURE + bytes((0, 0, 0, 0, 0, 8, 8, 0)) + _little(_LEAF // 2, 2) + _little(_INNER // 2, 2)
            + bytes(12) + _UNDEFINED + _little(self.size, 8) + _UNDEFINED + _entry(0, header, tree, heap)
        )  # fmt: skip

    # Groups.

    def _group(self, folder: Folder) -> tuple[int, int, int]:
        """Everything below a group and the group: (its header, its B-tree, the heap of its names)."""
        names, entries = bytearray(8), []
        for name, member in sorted(folder.members.items(), key=lambda item: _utf8(item[0])):
            offset = len(names)
            names += _padded(_utf8(name) + b"\0")
            entries.append((offset, self._member(offset, member)))
        tree = self._tree(entries)
        heap = self._put(
            b"HEAP" + bytes(4) + _little(len(names), 8) + _little(1, 8) + _little(self._at + 32, 8) + names
        )
        messages = [_message(_TABLE, _little(tree, 8) + _little(heap, 8))]
        messages += (self._attribute(name, value) for name, value in folder.attributes.items())
        return self._header(messages), tree, heap

    def _member(self, offset: int, member: Folder | StoredTensor) -> bytes:
        if isinstance(member, Folder):
            return _entry(offset, *self._group(member))
        return _entry(offset, self._dataset(member))

    def _header(self, messages: list[bytes]) -> int:
        body = b"".join(messages)
        return self._put(bytes((1, 0)) + _little(len(messages), 2) + _little(1, 4) + _little(len(body), 8) + body)

    def _tree(self, entries: list[tuple[int, bytes]]) -> int:
        """A group's B-tree over symbol nodes; a key is where the last name of the node before it lies in the heap."""
        nodes: list[tuple[int, int]] = []  # (the last key, the address)
        for start in range(0, len(entries), _LEAF):
            part = entries[start : start + _LEAF]
            body = b"SNOD\1\0" + _little(len(part), 2) + b"".join(entry for _, entry in part)
            nodes.append((part[-1][0], self._put(body.ljust(8 + 40 * _LEAF, b"\0"))))
        level = 0
        while True:
            nodes = [self._node(level, nodes, start) for start in range(0, max(len(nodes), 1), _INNER)]
            if len(nodes) == 1:
                return nodes[0][1]
            level += 1

    def _node(self, level: int, nodes: list[tuple[int, int]], start: int) -> tuple[int, int]:
        part = nodes[start : start + _INNER]
        first = nodes[start - 1][0] if start else 0
        length = 24 + 8 * (2 * _INNER + 1)
        at = self._at  # brothers are neighbours
        body = b"TREE\0" + bytes((level,)) + _little(len(part), 2)
        body += _little(at - length, 8) if start else _UNDEFINED
        body += _little(at + length, 8) if start + _INNER < len(nodes) else _UNDEFINED
        body += _little(first, 8) + b"".join(_little(child, 8) + _little(key, 8) for key, child in part)
        self._put(body.ljust(length, b"\0"))
        return (part[-1][0] if part else 0), at

    # Datasets.

    def _dataset(self, tensor: StoredTensor) -> int:
        messages = [
            _message(_SPACE, _space(tensor.shape)),
            _message(_TYPE, _type(tensor), 1),
            _message(_FILL, _NO_FILL, 1),
        ]
        layout = bytes((3, 1)) + _UNDEFINED + _little(tensor.nbytes, 8)
        at = self._header([*messages, _message(_LAYOUT, layout)])
        if tensor.nbytes:
            self._elements.append((len(self._blocks) - 1, tensor))
        return at

    def _locate(self, number: int, tensor: StoredTensor) -> None:
        """Place a tensor's elements behind everything, and say so in its header, whose last message is the layout."""
        padding = -self._at % 8
        header = self._blocks[number]
        if isinstance(header, bytes):
            self._blocks[number] = header[:-22] + _little(self._at + padding, 8) + header[-14:]
        self._blocks += [bytes(padding)] * bool(padding) + [tensor]
        self._at += padding + tensor.nbytes

    # Texts.

    def _attribute(self, name: str, value: str | list[str]) -> bytes:
        texts = [value] if isinstance(value, str) else value
        space = _space(()) if isinstance(value, str) else _space((len(texts),))
        raw = _utf8(name) + b"\0"
        sizes = _little(len(raw), 2) + _little(len(_TEXT) - 4, 2) + _little(len(space), 2)
        body = b"\1\0" + sizes + _padded(raw) + _TEXT + _padded(space)
        body += b"".join(self._texts[text].pop() if text else bytes(16) for text in texts)
        if len(body) > 0xFFF8:
            raise NotRepresentable(f"the attribute {name!r} has {len(texts):,} texts, more than HDF5 holds in one.")
        return _message(_ATTRIBUTE, body)

    def _collections(self, root: Folder) -> None:
        """Every text of the tree in global heaps, one for each use: libhdf5 frees what it overwrites, and asks nobody else."""
        texts = [text for text in _texts_in(root) if text]
        for start in range(0, len(texts), _STRINGS):
            part = texts[start : start + _STRINGS]
            at, body = self._at, bytearray()
            for index, text in enumerate(part, 1):
                raw = _utf8(text)
                place = _little(len(raw), 4) + _little(at, 8) + _little(index, 4)
                self._texts.setdefault(text, []).append(place)
                body += _little(index, 2) + bytes(6) + _little(len(raw), 8) + _padded(raw)
            size = max(_COLLECTION, 16 + len(body))
            left = size - 16 - len(body)
            body += (bytes(8) + _little(left, 8)).ljust(left, b"\0") if left >= 16 else bytes(left)
            self._put(b"GCOL\1\0\0\0" + _little(size, 8) + body)


def _texts_in(folder: Folder) -> Iterator[str]:
    for value in folder.attributes.values():
        yield from [value] if isinstance(value, str) else value
    for member in folder.members.values():
        if isinstance(member, Folder):
            yield from _texts_in(member)


def _entry(name: int, header: int, *table: int) -> bytes:
    """A symbol table's entry; of a group with where its B-tree and its heap lie."""
    cached = _little(1, 8) + _little(table[0], 8) + _little(table[1], 8) if table else bytes(24)
    return _little(name, 8) + _little(header, 8) + cached
