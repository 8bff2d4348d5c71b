"""The Python lines that load a converted file in its framework: text only, for ``convert --code``."""

from __future__ import annotations

from ..layouts import Layout
from ..weights import Stack

Piece = tuple[str, Layout, Stack]

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
    """Lines for one file that holds ``pieces``: (name, layout, stack)."""
    if container in ("keras-zip", "keras-h5"):
        return f"import keras\n\nmodel = keras.saving.load_model({path!r})\n"
    if container == "keras-weights-h5":
        return _keras_weights(path, pieces)
    if pieces[0][1].framework == "torch":
        return _torch(path, container, pieces)
    return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"


def _keras_weights(path: str, pieces: list[Piece]) -> str:
    lines = ["import keras", "", "model = keras.Sequential(["]
    lines.append(f"    keras.Input((None, {pieces[0][2].spec.input_size})),")
    for _, layout, stack in pieces:
        layer = f"keras.layers.{layout.written_as.split('.')[-1]}({_keras_arguments(layout, stack)})"
        if stack.spec.directions == 2:
            layer = f"keras.layers.Bidirectional({layer}, merge_mode={stack.dialect.merge!r})"
        lines.append(f"    {layer},")
    return "\n".join([*lines, "])", f"model.load_weights({path!r})", ""])


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
    for name, layout, stack in pieces:
        variable = (name.replace(".", "_") or stack.cell).lower()
        lines.append(f"{variable} = {layout.name.replace('torch.', 'torch.nn.')}({_torch_arguments(layout, stack)})")
        if name:
            own = f"{{key.removeprefix({name + '.'!r}): value for key, value in state.items() if key.startswith({name + '.'!r})}}"
            lines.append(f"{variable}.load_state_dict({own})")
        else:
            lines.append(f"{variable}.load_state_dict(state)")
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
