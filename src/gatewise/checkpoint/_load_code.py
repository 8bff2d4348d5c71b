"""The Python lines that load a converted file in its framework: text only, for ``convert --code``."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from ..layouts import Layout
from ..weights import Stack


@dataclass(frozen=True)
class Piece:
    """One object in a written file: its name, its layout, its weights, and the object whose output it takes."""

    name: str
    layout: Layout
    stack: Stack
    after: tuple[str, ...] = ()


_TAKEN = ("torch", "numpy", "keras", "load_file", "state", "model", "inputs")  # what the lines themselves use

_READS = {
    "torch-zip": "state = torch.load({path!r}, weights_only=True)",
    "safetensors": "state = load_file({path!r})",
    "npz": "state = {{name: torch.from_numpy(array) for name, array in numpy.load({path!r}).items()}}",
}
_IMPORTS = {
    "torch-zip": ["import torch"],
    "safetensors": ["import torch", "from safetensors.torch import load_file"],
    "npz": ["import numpy", "import torch"],
}


def load_code(path: str, container: str, pieces: list[Piece]) -> str:
    """Lines for one file that holds ``pieces``."""
    if container in ("keras-zip", "keras-h5"):
        return f"import keras\n\nmodel = keras.saving.load_model({path!r})\n"
    if container == "keras-weights-h5":
        return _keras_weights(path, pieces)
    if pieces[0].layout.framework == "torch":
        return _torch(path, container, pieces)
    return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"


def _variables(pieces: list[Piece]) -> dict[str, str]:
    """Name of a piece → a Python name for it."""
    variables: dict[str, str] = {}
    for piece in pieces:
        word = re.sub(r"[^0-9a-z]+", "_", piece.name.lower()).strip("_") or piece.stack.cell
        if not word.isidentifier() or keyword.iskeyword(word) or word in _TAKEN:
            word = f"{piece.stack.cell}_{word}"
        number, fresh = 1, word
        while fresh in variables.values():
            number += 1
            fresh = f"{word}_{number}"
        variables[piece.name] = fresh
    return variables


def _keras_weights(path: str, pieces: list[Piece]) -> str:
    one_line = all(piece.after == before for piece, before in zip(pieces, _names_before(pieces), strict=True))
    lines = _sequential(pieces) if one_line else _functional(pieces)
    return "\n".join(["import keras", "", *lines, f"model.load_weights({path!r})", ""])


def _names_before(pieces: list[Piece]) -> list[tuple[str, ...]]:
    return [(), *((piece.name,) for piece in pieces[:-1])]


def _sequential(pieces: list[Piece]) -> list[str]:
    layers = [_keras_input(pieces[0]), *map(_keras_layer, pieces)]
    return ["model = keras.Sequential([", *(f"    {layer}," for layer in layers), "])"]


def _functional(pieces: list[Piece]) -> list[str]:
    variables = _variables(pieces)
    followed = {name for piece in pieces for name in piece.after}
    firsts = [piece for piece in pieces if not piece.after]
    lines = ["inputs = [", *(f"    {_keras_input(piece)}," for piece in firsts), "]"]
    for piece in pieces:
        source = variables[piece.after[0]] if piece.after else f"inputs[{firsts.index(piece)}]"
        lines.append(f"{variables[piece.name]} = {_keras_layer(piece)}({source})")
    outputs = ", ".join(variables[piece.name] for piece in pieces if piece.name not in followed)
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


def _torch(path: str, container: str, pieces: list[Piece]) -> str:
    lines = [*_IMPORTS[container], "", _READS[container].format(path=path)]
    variables = _variables(pieces)
    for piece in pieces:
        name, variable = piece.name, variables[piece.name]
        made = f"{piece.layout.name.replace('torch.', 'torch.nn.')}({_torch_arguments(piece.layout, piece.stack)})"
        own = "state"
        if name:
            prefix = f"{name}."
            own = (
                f"{{key.removeprefix({prefix!r}): value for key, value in state.items() if key.startswith({prefix!r})}}"
            )
        lines += [f"{variable} = {made}", f"{variable}.load_state_dict({own})"]
    return "\n".join([*lines, ""])


def _torch_arguments(layout: Layout, stack: Stack) -> str:
    spec = stack.spec
    arguments = [str(spec.input_size), str(spec.hidden_size)]
    if layout.is_stack:
        arguments += [f"num_layers={spec.num_layers}"] if spec.num_layers > 1 else []
        arguments += ["bidirectional=True"] if spec.directions == 2 else []
        arguments += [f"proj_size={spec.proj_size}"] if spec.proj_size else []
        arguments += ["batch_first=True"]
    arguments += ["bias=False"] if spec.bias == "none" else []
    if stack.cell == "rnn" and stack.dialect.activation != "tanh":
        arguments.append(f"nonlinearity={stack.dialect.activation!r}")
    if spec.dtype != "float32":
        arguments.append(f"dtype=torch.{spec.dtype}")
    return ", ".join(arguments)
