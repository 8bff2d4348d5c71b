"""ONNX models whose data lie elsewhere, whose lengths lie, whose messages nest without end.

Sources: onnx.proto; onnx's CVE-2022-25882 and CVE-2024-27318 (external data by "..", by links), CVE-2024-5187 (paths of a tar).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bytes_of import FOUR_FLOATS, field, varint
from museum import Attack

from gatewise.errors import ContainerError, GatewiseError


def _tensor(
    name: str, shape: tuple[int, ...] = (4,), raw: bytes | None = FOUR_FLOATS, more: bytes = b"", kind: int = 1
) -> bytes:
    return (
        b"".join(field(1, size) for size in shape)
        + field(2, kind)
        + field(8, name)
        + (field(9, raw) if raw is not None else b"")
        + more
    )


def _model(*tensors: bytes, nodes: bytes = b"", more: bytes = b"") -> bytes:
    graph = nodes + field(2, "graph") + b"".join(field(5, each) for each in tensors)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17)) + more


def _external(**said: str) -> bytes:
    entries = b"".join(field(13, field(1, key) + field(2, value)) for key, value in said.items())
    return _model(_tensor("w", raw=None, more=entries + field(14, 1)))


def _linked(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model.onnx").write_bytes(_external(location="w.bin"))
        (folder / "w.bin").symlink_to(target)
        return folder / "model.onnx"

    return make


def _linked_folder(folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(_external(location="data/passwd"))
    (folder / "data").symlink_to("/etc")
    return folder / "model.onnx"


def _beside(data: bytes, **said: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model.onnx").write_bytes(_external(location="w.bin", **said))
        (folder / "w.bin").write_bytes(data)
        return folder / "model.onnx"

    return make


def _nested(number: int, depth: int) -> bytes:
    """A message in a message in a message; what is doubled is only the length."""
    data = b""
    for _ in range(depth):
        data = field(number, data)
    return data


def _subgraphs(depth: int) -> bytes:
    """An If whose branch has an If whose branch …"""
    graph = field(2, "g")
    for _ in range(depth):
        node = (
            field(1, "c")
            + field(2, "y")
            + field(4, "If")
            + field(5, field(1, "then_branch") + field(6, graph) + field(20, 5))
        )
        graph = field(1, node) + field(2, "g")
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))


def _functions(depth: int) -> bytes:
    """Functions that call the next one twice: 2^depth nodes when they are opened."""

    def call(name: str) -> bytes:
        return field(1, "x") + field(2, "y") + field(4, name) + field(7, "own")

    made = b""
    for level in range(depth):
        calls = field(7, call(f"f{level + 1}")) * 2 if level + 1 < depth else b""
        made += field(25, field(1, f"f{level}") + field(4, "x") + field(5, "y") + calls + field(10, "own"))
    return _model(_tensor("w"), nodes=field(1, call("f0")), more=made)


def _self_calling() -> bytes:
    call = field(1, "x") + field(2, "y") + field(4, "f") + field(7, "own")
    return _model(
        _tensor("w"),
        nodes=field(1, call),
        more=field(25, field(1, "f") + field(4, "x") + field(5, "y") + field(7, call) + field(10, "own")),
    )


LOCATIONS = ("/etc/passwd", "../../../../etc/passwd", "..\\..\\etc\\passwd", "C:\\secret", "", ".", "..", "a/../../../etc/passwd", "w.bin\0.txt",
             "/dev/zero", "/proc/self/mem", "file:///etc/passwd", "http://127.0.0.1/w", "~/secret", "a" * 5_000)  # fmt: skip
SHAPES = {
    "2^62 twice": (1 << 62, 1 << 62),
    "fewer than none": (-1,),
    "a terabyte": (1 << 40,),
    "the right size through an overflow": (1 << 62, 4, 4),
    "a thousand axes": (1,) * 1_000,
    "2^62 rows of nothing": (1 << 62, 0),
}
ATTACKS = (
    *(Attack(f"data at {place[:30]!r} are not read", _external(location=place), GatewiseError) for place in LOCATIONS),
    Attack("data behind a link to /etc are not read", _linked("/etc/passwd"), GatewiseError),
    Attack("data behind a link to an endless device are not read", _linked("/dev/zero"), GatewiseError),
    Attack("data in a folder that is a link are not read", _linked_folder, GatewiseError),
    Attack("data that are not there are said", _external(location="nothing.bin"), GatewiseError),
    Attack("data beyond the end of their file are refused", _beside(FOUR_FLOATS, offset="1000", length="16"), GatewiseError),
    Attack("data before the beginning of their file are refused", _beside(FOUR_FLOATS, offset="-16", length="16"), GatewiseError),
    Attack("data of a length that lies are refused", _beside(FOUR_FLOATS, length=str(1 << 62)), GatewiseError),
    Attack("data at a place that is no number are refused", _beside(FOUR_FLOATS, offset="__import__('os')"), GatewiseError),
    Attack("data at a place of ten thousand digits are refused", _beside(FOUR_FLOATS, offset="9" * 10_000), GatewiseError),
    *(Attack(f"a tensor of {what} is refused", _model(_tensor("w", shape)), (None, ContainerError)) for what, shape in SHAPES.items()),
    Attack("a tensor of a type that there is not", _model(_tensor("w", kind=9_999)), (None, ContainerError)),
    Attack("a tensor of texts", _model(_tensor("w", kind=8, raw=None)), (None, ContainerError)),
    Attack("a thousand tensors of one name", _model(*[_tensor("w")] * 1_000), (None, ContainerError)),
    Attack("messages fifty thousand deep", field(1, 8) + field(7, _nested(1, 1_000)), (None, ContainerError)),
    Attack("branches in branches", _subgraphs(120), (None, ContainerError)),
    Attack("functions that call twice what calls twice", _functions(40), (None, ContainerError)),
    Attack("a function that calls itself", _self_calling(), (None, ContainerError)),
    Attack("a length of 2^63", field(1, 8) + varint(7 << 3 | 2) + varint(1 << 63) + b"a", ContainerError),
    Attack("a length of ten bytes of ones", field(1, 8) + varint(7 << 3 | 2) + b"\xff" * 10, ContainerError),
    Attack("a varint without an end", field(1, 8) + varint(7 << 3) + b"\x80" * 100_000, ContainerError),
    Attack("packed numbers that end early", _model(_tensor("w", raw=None, more=varint(4 << 3 | 2) + varint(1 << 40))), ContainerError),
    Attack("packed numbers that are no whole numbers", _model(_tensor("w", raw=None, more=field(4, b"abc"))), (None, ContainerError)),
    Attack("a million empty nodes", _model(_tensor("w"), nodes=field(1, b"") * 100_000), (None, ContainerError)),
    Attack("a group that begins and never ends", field(1, 8) + varint(7 << 3 | 3), ContainerError),
    Attack("a field of number 0", field(1, 8) + b"\x00\x00", ContainerError),
)  # fmt: skip
