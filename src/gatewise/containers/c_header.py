"""A C header of weights: ``static const float`` arrays, sizes as macros, and what to compute with them.

    /* gatewise C header 1 … */
    // gatewise layer: {"kind": "c.LSTM", "path": "encoder", "prefix": "encoder", "settings": {…}}
    #define ENCODER_LAYERS 1
    …
    static const float encoder_l0_kernel_i[4][5] = {
      {0.1f, -2.5f, …},
      …
    };

Every array is row-major and called by the layer's prefix, its depth, its direction where that is the reverse one, its
role and its gate.  Numbers are the shortest decimals that a compiler reads as the same float.  The same tensors give the
same text.  What is read is what gatewise wrote: other C is refused.  Source: this module; ISO C99, 6.4.4.2 for numbers.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import BrokenFile, NotRepresentable
from ..source import Source
from ..tensors import Declared, StoredTensor, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..tensors import Array

MAGIC = b"/* gatewise C header 1"
NAMING = "c"
_LAYER = re.compile(rb"^// gatewise layer: (\{[^\r\n]*\})\r?$", re.MULTILINE)
_ARRAY = re.compile(rb"^static const (float|double) ([A-Za-z_]\w*)\[(\d+)\](?:\[(\d+)\])? = \{", re.MULTILINE)
_NUMBER = re.compile(rb"[-+]?\d[-+.\deE]*")
_TYPES = {b"float": "float32", b"double": "float64"}
_FETCH_AGAIN = "The file is cut or was edited; convert it again."


def claims(source: Source) -> bool:
    return bytes(source.data[: len(MAGIC)]) == MAGIC


# Reading.


def read(source: Source) -> Tensors:
    """Names, shapes and types; the numbers are read when asked for."""
    source.limits.check("header_bytes", source.size, path=source.name, where="C header")
    text = bytes(source.data)
    declared = [_declared(found[1], source) for found in _LAYER.finditer(text)]
    prefixes = {f"{settings.pop('prefix')}_": entry for entry, settings in declared}
    tensors = []
    for number, found in enumerate(_ARRAY.finditer(text), 1):
        source.limits.check("tensors", number, path=source.name, where="C header")
        tensors.append(_tensor(found, text, prefixes, source))
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BrokenFile("two arrays have the same name.", path=source.name, where="C header", next=_FETCH_AGAIN)
    return Tensors(
        tensors,
        path=source.name,
        container="c-header",
        bytes=source.size,
        naming=NAMING,
        declared=[entry for entry, _ in declared],
        written_by=[WrittenBy("c", "", "begins as a gatewise C header")],
    )


def _declared(raw: bytes, source: Source) -> tuple[Declared, dict[str, Any]]:
    try:
        said = json.loads(raw)
        path, kind, prefix, settings = (said[key] for key in ("path", "kind", "prefix", "settings"))
        after = tuple(said.get("after", ()))
    except (ValueError, KeyError, TypeError, RecursionError):
        said, path, kind, prefix, settings, after = {}, None, None, None, None, ()
    if not all(isinstance(value, str) for value in (path, kind, prefix, *after)) or not isinstance(settings, dict):
        raise BrokenFile(f"{raw[:60]!r} does not tell a layer.", path=source.name, where="C header", next=_FETCH_AGAIN)
    return Declared(path, kind, settings, path, after), {"prefix": prefix}


def _tensor(found: re.Match[bytes], text: bytes, prefixes: Mapping[str, Declared], source: Source) -> StoredTensor:
    name = found[2].decode()
    shape = tuple(int(size) for size in found.groups()[2:] if size is not None)
    begin, end = found.end(), text.find(b"\n};", found.end())
    where = f"array {name}"
    if end < 0:
        raise BrokenFile("has no end.", path=source.name, where=where, next=_FETCH_AGAIN)
    if math.prod(shape) * 2 > end - begin:
        raise BrokenFile(f"has no room for {list(shape)} numbers.", path=source.name, where=where, next=_FETCH_AGAIN)
    dtype = _TYPES[found[1]]

    def opened() -> Array:
        import numpy as np

        try:
            numbers = [float(number) for number in _NUMBER.findall(text[begin:end].replace(b"f", b""))]
        except ValueError as error:
            raise BrokenFile(
                f"what stands there is not a number: {error}.", path=source.name, where=where, next=_FETCH_AGAIN
            ) from None
        if len(numbers) != math.prod(shape):
            raise BrokenFile(
                f"has {len(numbers)} numbers, its shape {list(shape)} wants {math.prod(shape)}.", path=source.name,
                where=where, next=_FETCH_AGAIN,
            )  # fmt: skip
        made: Array = np.array(numbers, np.float64).astype(dtype).reshape(shape)
        made.flags.writeable = False
        return made

    return StoredTensor(_path_of(name, prefixes), dtype, shape, opened, f"byte {found.start()}")


def _path_of(name: str, prefixes: Mapping[str, Declared]) -> str:
    """The name that gatewise gave it: the layer's own path, a dot, the rest."""
    ends = [at + 1 for at, letter in enumerate(name) if letter == "_"]  # prefixes end so; the longest that fits
    prefix = next((name[:end] for end in reversed(ends) if name[:end] in prefixes), None)
    if prefix is None:
        return name
    path, rest = prefixes[prefix].path, name[len(prefix) :]
    return f"{path}.{rest}" if path else rest


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """Raises NotRepresentable for what C cannot say."""
    if not tensors.declared:
        raise NotRepresentable("there is no recurrent layer to write.", path=path, next="Say --to c.")
    with open(path, "w", encoding="ascii", newline="\n") as file:
        for piece in _pieces(tensors):
            file.write(piece)


def _pieces(tensors: Tensors) -> Iterator[str]:
    prefixes = _prefixes(tensors)
    guard = f"GATEWISE_{next(iter(prefixes.values())).upper()}_H"
    yield f"{MAGIC.decode()}: weights of recurrent layers.  Generated; do not edit.\n"
    yield from (f" * {line}".rstrip() + "\n" for line in _ABOUT)
    yield f" */\n#ifndef {guard}\n#define {guard}\n"
    for layer in tensors.declared:
        yield from _layer(layer, prefixes[layer.path], tensors)
    yield f"\n#endif /* {guard} */\n"


_ABOUT = """
Arrays are row-major: kernel [units][inputs of this layer], recurrent_kernel [units][outputs], projection [outputs][units],
everything else [units].  Their names: <prefix>_l<layer>[_reverse]_<role>_<gate>.  The reverse direction reads the sequence
from its end.  Layer 0 reads x; layer n reads what layer n-1 gave, forward before reverse.
W is kernel, R is recurrent_kernel, b is bias; * is by elements; x is the input, h (and c) the state before the step.
hard_sigmoid(s) of v is s v + 0.5, held between 0 and 1.
""".strip().splitlines()

_STEPS = {
    "c.LSTM": ("i = {s}(W_i x + R_i h + b_i{pi})", "f = {s}(W_f x + R_f h + b_f{pf})", "g = {t}(W_g x + R_g h + b_g)",
               "c' = f * c + i * g", "o = {s}(W_o x + R_o h + b_o{po})", "h' = {p}(o * {u}(c'))"),
    "c.GRU after": ("r = {s}(W_r x + R_r h + b_r)", "z = {s}(W_z x + R_z h + b_z)",
                    "n = {t}(W_n x + b_n + r * (R_n h + recurrent_bias_n))", "h' = z * h + (1 - z) * n"),
    "c.GRU before": ("r = {s}(W_r x + R_r h + b_r)", "z = {s}(W_z x + R_z h + b_z)", "n = {t}(W_n x + R_n (r * h) + b_n)",
                     "h' = z * h + (1 - z) * n"),
    "c.RNN": ("h' = {t}(W_h x + R_h h + b_h)",),
}  # fmt: skip


def _layer(layer: Declared, prefix: str, tensors: Tensors) -> Iterator[str]:
    settings = {
        key: value for key, value in sorted(layer.settings.items()) if key not in ("dtype", "use_bias", "input_size")
    }
    own = [tensor for name, tensor in tensors.items() if _rest(name, layer.path) is not None]
    sizes = _sizes(settings, own)
    said = {"after": list(layer.after), "kind": layer.kind, "path": layer.path, "prefix": prefix, "settings": settings}
    yield f"\n// gatewise layer: {json.dumps(said)}\n"
    yield "/* One step:\n"
    yield from (f" *   {line}\n" for line in _equations(layer, own))
    yield " */\n"
    yield from (f"#define {prefix.upper()}_{name} {value}\n" for name, value in sizes.items())
    for tensor in own:
        yield from _array(f"{prefix}_{_rest(tensor.name, layer.path)}", tensor)


def _sizes(settings: Mapping[str, Any], own: list[StoredTensor]) -> dict[str, int]:
    outputs = next(tensor.shape[1] for tensor in own if "_recurrent_kernel_" in tensor.name)
    return {
        "LAYERS": settings["layers"], "DIRECTIONS": settings["directions"], "INPUTS": settings["inputs"],
        "UNITS": settings["units"], "OUTPUTS": outputs,
    }  # fmt: skip


def _equations(layer: Declared, own: list[StoredTensor]) -> Iterator[str]:
    said = layer.settings
    names = " ".join(tensor.name for tensor in own)
    words = {
        "s": said.get("recurrent_activation", "sigmoid"), "t": said.get("activation", "tanh"),
        "u": said.get("output_activation", "tanh"), "p": "projection " if "_projection" in names else "",
        **{f"p{gate}": f" + peephole_{gate} * {state}" if f"_peephole_{gate}" in names else ""
           for gate, state in (("i", "c"), ("f", "c"), ("o", "c'"))},
    }  # fmt: skip
    kind = f"{layer.kind} {said['reset']}" if "reset" in said else layer.kind
    yield from (line.format(**words) for line in _STEPS[kind])
    for key, what in (("cell_clip", "c'"), ("proj_clip", "h'"), ("input_clip", "the sum in each function of a gate")):
        if said.get(key) is not None:
            yield f"{what} is held between -{said[key]:g} and {said[key]:g}"


def _array(name: str, tensor: StoredTensor) -> Iterator[str]:
    import numpy as np

    wide = tensor.dtype == "float64"
    array = np.asarray(tensor.array(), np.float64 if wide else np.float32)
    if not np.isfinite(array).all():
        raise NotRepresentable(f"{tensor.name} holds numbers that are not finite, which C has no decimals for.")
    yield f"static const {'double' if wide else 'float'} {name}{''.join(f'[{size}]' for size in array.shape)} = {{\n"
    if array.ndim == 1:
        yield f"  {_numbers(array)}\n"
    else:
        last = len(array) - 1
        yield from (f"  {{{_numbers(row)}}}{',' * (at < last)}\n" for at, row in enumerate(array))
    yield "};\n"


def _numbers(row: Array) -> str:
    import numpy as np

    if row.dtype == np.float64:
        return ", ".join(map(repr, row.tolist()))
    return ", ".join(_decimal(value) for value in row)


def _decimal(value: Any) -> str:
    """The shortest decimal of a float that stays itself through a double too, as our own reader takes it."""
    short = str(value)
    return f"{short if type(value)(float(short)) == value else repr(float(value))}f"


def _rest(name: str, path: str) -> str | None:
    """A tensor's name below a layer's path; None for another layer's."""
    if not path:
        return name if "." not in name else None
    return name[len(path) + 1 :] if name.startswith(f"{path}.") and "." not in name[len(path) + 1 :] else None


def _prefixes(tensors: Tensors) -> dict[str, str]:
    """Each layer's path → a C name that begins no other layer's."""
    found: dict[str, str] = {}
    for layer in tensors.declared:
        word = re.sub(r"\W+", "_", layer.path, flags=re.ASCII).strip("_") or layer.kind.partition(".")[2].lower()
        word = word if word[:1].isalpha() else f"{layer.kind.partition('.')[2].lower()}_{word}"
        short = word.replace("_", "")  # lstm_1 begins with lstm_, whatever number follows it; lstm1 does not
        names = itertools.chain((word, short), (f"{short}{number}" for number in itertools.count(2)))
        found[layer.path] = next(name for name in names if not _taken(name, found.values()))
    return found


def _taken(name: str, others: Iterable[str]) -> bool:
    return any(f"{name}_".startswith(f"{other}_") or f"{other}_".startswith(f"{name}_") for other in others)


CONTAINERS = (
    Container(
        "c-header",
        title="C header of weights (.h)",
        source="gatewise's own: the header explains itself",
        claims=claims,
        read=read,
        write=write,
        suffixes=(".h",),
        naming=NAMING,
        frameworks=("c",),
        tells=True,
        magic=((0, MAGIC),),
        rank=40,
    ),
)
