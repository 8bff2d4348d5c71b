"""Equinox: cells of the right sizes, whose leaves are then read from the file: ``state = jax.vmap(lstm)(x, state)``."""

from __future__ import annotations

from ._pieces import Piece, variables

_TAKEN = ("eqx", "jax", "numpy", "load_file", "arrays", "cell")
_READS = {
    "npz": ("import numpy", "arrays = numpy.load({path!r})"),
    "safetensors": ("from safetensors.flax import load_file", "arrays = load_file({path!r})"),
}


def code(path: str, container: str, pieces: list[Piece]) -> str:
    named = variables(pieces, _TAKEN)
    made = [f"{named[piece.name]} = eqx.nn.{_cell(piece)}" for piece in pieces]
    if container == "npy-stream":
        names = [named[piece.name] for piece in pieces]
        tree = names[0] if len(names) == 1 else f"({', '.join(names)})"
        reads = [f"{tree} = eqx.tree_deserialise_leaves({path!r}, {tree})"]
        return "\n".join(["import equinox as eqx", "import jax", "", *made, *reads, ""])
    imported, read = _READS[container]
    filled = [_filled(named[piece.name], piece) for piece in pieces]
    return "\n".join(["import equinox as eqx", "import jax", imported, "", *made, read.format(path=path), *filled, ""])


def _cell(piece: Piece) -> str:
    spec = piece.stack.spec
    arguments = [str(spec.input_size), str(spec.hidden_size)]
    arguments += ["use_bias=False"] if spec.bias == "none" else []
    arguments += [f"dtype=jax.numpy.{spec.dtype}"] if spec.dtype != "float32" else []
    return f"{piece.layout.name.split('.')[-1]}({', '.join(arguments)}, key=jax.random.PRNGKey(0))"


def _filled(variable: str, piece: Piece) -> str:
    """The named arrays put in the place of the cell's own."""
    roles = {role for weights in piece.stack.cells.values() for role in weights.roles}
    fields = [part.texts("")[0] for part in piece.layout.parts if set(part.roles) <= roles]
    prefix = f"{piece.name}." if piece.name else ""
    where = ", ".join(f"cell.{field}" for field in fields)
    arrays = ", ".join(f"jax.numpy.asarray(arrays[{prefix + field!r}])" for field in fields)
    return f"{variable} = eqx.tree_at(lambda cell: ({where}), {variable}, ({arrays}))"
