"""MLX: ``load_weights`` into layers of the same sizes; x is [batch, time, feature]."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("mx", "nn", "weights", "name", "array")


def code(path: str, container: str, pieces: list[Piece]) -> str:  # noqa: ARG001  # MLX tells the format by the suffix
    alone = len(pieces) == 1 and not pieces[0].name
    lines = ["import mlx.nn as nn", ""] if alone else ["import mlx.core as mx", "import mlx.nn as nn", ""]
    lines += [] if alone else [f"weights = mx.load({path!r})"]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        variable, prefix = named[piece.name], f"{piece.name}."
        pairs = f"[(name.removeprefix({prefix!r}), array) for name, array in weights.items() if name.startswith({prefix!r})]"
        lines.append(f"{variable} = nn.{_layer(piece)}")
        lines.append(f"{variable}.load_weights({path!r})" if alone else f"{variable}.load_weights({pairs})")
    return "\n".join([*lines, ""])


def _layer(piece: Piece) -> str:
    spec = piece.stack.spec
    arguments = [str(spec.input_size), str(spec.hidden_size)]
    arguments += ["bias=False"] if spec.bias == "none" else []
    if spec.cell == "rnn" and spec.dialect.activation != "tanh":
        arguments.append(f"nonlinearity=nn.{spec.dialect.activation}")
    return f"{piece.layout.name.split('.')[-1]}({', '.join(arguments)})"
