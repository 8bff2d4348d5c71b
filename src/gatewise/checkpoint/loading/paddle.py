"""Paddle: a state dict, set by its names.  Paddle tells of the second names (``weight_ih_l0``) that the file leaves out."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("paddle", "numpy", "load_file", "state")
_READS = {
    "paddle-params": "state = paddle.load({path!r})",
    "safetensors": "state = load_file({path!r})",
    "npz": "state = dict(numpy.load({path!r}))",
}
_IMPORTS = {
    "paddle-params": ["import paddle"],
    "safetensors": ["import paddle", "from safetensors.paddle import load_file"],
    "npz": ["import numpy", "import paddle"],
}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    if container not in _READS:
        return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"
    lines = [*_IMPORTS[container], "", _READS[container].format(path=path)]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        name, variable, own = piece.name, named[piece.name], "state"
        if name:
            prefix = f"{name}."
            own = (
                f"{{key.removeprefix({prefix!r}): value for key, value in state.items() if key.startswith({prefix!r})}}"
            )
        lines.append(f"{variable} = paddle.nn.{piece.layout.name.partition('.')[2]}({_arguments(piece)})")
        if piece.stack.spec.dtype != "float32":
            lines.append(f"{variable}.to(dtype={piece.stack.spec.dtype!r})")
        lines.append(f"{variable}.set_state_dict({own})")
    return "\n".join([*lines, ""])


def _arguments(piece: Piece) -> str:
    spec = piece.stack.spec
    arguments = [str(spec.input_size), str(spec.hidden_size)]
    if piece.layout.is_stack:
        arguments += [f"num_layers={spec.num_layers}"] if spec.num_layers > 1 else []
        arguments += ["direction='bidirect'"] if spec.directions == 2 else []
    arguments += [f"proj_size={spec.proj_size}"] if spec.proj_size else []
    if piece.stack.cell == "rnn" and piece.stack.dialect.activation != "tanh":
        arguments.append(f"activation={piece.stack.dialect.activation!r}")
    return ", ".join(arguments)
