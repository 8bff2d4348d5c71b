"""Random layers for the laws: every layout in every shape its table allows, built from the table alone.

A :class:`Case` is one way that a layout can be stored (form, depth, directions, which optional parts, naming scheme).
It makes the stored tensors without ``encode``, so that ``encode`` can be held against them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gatewise.layouts import Layout, Part, layouts
from gatewise.layouts._layout import INPUTS, RESEMBLING, is_stream
from gatewise.layouts._names import template
from gatewise.layouts._slots import flat_length, with_constants
from gatewise.pairs import kind_of
from gatewise.tensors import Declared, StoredTensor, Tensors, WrittenBy, numpy_dtype
from gatewise.weights import DIRECTIONS, GATELESS, GATES, PLAIN, ROLE_AXES, Dialect, Gates, Stack, Weights

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
        return not any("*" in _chosen(self._text(part), self.directions) for part in self.parts)

    @property
    def by_name(self) -> bool:
        """Do names tell the layer, and not an operator's inputs, an order, or a flat buffer's declared sizes?"""
        flat = any(part.parsed.sections for part in self.parts)
        return not (flat or self.naming == INPUTS or is_stream(self.naming))

    def _text(self, part: Part) -> str:
        if is_stream(self.naming):
            return f"part{self.layout.parts.index(part)}_{{layer}}"
        return part.template_text(self.naming) or part.template_text("") or ""

    def sizes_at(self, sizes: Sizes, layer: int, part: Part) -> dict[str, int]:
        hidden = sizes.proj if "projection" in self.extras else sizes.unit
        feature = sizes.feature if layer == 0 else hidden * self.directions
        known = {"unit": sizes.unit, "feature": feature, "hidden": hidden, "direction": self.directions}
        return with_constants(known, len(self.layout.gates_of(part)))

    def _shape(self, sizes: Sizes, layer: int, part: Part) -> tuple[int, ...]:
        if not part.parsed.sections:
            return part.parsed.shape(self.sizes_at(sizes, layer, part))
        places = itertools.product(range(self.layers), DIRECTIONS[: self.directions])
        return (flat_length(self.layout, part, {place: self.sizes_at(sizes, place[0], part) for place in places}),)

    def names(self, sizes: Sizes, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...], Part, int]]:
        """(name, shape, part, layer) of each stored tensor."""
        number = 0
        for layer, part in itertools.product(range(self.layers), self.parts):
            if layer and "layer" in part.parsed.loops:
                continue
            spelled = tuple((gate, self.layout.spelled.get(gate, gate)) for gate in self.layout.gates_of(part))
            text = _chosen(self._text(part), self.directions).replace("*", "lstm")
            found = template(text, spelled if "{gate}" in text else ())
            both = self.directions == 2 and "direction" not in part.parsed.atoms
            for direction in ("forward", "reverse")[: 1 + both]:
                for gate in self.layout.gates_of(part) if found.has_gate else [None]:
                    name = found.fill(layer, direction, gate, self.directions)
                    yield (
                        prefix + (str(number) if is_stream(self.naming) else name),
                        self._shape(sizes, layer, part),
                        part,
                        layer,
                    )
                    number += 1

    def declared(self, sizes: Sizes, prefix: str = "") -> list[Declared]:
        """What a container of this naming scheme declares: the operator with its inputs, the sizes of a flat buffer."""
        if self.by_name or is_stream(self.naming):
            return []
        known = {
            "unit": sizes.unit, "feature": sizes.feature, "layers": self.layers, "directions": self.directions,
            "hidden": sizes.proj if "projection" in self.extras else sizes.unit,
        }  # fmt: skip
        settings: dict[str, Any] = {}
        for fact in self.layout.facts:
            words = fact.values or {known[fact.of]: known[fact.of]}
            fits = [word for word, value in words.items() if value == known[fact.of]]
            settings |= dict.fromkeys(fact.names[:1], fits[0]) if fits else {}
        for field_name, value in self.form.items():
            for setting in self.layout.settings:
                if setting.field == field_name:
                    settings[setting.names[0]] = setting.spelled(value)
        inputs = {name: prefix + name for name, *_ in self.names(sizes)} if self.naming == INPUTS else {}
        kind = self.layout.kinds[0] if self.layout.kinds else ""
        return [Declared(prefix.rstrip("./_"), kind, settings, inputs=inputs)]

    def offer(self, arrays: Mapping[str, Array], sizes: Sizes, prefix: str = "", told: bool = True) -> Tensors:
        """These arrays as the layout's own container would give them; ``told``: which says who wrote the file."""
        who = (self.layout.writers or (self.layout.framework,))[0]
        return stored(
            arrays, self.naming, declared=self.declared(sizes, prefix), written_by=[WrittenBy(who, "", "a test")] * told
        )  # fmt: skip

    def arrays(self, sizes: Sizes, dtype: str = "float32", prefix: str = "", seed: int = 0) -> dict[str, Array]:
        shapes = {name: shape for name, shape, _, _ in self.names(sizes, prefix)}
        values = distinct(sum(int(np.prod(shape)) for shape in shapes.values()), dtype, seed)
        cut = np.split(values, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), cut, strict=True)}

    def tensors(self, sizes: Sizes, dtype: str = "float32", prefix: str = "", seed: int = 0) -> Tensors:
        return self.offer(self.arrays(sizes, dtype, prefix, seed), sizes, prefix)


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
        naming="" if naming in (RESEMBLING, INPUTS) else naming,
        **facts,
    )


def _giver(array: Array) -> Any:
    return lambda: array


def distinct(count: int, dtype: str, seed: int = 0) -> Array:
    """``count`` finite numbers, each with bits of its own, in random order."""
    random = np.random.default_rng(seed)
    target = numpy_dtype(dtype)
    if target.itemsize == 2:
        every = _sixteen_bits(dtype, seed)
        assert count <= len(every), "too many numbers for 16 bits"
        return every[:count].copy()
    return (random.permutation(count) + 1.0 + random.random(count) / 3).astype(target) * random.choice(
        [-1, 1], count
    ).astype(target)


@functools.cache
def _sixteen_bits(dtype: str, seed: int) -> Array:
    """Every finite number of 16 bits but the zeros, in random order."""
    every = np.arange(65536, dtype=np.uint16)
    numbers = every.view(numpy_dtype(dtype))
    fit = np.isfinite(numbers.astype(np.float32)) & (every & 0x7FFF != 0)
    return np.random.default_rng(seed).permutation(numbers[fit])


def same_bits(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def every_case(known: Iterable[Layout] | None = None, namings: bool = False) -> list[Case]:
    """Every layout in every form, depth, direction and choice of optional parts; with ``namings`` in every scheme."""
    cases = []
    for layout in (each for each in layouts() if not each.outside) if known is None else known:
        depths = (1, 3) if layout.is_stack else (1,)
        for form, layers, directions in itertools.product(layout.forms, depths, layout.ways):
            optional = sorted({kind_of(part) for part in layout.parts_given(form) if part.optional})
            for count in range(len(optional) + 1):
                for extras in itertools.combinations(optional, count):
                    cases.append(Case(layout, form, layers, directions, frozenset(extras)))
    return [
        replace(case, naming=naming) for case in cases for naming in (_namings(case) if namings else _namings(case)[:1])
    ]


def _namings(case: Case) -> list[str]:
    """The naming schemes under which every part of the case has a name; the plain one first, where there is one."""
    schemes = {scheme for part in case.parts for scheme in part.namings}
    strict = {scheme for scheme in schemes if scheme in (RESEMBLING, INPUTS) or is_stream(scheme)}
    complete = {s for s in schemes if all(part.texts(s) or (s not in strict and part.texts("")) for part in case.parts)}
    fits = sorted(complete, key=lambda scheme: (scheme != "", scheme == RESEMBLING, scheme))
    return [s for s in fits if not (is_stream(s) and case.directions == 2)] or fits[:1]


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
    held: Mapping[str, str] | None = None  # role → gates, where the other words do not say it

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
        sizes = {"unit": self.unit, "feature": hidden * self.directions if layer else self.feature, "hidden": hidden,
                 "state": self.unit}  # fmt: skip
        gates: Mapping[str, str]
        gates = {"kernel": GATES[self.cell], "recurrent_kernel": GATES[self.cell], "peephole": self.peephole}
        gates["bias"] = GATES[self.cell] if self.bias != "none" else ""
        gates["recurrent_bias"] = GATES[self.cell] if self.bias == "double" else ""
        if self.proj:
            gates["projection"] = "_"
        if self.held is not None:
            gates = self.held
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
