"""ncnn: a network as text in ``.param`` and its weights end to end in a ``.bin`` beside it.

The text lists layers with numbered parameters; the ``.bin`` has no names and no sizes, so every layer's weights are
counted off in order, and they must come out even.  A word before most of them says how they are stored: as they are, in
half precision, as int8, or as indices into a table of 256 numbers.
Source: src/net.cpp, src/paramdict.cpp and src/modelbin.cpp of ncnn, July 2026; ``_ncnn_layers`` for each layer.
Not known here: ``.param.bin``, the text's binary form, and PNNX's graphs, which look alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile
from ..record import record
from ..source import Source
from ..tensors import Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import end_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..tensors import Array

MAGIC = b"7767517"
_HALF, _INT8, _SCALED = 0x01306B47, 0x000D4B38, 0x0002C056
_PASSED_ON = ("Split", "Noop")  # layers that give out what they take in
_NAMES = {0: "num_output", 1: "weight_data_size", 2: "direction", 3: "hidden_size", 8: "int8_scale_term"}
_FETCH_AGAIN = "Fetch the .param and the .bin again, both of one model."


@record
class Layer:
    kind: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[int, Any]


def claims(source: Source) -> bool:
    return bytes(source.data[:7]) == MAGIC and bytes(source.data[7:8]).isspace()


def stands_for(path: Path) -> Path | None:
    """The text beside the weights."""
    return path.with_suffix(".param") if path.suffix == ".bin" and path.with_suffix(".param").is_file() else None


def read(source: Source) -> Tensors:
    layers = list(_layers(source))
    binary = _binary(source)
    blobs = list(_blobs(layers, binary))
    return Tensors(
        [tensor for _, _, tensor in blobs],
        path=source.name,
        container="ncnn",
        bytes=source.size + binary.size,
        declared=list(_declared(layers, blobs)),
        written_by=[WrittenBy("ncnn", "", "the number 7767517 before a list of layers")],
    )


def _binary(source: Source) -> Source:
    name = f"{source.path.stem}.bin"
    if name not in source.folder:
        raise BrokenFile(
            f"its weights {name} are not beside it.",
            path=source.name,
            next="Put the .bin beside the .param, named alike.",
        )
    return source.folder.open(name)


# The text.


def _layers(source: Source) -> Iterator[Layer]:
    source.limits.check("header_bytes", source.size, path=source.name, where=".param")
    lines = [line for line in bytes(source.data).decode("utf-8", "replace").splitlines()[1:] if line.strip()]
    counts = lines[0].split() if lines else []
    if len(counts) != 2 or not all(count.isdigit() for count in counts):
        raise _broken("its second line is not the number of layers and blobs.", source.name)
    source.limits.check("members", int(counts[0]), path=source.name, where=".param")
    if len(lines) - 1 != int(counts[0]):
        raise _broken(f"announces {int(counts[0]):,} layers and lists {len(lines) - 1:,}.", source.name)
    taken: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 1):
        yield _layer(line.split(), f"layer {number}", source, taken)


def _layer(words: list[str], where: str, source: Source, taken: dict[str, int]) -> Layer:
    if len(words) < 4 or not (words[2].isdigit() and words[3].isdigit()):
        raise _broken(
            f"{' '.join(words)[:60]!r} is no layer: kind, name, how many inputs and outputs.", source.name, where
        )
    if "." in words[0]:
        raise BrokenFile(
            f"has a layer of the kind {words[0]}, which is PNNX's.", path=source.name, where=where,
            next="Name the .ncnn.param that pnnx wrote beside it.",
        )  # fmt: skip
    inputs, outputs = int(words[2]), int(words[3])
    if inputs + outputs > len(words) - 4:
        raise _broken(f"{words[1]!r} names fewer than its {inputs + outputs} blobs.", source.name, where)
    count = taken[words[1]] = taken.get(words[1], 0) + 1
    ends = 4 + inputs + outputs
    return Layer(
        words[0], words[1] if count == 1 else f"{words[1]}#{count}", tuple(words[4 : 4 + inputs]),
        tuple(words[4 + inputs : ends]), dict(_parameter(word, where, source) for word in words[ends:]),
    )  # fmt: skip


def _parameter(word: str, where: str, source: Source) -> tuple[int, Any]:
    """``0=16`` and ``1=0.5``; ``-23300=2,1,3`` is a list, and its key 0."""
    key, _, value = word.partition("=")
    if not key.lstrip("-").isdigit() or not value:
        raise _broken(f"{word[:60]!r} is no parameter.", source.name, where)
    number = int(key)
    if number <= -23300:
        return -number - 23300, [_value(each) for each in value.split(",")[1:]]
    return number, _value(value)


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _broken(message: str, path: Any, where: str = ".param") -> BrokenFile:
    return BrokenFile(message, path=path, where=where, next=_FETCH_AGAIN)


# The weights.


def _blobs(layers: list[Layer], binary: Source) -> Iterator[tuple[Layer, str, StoredTensor]]:
    """(layer, the source's word, tensor) of every weight, counted off."""
    from ._ncnn_layers import BLOBS, Unknown

    cursor, count = binary.cursor(), 0
    for layer in layers:
        cursor.where = f"layer {layer.name!r} ({layer.kind})"
        try:
            for word, shape, kind in BLOBS[layer.kind](dict(layer.parameters)) if layer.kind in BLOBS else ():
                count += 1
                binary.limits.check("tensors", count, path=binary.path, where=cursor.where)
                yield layer, word, _blob(f"{layer.name}.{word}", shape, bool(kind), cursor)
        except Unknown as error:
            raise _broken(f"{error}; what follows it cannot be found.", binary.path, cursor.where) from None
    if cursor.left:
        raise _broken(f"{cursor.left:,} bytes are left behind the last layer's weights.", binary.path, ".bin")


def _blob(name: str, shape: tuple[int, ...], plain: bool, cursor: Cursor) -> StoredTensor:
    if min(shape, default=0) < 0:
        raise cursor.fail(f"its {name!r} would have the shape {list(shape)}.", next=_FETCH_AGAIN)
    count = math.prod(shape)
    flag = 0 if plain else cursor.u32()
    begin = cursor.base + cursor.at
    where, storage = f"byte {begin}", str(begin)
    if flag == _HALF:
        return StoredTensor(name, "float16", shape, Strided(_padded(cursor, 2 * count), storage=storage), where)
    if flag == _INT8:
        return StoredTensor(name, "int8", shape, Strided(_padded(cursor, count), storage=storage), where)
    if flag not in (0, _SCALED):
        return _from_table(name, shape, cursor, where)
    return StoredTensor(
        name, "float32", shape, Strided(cursor.take(4 * count, "bytes of weights"), storage=storage), where
    )


def _padded(cursor: Cursor, length: int) -> memoryview:
    """Elements of fewer than four bytes are filled up to a multiple of four."""
    return cursor.take(length + -length % 4, "bytes of weights")[:length]


def _from_table(name: str, shape: tuple[int, ...], cursor: Cursor, where: str) -> StoredTensor:
    """256 numbers, then for each element which one it is."""
    table, indices = cursor.take(1024, "bytes of a table"), _padded(cursor, math.prod(shape))

    def opened() -> Array:
        import numpy as np

        made: Array = np.frombuffer(table, "<f4")[np.frombuffer(indices, np.uint8)].reshape(shape)
        made.flags.writeable = False
        return made

    return StoredTensor(name, "float32", shape, opened, where, made_from="a table of 256 numbers")


# The recurrent layers.


def _declared(layers: list[Layer], blobs: list[tuple[Layer, str, StoredTensor]]) -> Iterator[Declared]:
    from ._ncnn_layers import RECURRENT

    makers = {top: layer for layer in layers for top in layer.tops}
    copied: dict[str, str] = {}
    owned: dict[int, dict[str, StoredTensor]] = {}
    for owner, word, tensor in blobs:
        owned.setdefault(id(owner), {})[word] = tensor
    for layer in layers:
        if layer.kind not in RECURRENT:
            continue
        own = owned.get(id(layer), {})
        integers = any(tensor.dtype == "int8" for tensor in own.values())
        settings = {_NAMES[key]: value for key, value in layer.parameters.items() if key in _NAMES}
        settings.setdefault("direction", 0)
        settings.setdefault("hidden_size", settings.get("num_output", 0))
        inputs = {word: tensor.name for word, tensor in own.items()}
        kind = f"ncnn.{layer.kind}" + (" of int8" if integers else "")
        yield Declared(layer.name, kind, settings, layer.name, _after(layer, makers, copied), inputs=inputs)


def _after(layer: Layer, makers: Mapping[str, Layer], copied: dict[str, str]) -> tuple[str, ...]:
    """The recurrent layer whose sequence comes in, perhaps through copies."""
    from ._ncnn_layers import RECURRENT

    def copy_of(blob: str) -> str | None:
        maker = makers.get(blob)
        copies = maker is not None and maker.kind in _PASSED_ON and len(maker.bottoms) == 1
        return maker.bottoms[0] if maker and copies else None

    blob = end_of(layer.bottoms[0] if layer.bottoms else "", copy_of, copied)
    maker = makers.get(blob)
    return (maker.name,) if maker and maker.kind in RECURRENT and maker.tops[0] == blob else ()


CONTAINERS = (
    Container(
        "ncnn",
        title="ncnn network (.param and .bin)",
        source="src/net.cpp, src/modelbin.cpp and src/layer of ncnn, July 2026",
        claims=claims,
        read=read,
        magic=((0, MAGIC),),
        stands_for=stands_for,
        rank=37,
    ),
)
