"""tinygrad: a state dict into LSTMCells of the same sizes."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("nn", "load_state_dict", "safe_load", "state", "name", "tensor", "numpy", "Tensor")
_READS = {
    "safetensors": ("from tinygrad.nn.state import load_state_dict, safe_load", "state = safe_load({path!r})"),
    "npz": (
        "import numpy\nfrom tinygrad import Tensor\nfrom tinygrad.nn.state import load_state_dict",
        "state = {{name: Tensor(array) for name, array in numpy.load({path!r}).items()}}",
    ),
    "torch-zip": ("from tinygrad.nn.state import load_state_dict, torch_load", "state = torch_load({path!r})"),
}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    imported, read = _READS[container]
    lines = ["from tinygrad import nn", imported, "", read.format(path=path)]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        spec, prefix = piece.stack.spec, f"{piece.name}."
        bias = ", bias=False" if spec.bias == "none" else ""
        own = f"{{name.removeprefix({prefix!r}): tensor for name, tensor in state.items() if name.startswith({prefix!r})}}"
        lines.append(f"{named[piece.name]} = nn.LSTMCell({spec.input_size}, {spec.hidden_size}{bias})")
        lines.append(f"load_state_dict({named[piece.name]}, {own if piece.name else 'state'})")
    return "\n".join([*lines, ""])
