"""Haiku: parameters as ``init`` gives them, for one step of each core: ``y, state = lstm.apply(params, x, state)``."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("haiku", "hk", "numpy", "pickle", "params", "name", "array", "flat", "load_file", "module", "inputs", "state")

_READS = {
    "pickle": (["import pickle"], ["with open({path!r}, 'rb') as file:", "    params = pickle.load(file)"]),
    "npz": (["import numpy"], ["flat = numpy.load({path!r})"]),
    "safetensors": (["from safetensors.numpy import load_file"], ["flat = load_file({path!r})"]),
}
_NESTED = [
    "params = {{}}",
    "for name, array in flat.items():",
    "    module, _, parameter = name.rpartition('/')",
    "    params.setdefault(module, {{}})[parameter] = array",
]


def code(path: str, container: str, pieces: list[Piece]) -> str:
    imports, reads = _READS[container]
    lines = [*imports, "", "import haiku as hk", ""]
    lines += [line.format(path=path) for line in (*reads, *(() if container == "pickle" else _NESTED))]
    named = variables(pieces, _TAKEN)
    for piece in pieces:
        spec = piece.stack.spec
        arguments = [str(spec.hidden_size), f"name={piece.name!r}"]
        arguments += ["double_bias=False"] if spec.cell == "rnn" and spec.bias == "single" else []
        core = f"hk.{piece.layout.name.split('.')[-1]}({', '.join(arguments)})"
        step = f"hk.transform(lambda inputs, state: {core}(inputs, state))"
        lines.append(f"{named[piece.name]} = hk.without_apply_rng({step})")
    return "\n".join([*lines, ""])
