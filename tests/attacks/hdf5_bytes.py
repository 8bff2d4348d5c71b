"""HDF5 files that no library would write, made byte by byte: trees that hold themselves, names and heaps that are elsewhere,
sizes of 2^63, messages past their block, floods, and parts that lie in one another.

Sources: the HDF5 File Format Specification 3.0; the CVEs of libhdf5 of 2018 to 2025, nearly all of which are sizes in object
headers, heaps and B-trees that nobody held against the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from museum import Attack

from gatewise.errors import BrokenFile, ContainerError, LimitExceeded

NOWHERE = 2**64 - 1
_FLOAT32 = bytes.fromhex("11201f00 04000000 00002000 17080017 7f000000")
_LONG_TEXT = bytes.fromhex("19010100 10000000 10000000 01000000 00000800 00000000")


def message(kind: int, body: bytes, flags: int = 0, size: int | None = None) -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack("<HHB3x", kind, len(body) if size is None else size, flags) + body


def header(*messages: bytes, size: int | None = None) -> bytes:
    body = b"".join(messages)
    return struct.pack("<BxHII4x", 1, min(len(messages), 65535), 1, len(body) if size is None else size) + body


def table(tree: int, heap: int) -> bytes:
    return message(17, struct.pack("<QQ", tree, heap))


def node(children: Sequence[int], level: int = 0, kind: int = 0, keys: bytes | None = None) -> bytes:
    """A B-tree's node; ``keys`` for the chunks of a dataset, each before its child."""
    start = struct.pack("<4sBBHQQ", b"TREE", kind, level, len(children), NOWHERE, NOWHERE)
    if keys is not None:
        return (start + keys).ljust(24 + 64 * 40 + 32, b"\0")
    return (start + b"".join(struct.pack("<QQ", 0, child) for child in children)).ljust(544, b"\0")


def symbols(*entries: tuple[int, int], count: int | None = None) -> bytes:
    found = b"".join(struct.pack("<QQ24x", name, there) for name, there in entries)
    return (struct.pack("<4sBxH", b"SNOD", 1, len(entries) if count is None else count) + found).ljust(328, b"\0")


def heap(at: int, names: bytes, size: int | None = None, place: int | None = None) -> bytes:
    length = len(names) if size is None else size
    return struct.pack("<4s4xQQQ", b"HEAP", length, 1, at + 32 if place is None else place) + names


def attribute(name: str, kind: bytes, space: bytes, elements: bytes) -> bytes:
    raw = name.encode() + b"\0"
    parts = [part + bytes(-len(part) % 8) for part in (raw, kind, space)]
    return message(12, struct.pack("<BxHHH", 1, len(raw), len(kind), len(space)) + b"".join(parts) + elements)


def space(*sizes: int) -> bytes:
    return struct.pack(f"<BBB5x{len(sizes)}Q", 1, len(sizes), 0, *sizes)


def dataset(shape: Sequence[int], layout: bytes) -> bytes:
    return header(message(1, space(*shape)), message(3, _FLOAT32), message(8, layout))


def contiguous(place: int, size: int) -> bytes:
    return struct.pack("<BBQQ", 3, 1, place, size)


def chunked(tree: int, *chunk: int) -> bytes:
    return struct.pack(f"<BBBQ{len(chunk)}I", 3, 2, len(chunk), tree, *chunk)


class File:
    """Bytes that are put one behind the other; ``at`` is where the next ones will lie."""

    def __init__(self) -> None:
        self.data = bytearray(96)

    @property
    def at(self) -> int:
        return len(self.data)

    def put(self, block: bytes) -> int:
        at = self.at
        self.data += block + bytes(-len(block) % 8)
        return at

    def group(self, members: dict[str, int], more: Sequence[bytes] = ()) -> int:
        """A sound group of up to eight members, and what else its header says."""
        names, entries = b"\0" * 8, []
        for name, there in sorted(members.items()):
            entries.append((len(names), there))
            raw = name.encode() + b"\0"
            names += raw + bytes(-len(raw) % 8)
        tree = self.put(node([self.put(symbols(*entries))]))
        return self.put(header(table(tree, self.put(heap(self.at, names))), *more))

    def done(self, root: int) -> bytes:
        """The whole file, whose first group's header is at ``root``."""
        start = b"\x89HDF\r\n\x1a\n" + bytes((0, 0, 0, 0, 0, 8, 8, 0)) + struct.pack("<HHI", 4, 16, 0)
        start += struct.pack("<QQQQ", 0, NOWHERE, self.at, NOWHERE) + struct.pack("<QQ24x", 0, root)
        return start + bytes(self.data[96:])


def _tree(make: Callable[[File], int]) -> bytes:
    """A root group whose B-tree is what ``make`` puts there; its names are a and b."""
    file = File()
    tree = make(file)
    return file.done(file.put(header(table(tree, file.put(heap(file.at, b"\0" * 8 + b"a\0b\0" + bytes(4)))))))


def _itself(file: File) -> int:
    return file.put(node([file.at], level=1))


def _each_other(file: File) -> int:
    at = file.at
    file.put(node([at + 544], level=2))
    file.put(node([at], level=1))
    return at


def _one_way_down(file: File) -> int:
    below = file.put(symbols())
    for level in range(255):
        below = file.put(node([below], level))
    return below


def _the_same_thirty_two_times(file: File) -> int:
    """Six levels, each of which names the one below 32 times: 2^30 symbol nodes."""
    below = file.put(symbols())
    for level in range(6):
        below = file.put(node([below] * 32, level))
    return below


def _symbols(entries: Sequence[tuple[int, int]], count: int | None = None) -> Callable[[File], int]:
    return lambda file: file.put(node([file.put(symbols(*entries, count=count))]))


def _heap(**how: int) -> bytes:
    file = File()
    tree = file.put(node([file.put(symbols((8, 96)))]))
    return file.done(file.put(header(table(tree, file.put(heap(file.at, b"\0" * 8 + b"a\0" + bytes(6), **how))))))


def _suffixes() -> bytes:
    """Twenty thousand names, each the end of one of half a megabyte."""
    file, count = File(), 20_000
    nodes = [
        file.put(symbols(*((8 + (count - 1 - at) * 24, 96) for at in range(start, start + 8))))
        for start in range(0, count, 8)
    ]
    level = 0
    while len(nodes) > 1:
        nodes = [file.put(node(nodes[start : start + 32], level)) for start in range(0, len(nodes), 32)]
        level += 1
    return file.done(file.put(header(table(nodes[0], file.put(heap(file.at, b"\0" * 8 + b"x" * 24 * count + b"\0"))))))


def _later(make: Callable[[], bytes]) -> Callable[[Path], bytes]:
    """What takes long to make is made when it is opened."""
    return lambda _folder: make()


def _root(*messages: bytes, size: int | None = None) -> bytes:
    file = File()
    return file.done(file.put(header(*messages, size=size)))


def _continued_in_itself() -> bytes:
    file = File()
    return file.done(file.put(header(message(16, struct.pack("<QQ", file.at + 16, 24)))))


def _continued_for_ever() -> bytes:
    """A chain of blocks, each a little behind the one before and as long as what is left."""
    file, count = File(), 40_000
    root = file.put(header(message(16, struct.pack("<QQ", file.at + 40, 24 * count))))
    for left in range(count, 0, -1):
        file.put(message(16, struct.pack("<QQ", file.at + 24, 24 * (left - 1))))
    return file.done(root)


def _shared_messages() -> bytes:
    """Two thousand groups whose headers go on in the same sixty thousand empty messages."""
    file = File()
    flood = file.put(message(0, b"") * 60_000)
    return _flat(
        file,
        [file.put(header(message(16, struct.pack("<QQ", flood + 8 * at, 8 * (60_000 - at))))) for at in range(2_000)],
    )


def _shared_tree() -> bytes:
    """Two thousand groups of one B-tree."""
    file = File()
    tree = file.put(node([file.put(symbols((8, 96)))]))
    names = file.put(heap(file.at, b"\0" * 8 + b"a\0" + bytes(6)))
    return _flat(file, [file.put(header(table(tree, names))) for _ in range(2_000)])


def _flat(file: File, headers: Sequence[int]) -> bytes:
    """A root group of so many members."""
    names = b"\0" * 8 + b"".join(b"g%06d\0" % at for at in range(len(headers)))
    nodes = [
        file.put(symbols(*((8 + 8 * at, headers[at]) for at in range(start, min(start + 8, len(headers))))))
        for start in range(0, len(headers), 8)
    ]
    level = 0
    while len(nodes) > 1 or level == 0:
        nodes = [file.put(node(nodes[start : start + 32], level)) for start in range(0, len(nodes), 32)]
        level += 1
    return file.done(file.put(header(table(nodes[0], file.put(heap(file.at, names))))))


def _attributes() -> bytes:
    """A million attributes of sixteen bytes."""
    one = message(12, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    file = File()
    flood = file.put(one * 1_000_000)
    return file.done(file.put(header(message(16, struct.pack("<QQ", flood, len(one) * 1_000_000)))))


def _named_attributes() -> bytes:
    """Sixty thousand attributes of one name, which is asked for again and again."""
    one = attribute("layer_names0", _FLOAT32, space(0), b"")
    file = File()
    flood = file.put(one * 60_000)
    return file.done(file.put(header(message(16, struct.pack("<QQ", flood, len(one) * 60_000)))))


def _texts(count: int, length: int, place: int | None = None, collection: bytes | None = None) -> bytes:
    """layer_names: so many strings, which all lie at one place of a global heap."""
    file = File()
    raw = b"x" * min(length, 1 << 16)
    there = file.put(
        struct.pack("<4sB3xQHH4xQ", b"GCOL", 1, 32 + len(raw), 1, 1, len(raw)) + raw
        if collection is None
        else collection
    )
    where = struct.pack("<IQI", length, there if place is None else place, 1)
    return file.done(file.group({}, [attribute("layer_names", _LONG_TEXT, space(count), where * min(count, 4_000))]))


def _heap_flood() -> bytes:
    """A global heap of sixty thousand objects of no size, all of the same number."""
    return _texts(
        1,
        5,
        collection=struct.pack("<4sB3xQ", b"GCOL", 1, 16 + 16 * 60_000) + struct.pack("<HHIQ", 1, 1, 0, 0) * 60_000,
    )


def _dataset(shape: Sequence[int], layout: Callable[[File], bytes]) -> bytes:
    file = File()
    said = layout(file)
    return file.done(file.group({"w": file.put(dataset(shape, said))}))


def _chunks(
    *each: tuple[int, int, int, int], chunk: int = 4, level: int = 0, packed: bytes = b""
) -> Callable[[File], bytes]:
    """Chunks of so many numbers: (bytes, left-out filters, offset, address; 0 is where ``packed`` lies)."""

    def layout(file: File) -> bytes:
        there = file.put(packed or struct.pack("<4f", 1, 2, 3, 4))
        keys = b"".join(struct.pack("<IIQQQ", size, mask, at, 0, place or there) for size, mask, at, place in each)
        return chunked(file.put(node([0] * len(each), level, 1, keys)), chunk, 4)

    return layout


def _chunk_in_itself(file: File) -> bytes:
    keys = struct.pack("<IIQQQ", 16, 0, 0, 0, file.at)
    return chunked(file.put(node([0], 1, 1, keys)), 4, 4)


def _new_header(checksum: int) -> bytes:
    """An object header of the second version, with link info that says: none."""
    about = struct.pack("<BBQQ", 0, 0, NOWHERE, NOWHERE)
    body = struct.pack("<BHB", 2, len(about), 0) + about
    file = File()
    return file.done(file.put(b"OHDR\2\0" + bytes((len(body),)) + body + struct.pack("<I", checksum)))


ATTACKS = (
    Attack("a B-tree's node that is its own child is refused", _tree(_itself), BrokenFile, "B-tree"),
    Attack("two B-tree's nodes that hold each other are refused", _tree(_each_other), BrokenFile, "B-tree"),
    Attack("a B-tree of 255 levels with nothing in it has an end", _tree(_one_way_down), (None, ContainerError)),
    Attack("a B-tree that names its children thirty-two times has an end", _tree(_the_same_thirty_two_times), BrokenFile, "in one another"),
    Attack("a symbol node of 65,535 entries is refused", _tree(_symbols([(8, 96)], 65_535)), BrokenFile, "symbol node"),
    Attack("a symbol node past the end is refused", _tree(lambda file: file.put(node([1 << 62]))), BrokenFile, "4,611,686,018,427,387,904"),
    Attack("a symbol node at no address is refused", _tree(lambda file: file.put(node([NOWHERE]))), BrokenFile, "nowhere"),
    Attack("a name past the end of its heap is refused", _tree(_symbols([(1 << 63, 96)])), BrokenFile, "its name at byte"),
    Attack("names out of order are refused", _tree(_symbols([(10, 96), (8, 96)])), BrokenFile, "in order"),
    Attack("a name twice is refused", _tree(_symbols([(8, 96), (8, 96)])), BrokenFile, "in order"),
    Attack("an object past the end is left out", _tree(_symbols([(8, 1 << 63)])), (None, BrokenFile)),
    Attack("an object in the middle of another is left out", _tree(_symbols([(8, 104)])), (None, BrokenFile)),
    Attack("a heap of 2^63 bytes is refused", _heap(size=1 << 63), BrokenFile, "local heap"),
    Attack("a heap whose names are past the end is refused", _heap(place=1 << 62), BrokenFile, "local heap"),
    Attack("names that are the ends of one long name are refused", _later(_suffixes), BrokenFile, "in order"),
    Attack("a message past its block is refused", _root(message(17, bytes(16), size=0xFFF8)), BrokenFile, "message of 65,528 bytes"),
    Attack("an object header past the end is refused", _root(message(17, bytes(16)), size=1 << 31), BrokenFile, "object header"),
    Attack("an object header that continues in itself is refused", _continued_in_itself(), BrokenFile),
    Attack("an object header that continues forty thousand times in one block is refused", _later(_continued_for_ever), BrokenFile),
    Attack("an object header that continues past the end is refused", _root(message(16, struct.pack("<QQ", 1 << 63, 64))), BrokenFile),
    Attack("two thousand headers over the same messages are refused", _later(_shared_messages), (None, BrokenFile)),
    Attack("two thousand groups of one B-tree are refused", _later(_shared_tree), BrokenFile, "share"),
    Attack("a million attributes are refused", _later(_attributes), BrokenFile, "more messages"),
    Attack("sixty thousand attributes of one name have an end", _later(_named_attributes), (None, ContainerError)),
    Attack("a text that is 2^32 bytes long is refused", _texts(1, 0xFFFFFFF0), BrokenFile, "4,294,967,280 bytes"),
    Attack("texts past the end are refused", _texts(1, 5, place=1 << 63), BrokenFile, "global heap"),
    Attack("four thousand texts that are one text of 64 kB are refused", _later(lambda: _texts(4_000, 1 << 16)), BrokenFile, "bytes of text"),
    Attack("a list of 2^63 texts is refused", _texts(1 << 63, 5), LimitExceeded),
    Attack("a list of more texts than there are is refused", _texts(100_000, 5), BrokenFile),
    Attack("a heap of sixty thousand objects of one number is refused", _later(_heap_flood), BrokenFile, "two objects"),
    Attack("a shape of 2^126 numbers is refused", _dataset((1 << 63, 1 << 63), lambda _: contiguous(96, 1 << 63)), BrokenFile, "past the end"),
    Attack("elements at 2^63 are refused", _dataset((4,), lambda _: contiguous(1 << 63, 16)), BrokenFile, "past the end"),
    Attack("elements that are more than their layout says are refused", _dataset((4,), lambda _: contiguous(96, 8)), BrokenFile, "past the end"),
    Attack("compact elements past their message are refused", _dataset((4,), lambda _: struct.pack("<BBH", 3, 0, 65_535)), BrokenFile, "elements in a message"),
    Attack("a chunk's tree in itself is refused", _dataset((4,), _chunk_in_itself), BrokenFile, "B-tree"),
    Attack("a chunk past the end is refused", _dataset((4,), _chunks((16, 0, 0, 1 << 63))), BrokenFile, "a chunk of 16 bytes"),
    Attack("a chunk of 4 GB is refused", _dataset((4,), _chunks((0xFFFFFFFF, 0, 0, 0))), BrokenFile, "a chunk of"),
    Attack("a chunk that is shorter than its numbers is refused", _dataset((4,), _chunks((8, 0, 0, 0))), BrokenFile, "a chunk of 8 bytes"),
    Attack("a chunk twice is refused", _dataset((8,), _chunks((16, 0, 0, 0), (16, 0, 0, 0))), BrokenFile, "a chunk at"),
    Attack("a chunk outside of the shape is refused", _dataset((4,), _chunks((16, 0, 4, 0))), BrokenFile, "a chunk at"),
    Attack("a chunk of no numbers is refused", _dataset((4,), _chunks((16, 0, 0, 0), chunk=0)), BrokenFile, "chunks of"),
    Attack("an object header whose checksum does not fit is refused", _new_header(0x12345678), BrokenFile, "checksum"),
)  # fmt: skip
