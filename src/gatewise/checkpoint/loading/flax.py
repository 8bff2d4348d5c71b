"""Flax: a tree of parameters from whichever file holds it, beside a linen module or inside an NNX one.

Linen: ``y = lstm.apply(lstm_variables, x)``; NNX: ``y = lstm(x)``; x is [batch, time, feature].
"""

from __future__ import annotations

from ...layouts import Layout
from ...weights import Stack
from ._pieces import Piece, variables

_TAKEN = ("flax", "jax", "nn", "nnx", "numpy", "Path", "tree", "load_file", "state")  # what the lines themselves use

_READS = {
    "flax-msgpack": "tree = flax.serialization.msgpack_restore(Path({path!r}).read_bytes())",
    "npz": "tree = flax.traverse_util.unflatten_dict(dict(numpy.load({path!r})), sep='/')",
    "safetensors": "tree = flax.traverse_util.unflatten_dict(load_file({path!r}), sep='/')",
}
_IMPORTS = {
    "flax-msgpack": ["from pathlib import Path"],
    "npz": ["import numpy"],
    "safetensors": ["from safetensors.numpy import load_file"],
}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    of_nnx = any(".nnx." in piece.layout.name for piece in pieces)
    lines = [
        *_IMPORTS[container],
        "",
        "import flax",
        "import jax",
        f"from flax import {'nnx' if of_nnx else 'linen as nn'}",
    ]
    lines += ["", _READS[container].format(path=path)]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        tree = "".join(f"[{part!r}]" for part in piece.name.split("/"))
        both = piece.stack.spec.directions == 2
        params = f"tree{tree}" if both else f"{{'cell': tree{tree}}}"
        lines += (_nnx if of_nnx else _linen)(named[piece.name], piece, params, both)
    return "\n".join([*lines, ""])


def _linen(variable: str, piece: Piece, params: str, both: bool) -> list[str]:
    cell = f"nn.{piece.layout.name.split('.')[-1]}({_arguments(piece.layout, piece.stack)})"
    made = f"nn.Bidirectional(nn.RNN({cell}), nn.RNN({cell}))" if both else f"nn.RNN({cell})"
    return [f"{variable} = {made}", f"{variable}_variables = {{'params': {params}}}"]


def _nnx(variable: str, piece: Piece, params: str, both: bool) -> list[str]:
    sizes = f"{piece.stack.spec.input_size}, {_arguments(piece.layout, piece.stack)}, rngs=nnx.Rngs(0)"
    cell = f"nnx.RNN(nnx.{piece.layout.name.split('.')[-1]}({sizes}))"
    return [
        f"{variable} = {f'nnx.Bidirectional({cell}, {cell}, rngs=nnx.Rngs(0))' if both else cell}",
        f"state = nnx.state({variable}, nnx.Param)",
        f"nnx.replace_by_pure_dict(state, {params})",
        f"nnx.update({variable}, state)",
    ]


def _arguments(layout: Layout, stack: Stack) -> str:
    arguments = [str(stack.spec.hidden_size)]
    for setting in layout.settings:
        value = getattr(stack.dialect, setting.field)
        if setting.field != "output_activation" and value != getattr(layout.meaning, setting.field):
            arguments.append(f"{setting.names[0]}=jax.nn.{setting.spelled(value)}")
    if stack.cell == "mgu" and stack.dialect.reset is None:
        arguments.append("reset_gate=False")
    return ", ".join(arguments)
