"""ONNX models made byte by byte, for what no library would write."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from filemakers import afresh

from gatewise.containers._protobuf import encoded_varint

FLOAT, INT64 = 1, 7


def number(field: int, value: int) -> bytes:
    return encoded_varint(field << 3) + encoded_varint(value)


def piece(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return encoded_varint(field << 3 | 2) + encoded_varint(len(raw)) + raw


def tensor(name: str, shape: Iterable[int], raw: bytes | None = None, kind: int = FLOAT, more: bytes = b"") -> bytes:
    dims = b"".join(number(1, size) for size in shape)
    return dims + number(2, kind) + piece(8, name) + (piece(9, raw) if raw is not None else b"") + more


def floats(name: str, shape: tuple[int, ...], seed: int = 0) -> bytes:
    return tensor(name, shape, np.random.default_rng(seed).standard_normal(shape).astype("<f4").tobytes())


def longs(name: str, values: list[int]) -> bytes:
    return tensor(name, [len(values)], struct.pack(f"<{len(values)}q", *values), INT64)


def external(name: str, shape: tuple[int, ...], **said: object) -> bytes:
    entries = b"".join(piece(13, piece(1, key) + piece(2, str(value))) for key, value in said.items())
    return tensor(name, shape, more=entries + number(14, 1))


def attribute(name: str, value: object) -> bytes:
    if isinstance(value, int):
        return piece(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, str):
        return piece(1, name) + piece(4, value) + number(20, 3)
    if isinstance(value, list):
        return piece(1, name) + b"".join(number(8, each) for each in value) + number(20, 7)
    kind, content = value  # type: ignore[misc]
    return piece(1, name) + piece({"t": 5, "g": 6}[kind], content) + number(20, {"t": 4, "g": 5}[kind])


def node(
    op: str, inputs: list[str], outputs: list[str], name: str = "", domain: str = "", **attributes: object
) -> bytes:
    return (
        b"".join(piece(1, each) for each in inputs)
        + b"".join(piece(2, each) for each in outputs)
        + piece(3, name)
        + piece(4, op)
        + b"".join(piece(5, attribute(key, value)) for key, value in attributes.items())
        + (piece(7, domain) if domain else b"")
    )


def graph(nodes: list[bytes] = [], tensors: list[bytes] = [], inputs: list[str] = [], more: bytes = b"") -> bytes:  # noqa: B006
    return (
        b"".join(piece(1, each) for each in nodes)
        + piece(2, "graph")
        + b"".join(piece(5, each) for each in tensors)
        + b"".join(piece(11, piece(1, each)) for each in inputs)
        + more
    )


def model(content: bytes, opset: int = 17, functions: list[bytes] = [], ir: int = 8) -> bytes:  # noqa: B006
    return (
        number(1, ir)
        + piece(7, content)
        + piece(8, piece(1, "") + number(2, opset))
        + b"".join(piece(25, each) for each in functions)
    )


def function(name: str, inputs: list[str], outputs: list[str], nodes: list[bytes], domain: str = "own") -> bytes:
    return (
        piece(1, name)
        + b"".join(piece(4, each) for each in inputs)
        + b"".join(piece(5, each) for each in outputs)
        + b"".join(piece(7, each) for each in nodes)
        + piece(10, domain)
    )


def saved(folder: Path, content: bytes, name: str = "model.onnx") -> Path:
    return afresh(folder / name, content)


def lstm(units: int = 4, features: int = 5, ways: int = 1, bias: bool = True) -> tuple[list[bytes], list[bytes]]:
    """(nodes, tensors) of one LSTM."""
    rows = 4 * units
    tensors = [floats("W", (ways, rows, features), 1), floats("R", (ways, rows, units), 2)]
    tensors += [floats("B", (ways, 2 * rows), 3)] if bias else []
    direction = {"direction": "bidirectional"} if ways == 2 else {}
    given = ["X", "W", "R", *(["B"] if bias else [])]
    return [node("LSTM", given, ["Y", "Y_h", "Y_c"], "lstm", hidden_size=units, **direction)], tensors
