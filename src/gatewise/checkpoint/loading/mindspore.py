"""MindSpore: a checkpoint, loaded into layers and cells by their parameters' names."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("mindspore", "nn", "parameters")


def code(path: str, container: str, pieces: list[Piece]) -> str:
    if container != "mindspore-ckpt":
        return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"
    lines = ["import mindspore", "from mindspore import nn", "", f"parameters = mindspore.load_checkpoint({path!r})"]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        own = "parameters"
        if piece.name:
            prefix = f"{piece.name}."
            own = f"{{key.removeprefix({prefix!r}): value for key, value in parameters.items() if key.startswith({prefix!r})}}"
        lines += [
            f"{named[piece.name]} = nn.{piece.layout.name.partition('.')[2]}({_arguments(piece)})",
            f"mindspore.load_param_into_net({named[piece.name]}, {own})",
        ]
    return "\n".join([*lines, ""])


def _arguments(piece: Piece) -> str:
    spec = piece.stack.spec
    arguments = [str(spec.input_size), str(spec.hidden_size)]
    if piece.layout.is_stack:
        arguments += [f"num_layers={spec.num_layers}"] if spec.num_layers > 1 else []
        arguments += ["bidirectional=True"] if spec.directions == 2 else []
        arguments += ["batch_first=True"]
    arguments += ["has_bias=False"] if spec.bias == "none" else []
    if piece.stack.cell == "rnn" and piece.stack.dialect.activation != "tanh":
        arguments.append(f"nonlinearity={piece.stack.dialect.activation!r}")
    return ", ".join(arguments)
