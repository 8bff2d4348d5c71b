"""Random layers for the laws: every layout in every shape its table allows, built from the table alone.

A :class:`Case` is one way that a layout can be stored (form, depth, directions, which optional parts, naming scheme).
It makes the stored tensors without ``encode``, so that ``encode`` can be held against them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatewise.layouts import Layout, Part, layouts
from gatewise.layouts._layout import RESEMBLING
from gatewise.layouts._names import template
from gatewise.tensors import StoredTensor, Tensors, numpy_dtype
from gatewise.weights import GATELESS, GATES, PLAIN, ROLE_AXES, Dialect, Gates, Stack, Weights

Array = np.ndarray[Any, Any]
DTYPES = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Sizes:
    """``proj`` is used by layers with a projection only."""

    feature: int
    unit: int
    proj: int = 1


@dataclass(frozen=True)
class Case:
    """One way in which a layout can be stored."""

    layout: Layout
    form: Mapping[str, Any]
    layers: int
    directions: int
    extras: frozenset[str]  # the optional parts that are there: "biases", "projection", "peephole"
    naming: str = ""

    def __str__(self) -> str:
        words = [self.layout.name, *(f"{key} {value}" for key, value in self.form.items())]
        words += [f"{self.layers} layers"] * (self.layers > 1) + ["both directions"] * (self.directions == 2)
        words += [f"with {extra}" for extra in sorted(self.extras)] or ["without biases"]
        words += [{RESEMBLING: "names that resemble"}.get(self.naming, self.naming)] * bool(self.naming)
        return ", ".join(words)

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(
            part for part in self.layout.parts_given(self.form) if not part.optional or kind_of(part) in self.extras
        )

    @property
    def relabelled(self) -> bool:
        return any(part.relabel for part in self.parts)

    @property
    def written(self) -> bool:
        """Can gatewise write these names?  Not where a part of them is the user's own."""
        texts = [part.template_text(self.naming) or part.template_text("") or "" for part in self.parts]
        return not any("*" in _chosen(text, self.directions) for text in texts)

    def sizes_at(self, sizes: Sizes, layer: int, part: Part) -> dict[str, int]:
        hidden = sizes.proj if "projection" in self.extras else sizes.unit
        feature = sizes.feature if layer == 0 else hidden * self.directions
        gates = len(self.layout.gates_of(part))
        return {
            "unit": sizes.unit, "feature": feature, "hidden": hidden,
            "direction": self.directions, "gate": gates, "one": 1,
        }  # fmt: skip

    def names(self, sizes: Sizes, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...], Part, int]]:
        """(name, shape, part, layer) of each stored tensor."""
        for layer, part in itertools.product(range(self.layers), self.parts):
            text = _chosen(part.template_text(self.naming) or part.template_text("") or "", self.directions)
            spelled = tuple((gate, self.layout.spelled.get(gate, gate)) for gate in self.layout.gates_of(part))
            found = template(text.replace("*", "lstm"), spelled)
            both = self.directions == 2 and "direction" not in part.parsed.atoms
            for direction in ("forward", "reverse")[: 1 + both]:
                for gate in self.layout.gates_of(part) if found.has_gate else [None]:
                    name = prefix + found.fill(layer, direction, gate, self.directions)
                    yield name, part.parsed.shape(self.sizes_at(sizes, layer, part)), part, layer

    def arrays(self, sizes: Sizes, dtype: str = "float32", prefix: str = "", seed: int = 0) -> dict[str, Array]:
        shapes = {name: shape for name, shape, _, _ in self.names(sizes, prefix)}
        values = distinct(sum(int(np.prod(shape)) for shape in shapes.values()), dtype, seed)
        cut = np.split(values, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), cut, strict=True)}

    def tensors(self, sizes: Sizes, dtype: str = "float32", prefix: str = "", seed: int = 0) -> Tensors:
        return stored(self.arrays(sizes, dtype, prefix, seed), self.naming)


def kind_of(part: Part) -> str:
    return "biases" if "bias" in " ".join(part.roles) else part.roles[0]


def _chosen(text: str, directions: int) -> str:
    """A template without the optional text that would not be written."""
    pieces = text.replace("]", "[").split("[")
    inside = [piece for piece in pieces[1::2] if directions == 2 and "|" in piece]
    pieces[1::2] = [piece if piece in inside else "" for piece in pieces[1::2]]
    return "".join(piece if "|" not in piece or piece not in inside else f"[{piece}]" for piece in pieces)


def stored(arrays: Mapping[str, Array], naming: str = "", **facts: Any) -> Tensors:
    """Arrays as a container would give them."""
    return Tensors(
        [StoredTensor(name, array.dtype.name, array.shape, _giver(array)) for name, array in arrays.items()],
        naming="" if naming == RESEMBLING else naming,
        **facts,
    )


def _giver(array: Array) -> Any:
    return lambda: array


def distinct(count: int, dtype: str, seed: int = 0) -> Array:
    """``count`` finite numbers, each with bits of its own, in random order."""
    random = np.random.default_rng(seed)
    target = numpy_dtype(dtype)
    if target.itemsize == 2:
        every = np.arange(65536, dtype=np.uint16)
        every = every[np.isfinite(every.view(target).astype(np.float32)) & (every & 0x7FFF != 0)]
        assert count <= len(every), "too many numbers for 16 bits"
        return random.permutation(every)[:count].view(target)
    return (random.permutation(count) + 1.0 + random.random(count) / 3).astype(target) * random.choice(
        [-1, 1], count
    ).astype(target)


def same_bits(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def every_case(known: Iterable[Layout] | None = None, namings: bool = False) -> list[Case]:
    """Every layout in every form, depth, direction and choice of optional parts; with ``namings`` in every scheme."""
    cases = []
    for layout in layouts() if known is None else known:
        depths = (1, 3) if layout.is_stack else (1,)
        ways = (1, 2) if layout.is_bidirectional else (1,)
        for form, layers, directions in itertools.product(layout.forms, depths, ways):
            optional = sorted({kind_of(part) for part in layout.parts_given(form) if part.optional})
            for count in range(len(optional) + 1):
                for extras in itertools.combinations(optional, count):
                    cases.append(Case(layout, form, layers, directions, frozenset(extras)))
    return [replace(case, naming=naming) for case in cases for naming in (_namings(case) if namings else [""])]


def _namings(case: Case) -> list[str]:
    schemes = {scheme for part in case.parts if isinstance(part.name, Mapping) for scheme in part.name}
    complete = {s for s in schemes if s != RESEMBLING or all(part.template_text(s) for part in case.parts)}
    return ["", *sorted(complete - {""})]


# Layers that no file ever held.


@dataclass(frozen=True)
class Recipe:
    """A random stack in canonical form, said in words."""

    cell: str
    feature: int = 5
    unit: int = 4
    layers: int = 1
    directions: int = 1
    bias: str = "double"
    proj: int = 0
    peephole: str = ""
    dtype: str = "float32"
    dialect: Dialect | None = None
    seed: int = 0
    zero: frozenset[tuple[str, str]] = field(default_factory=frozenset)  # (role, gate) that are all zeros

    @property
    def stack(self) -> Stack:
        random = np.random.default_rng(self.seed)
        cells = {}
        for layer in range(self.layers):
            for direction in ("forward", "reverse")[: self.directions]:
                cells[layer, direction] = self._weights(layer, random)
        return Stack(self.cell, cells, self.dialect or PLAIN[self.cell], name="layer")

    def _weights(self, layer: int, random: np.random.Generator) -> Weights:
        hidden = self.proj or self.unit
        sizes = {"unit": self.unit, "feature": hidden * self.directions if layer else self.feature, "hidden": hidden}
        gates = {"kernel": GATES[self.cell], "recurrent_kernel": GATES[self.cell], "peephole": self.peephole}
        gates["bias"] = GATES[self.cell] if self.bias != "none" else ""
        gates["recurrent_bias"] = GATES[self.cell] if self.bias == "double" else ""
        if self.proj:
            gates["projection"] = "_"
        roles = {}
        for role, letters in gates.items():
            makers = {}
            for gate in letters:
                key = "" if role in GATELESS else gate
                value = 0.7 * random.standard_normal([sizes[axis] for axis in ROLE_AXES[role]])
                value = (value * ((role, gate) not in self.zero)).astype(numpy_dtype(self.dtype))
                makers[key] = _giver(value)
            if makers:
                roles[role] = Gates(role, makers)
        return Weights(self.unit, sizes["feature"], hidden, self.dtype, roles)


def contents(stack: Stack) -> dict[tuple[int, str, str, str], Array]:
    """Every array of a stack: (layer, direction, role, gate) → array."""
    return {
        (layer, direction, role, gate): array
        for (layer, direction), weights in stack
        for role, gates in weights.roles.items()
        for gate, array in gates.items()
    }


def same_contents(one: Stack, other: Stack) -> bool:
    mine, theirs = contents(one), contents(other)
    return mine.keys() == theirs.keys() and all(same_bits(mine[key], theirs[key]) for key in mine)
