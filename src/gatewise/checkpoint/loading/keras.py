"""Keras: whole models by ``load_model``; bare weights into a model of the same layers."""

from __future__ import annotations

from ...layouts import Layout
from ...weights import Stack
from ._pieces import Piece, variables

_TAKEN = ("keras", "model", "inputs")  # what the lines themselves use


def code(path: str, container: str, pieces: list[Piece]) -> str:
    if container in ("keras-zip", "keras-h5"):
        return f"import keras\n\nmodel = keras.saving.load_model({path!r})\n"
    one_line = all(piece.after == before for piece, before in zip(pieces, _names_before(pieces), strict=True))
    lines = _sequential(pieces) if one_line else _functional(pieces)
    return "\n".join(["import keras", "", *lines, f"model.load_weights({path!r})", ""])


def _names_before(pieces: list[Piece]) -> list[tuple[str, ...]]:
    return [(), *((piece.name,) for piece in pieces[:-1])]


def _sequential(pieces: list[Piece]) -> list[str]:
    layers = [_keras_input(pieces[0]), *map(_keras_layer, pieces)]
    return ["model = keras.Sequential([", *(f"    {layer}," for layer in layers), "])"]


def _functional(pieces: list[Piece]) -> list[str]:
    named = variables(pieces, _TAKEN)
    followed = {name for piece in pieces for name in piece.after}
    firsts = [piece for piece in pieces if not piece.after]
    lines = ["inputs = [", *(f"    {_keras_input(piece)}," for piece in firsts), "]"]
    for piece in pieces:
        source = named[piece.after[0]] if piece.after else f"inputs[{firsts.index(piece)}]"
        lines.append(f"{named[piece.name]} = {_keras_layer(piece)}({source})")
    outputs = ", ".join(named[piece.name] for piece in pieces if piece.name not in followed)
    return [*lines, f"model = keras.Model(inputs, [{outputs}])"]


def _keras_dtype(piece: Piece) -> str:
    """Keras computes in float32 unless told, which holds float16 too; half precision itself it cannot initialise."""
    return ", dtype='float64'" if piece.stack.spec.dtype == "float64" else ""


def _keras_input(piece: Piece) -> str:
    return f"keras.Input((None, {piece.stack.spec.input_size}){_keras_dtype(piece)})"


def _keras_layer(piece: Piece) -> str:
    dtype = _keras_dtype(piece)
    layer = (
        f"keras.layers.{piece.layout.written_as.split('.')[-1]}({_keras_arguments(piece.layout, piece.stack)}{dtype})"
    )
    if piece.stack.spec.directions == 2:
        layer = f"keras.layers.Bidirectional({layer}, merge_mode={piece.stack.dialect.merge!r}{dtype})"
    return layer


def _keras_arguments(layout: Layout, stack: Stack) -> str:
    spec = stack.spec
    arguments = [str(spec.hidden_size), "return_sequences=True"]
    for setting in layout.settings:
        if setting.names[0] != "merge_mode" and setting.field != "output_activation":
            value = getattr(stack.dialect, setting.field)
            if value != getattr(layout.meaning, setting.field):
                arguments.append(f"{setting.names[0]}={setting.spelled(value)!r}")
    if spec.bias == "none":
        arguments.append("use_bias=False")
    return ", ".join(arguments)
