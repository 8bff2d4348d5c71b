"""PyTorch: a state dict from whichever file holds it, into modules of the same sizes."""

from __future__ import annotations

from ...layouts import Layout
from ...weights import Stack
from ._pieces import Piece, variables

_TAKEN = ("torch", "numpy", "load_file", "state")  # what the lines themselves use

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


def code(path: str, container: str, pieces: list[Piece]) -> str:
    lines = [*_IMPORTS[container], "", _READS[container].format(path=path)]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        name, variable = piece.name, named[piece.name]
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
