"""Chainer: links, filled from an npz file."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("chainer", "links")
_CLASSES = {"PeepholeLSTM": "StatefulPeepholeLSTM", "MGU": "StatefulMGU"}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    if container != "npz":
        return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"
    lines = ["import chainer", "import chainer.links as links", ""]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        below = f", path={piece.name + '/'!r}" if piece.name else ""
        lines += [
            f"{named[piece.name]} = {_made(piece)}",
            f"chainer.serializers.load_npz({path!r}, {named[piece.name]}{below})",
        ]
    return "\n".join([*lines, ""])


def _made(piece: Piece) -> str:
    kind, spec = piece.layout.name.partition(".")[2], piece.stack.spec
    if kind.startswith("NStep"):
        activation = piece.stack.dialect.activation
        kind += {"relu": "ReLU", "tanh": "Tanh"}.get(activation, "") if piece.stack.cell == "rnn" else ""
        return f"links.{kind}({spec.num_layers}, {spec.input_size}, {spec.hidden_size}, 0.0)"
    return f"links.{_CLASSES.get(kind, kind)}({spec.input_size}, {spec.hidden_size})"
