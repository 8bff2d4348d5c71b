"""Which tensors of a file are which layout's layer, with the evidence; and what merely looks like one.

Evidence counts in this order: what the file declares (a class, an operator), the names, the shapes.  Two layouts that
fit equally well and do not mean the same are an :class:`Ambiguity`, never a guess.  A class that the file declares and
no layout claims is a lookalike, however well its shapes fit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..tensors import FLOATS, Declared, StoredTensor, Tensors
from ..weights import DIRECTIONS, Dialect
from ._layout import RESEMBLING, Layout, Part, Since, dialect_with, told_by_settings
from ._names import Found, Template
from ._phrase import Equation, Unsolvable, solve

Address = tuple[int, int, str, "str | None"]  # index of the part, layer, direction, gate


@dataclass(frozen=True)
class Group:
    """Tensors whose names fit one layout's templates under one path."""

    path: str
    label: str  # tells apart several layers under one path
    names: Mapping[Address, str]
    member: str = ""  # the number in the names that does so, if one does

    @property
    def name(self) -> str:
        """The path, without Keras's habit of naming a layer's group twice (``lstm_1/lstm_1``)."""
        pieces = self.path.split("/")
        half = len(pieces) // 2
        path = "/".join(pieces[half:]) if half and pieces[:half] == pieces[half:] else self.path
        return f"{path}/{self.label}" if path and self.label else path or self.label


@dataclass(frozen=True, eq=False)
class Match:
    """One recognised layer: its layout, which tensor is which part, the sizes, the dialect, and how we know."""

    layout: Layout
    form: Mapping[str, Any]
    group: Group
    sizes: Mapping[tuple[int, str], Mapping[str, int]]
    dtype: str
    declared: Declared | None = None
    dialect: Dialect = field(default_factory=Dialect)
    evidence: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    sure: bool = True
    given_name: str | None = None

    @property
    def name(self) -> str:
        if self.given_name is not None:
            return self.given_name
        if self.declared is not None and self.declared.name is not None:
            return self.declared.name
        return self.group.name

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(self.group.names.values())

    def places(self) -> Iterator[tuple[Part, Found, str]]:
        """(part, what its name fixes, tensor name), for each tensor."""
        for (index, layer, direction, gate), name in self.group.names.items():
            yield self.layout.parts[index], Found(self.group.path, layer, direction, gate), name


@dataclass(frozen=True)
class Lookalike:
    """Something recurrent that gatewise names but does not read: its place, what it is, and why."""

    name: str
    kind: str
    why: str
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ambiguity:
    """Tensors that two layouts of different meaning fit equally well."""

    name: str
    layouts: tuple[str, ...]
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class Recognised:
    matches: tuple[Match, ...]
    outside: tuple[Lookalike, ...] = ()
    ambiguous: tuple[Ambiguity, ...] = ()
    misfits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # path → why no layout fits it


# Declared kinds that are recurrent and outside: (pattern, why).  Patterns match the whole kind.
OUTSIDE = (
    (r".*\bConvLSTM\w*", "its gates are convolutions, not matrices; gatewise names it and does not convert it"),
    (
        r".*\b(quantized|quantizable)\b.*\b(LSTM|GRU|RNN)(Cell)?",
        "its weights are quantised; gatewise does not dequantise",
    ),
)
# The same told by tensor names alone: (pattern with the layer's path, kind, why).
OUTSIDE_NAMES = (
    (r"(?P<path>.*)\._all_weight_values\..*", "torch.ao.nn.quantized.dynamic recurrent layer", OUTSIDE[1][1]),
)
_RECURRENT_CLASS = re.compile(r"(lstm|gru|rnn)", re.IGNORECASE)


def recognise(tensors: Tensors, layouts: Sequence[Layout], *, chosen: bool = False) -> Recognised:
    """Find every recurrent layer.  ``chosen``: the user named these layouts, so classes that a file declares and
    names that merely resemble do not count against them."""
    found = _pass(_Finder(tensors, tensors.naming, chosen), layouts)
    claimed = {name for match in found.matches for name in match.tensors}
    claimed |= {name for look in found.outside for name in look.tensors}
    left = tensors.with_tensors(tensor for name, tensor in tensors.items() if name not in claimed)
    resembling = _pass(_Finder(left, RESEMBLING, chosen), layouts) if left else Recognised(())
    order = {name: position for position, name in enumerate(tensors)}
    matches = sorted(
        (*found.matches, *resembling.matches), key=lambda match: min(order[name] for name in match.tensors)
    )
    return replace(found, matches=tuple(_named_apart(matches)), misfits=found.misfits or resembling.misfits)


def _pass(finder: _Finder, layouts: Sequence[Layout]) -> Recognised:
    """All layouts against one naming scheme."""
    candidates: list[Match] = []
    misfits: dict[str, list[str]] = defaultdict(list)
    outside: list[Lookalike] = []
    for layout in layouts:
        for group in finder.groups(layout):
            fitting = finder.fits(layout, group)
            if isinstance(fitting, Match):
                lookalike = finder.lookalike(fitting)
                if lookalike:
                    outside.append(lookalike)
                else:
                    candidates.append(fitting)
            else:
                misfits[group.name].append(fitting)
                outside += finder.convolution(group)
    matches, ambiguous = _settle(candidates)
    claimed = {name for match in matches for name in match.tensors}
    outside = [look for look in outside if not claimed.intersection(look.tensors)]
    outside += finder.declared_outside(claimed, {look.name for look in outside})
    return Recognised(
        tuple(matches), tuple(_first_by_name(outside)), tuple(ambiguous), {k: tuple(v) for k, v in misfits.items()}
    )


def _named_apart(matches: list[Match]) -> list[Match]:
    """Layers that the file gives one name (the cells of a StackedRNNCells) get a number behind it."""
    names = [match.name for match in matches]
    seen: dict[str, int] = defaultdict(int)
    result = []
    for match in matches:
        if names.count(match.name) > 1:
            number = seen[match.name]
            seen[match.name] += 1
            match = replace(match, given_name=f"{match.name}/cell_{number}")
        result.append(match)
    return result


def _first_by_name(looks: Iterable[Lookalike]) -> list[Lookalike]:
    return list({look.name: look for look in reversed(list(looks))}.values())[::-1]


class _Finder:
    """What one file offers: names matched once per template, declared objects by path."""

    def __init__(self, tensors: Tensors, naming: str, chosen: bool):
        self.tensors = tensors
        self.naming = naming
        self.chosen = chosen
        self._matched: dict[Template, list[tuple[str, Found]]] = {}
        self._declared = {(d.path, d.member): d for d in tensors.declared if d.kind or d.name}

    # Names.

    def groups(self, layout: Layout) -> list[Group]:
        """The layout's tensors by path; layers that share a path are told apart by what the wildcards stood for."""
        by_path: dict[tuple[str, str], list[tuple[Address, str, tuple[str, ...]]]] = defaultdict(list)
        for index, part in enumerate(layout.parts):
            for name, found in self._named(layout, part):
                address = (index, found.layer, found.direction, found.gate)
                by_path[found.path, found.member].append((address, name, found.wild))
        groups: list[Group] = []
        for (path, member), entries in by_path.items():
            groups += _split(path, member, entries)
        return groups

    def _named(self, layout: Layout, part: Part) -> list[tuple[str, Found]]:
        template = layout.template(part, self.naming)
        if template is None:
            return []
        if template not in self._matched:
            pairs = ((name, template.match(name)) for name in self.tensors)
            self._matched[template] = [(name, found) for name, found in pairs if found]
        return self._matched[template]

    def declared_for(self, group: Group) -> Declared | None:
        """What the file declares nearest above a group: at its path, or at the longest prefix of its names."""
        first = next(iter(group.names.values()), "")
        ends = sorted({m.start() for m in re.finditer(r"[./_]", first)}, reverse=True)
        for path in (group.path, *(first[:end] for end in ends), ""):
            found = self._declared.get((path, group.member)) or self._declared.get((path, ""))
            if found is not None:
                return found
        return None

    # Shapes.

    def fits(self, layout: Layout, group: Group) -> Match | str:
        """The layout's match with a group, or one sentence why it does not fit."""
        declared = self.declared_for(group)
        version = declared.version if declared and declared.version else self._version()
        told = told_by_settings(layout, declared.settings, version) if declared else {}
        fitting: list[Match] = []
        reason = ""
        for form in layout.forms:
            found = self._fit_form(layout, form, group)
            if isinstance(found, Match):
                fitting.append(found)
            else:
                reason = reason or found
        if not fitting:
            return reason
        return self._with_meaning(layout, fitting, declared, told, version)

    def _version(self) -> str | None:
        return next((writer.version for writer in self.tensors.written_by if "keras" in writer.framework), None)

    def _fit_form(self, layout: Layout, form: Mapping[str, Any], group: Group) -> Match | str:
        wanted = layout.parts_given(form)
        present = {i: part for i, part in enumerate(layout.parts) if part in wanted and _has(group, i)}
        missing = [p for i, p in enumerate(layout.parts) if p in wanted and i not in present and not p.optional]
        if missing:
            return f"{layout.name} also wants {missing[0].template_text(self.naming) or missing[0].name!r}."
        addresses = {address: name for address, name in group.names.items() if address[0] in present}
        incomplete = _incomplete(layout, present, addresses)
        if incomplete:
            return incomplete
        dtypes = {self.tensors[name].dtype for name in addresses.values()}
        if not dtypes <= FLOATS:
            return f"{layout.name} holds floating-point weights, these are {', '.join(sorted(dtypes - FLOATS))}."
        try:
            sizes = _sizes(layout, present, addresses, self.tensors)
        except Unsolvable as error:
            return f"{error} ({layout.name})."
        kernel = next(name for (i, *_), name in addresses.items() if "kernel" in layout.parts[i].roles)
        narrowed = replace(group, names=addresses)
        return Match(layout, form, narrowed, sizes, self.tensors[kernel].dtype)

    # Meaning.

    def _with_meaning(
        self, layout: Layout, fitting: list[Match], declared: Declared | None, told: dict[str, Any], version: str | None
    ) -> Match:
        known = bool(declared and (declared.kind in layout.kinds or _marked(layout, declared)))
        evidence = [f"the file declares {declared.kind} here"] if known and declared else []
        loose = self.naming == RESEMBLING
        evidence.append(
            f"the names resemble this layout's ({', '.join(list(fitting[0].tensors)[:2])} …); its gate order is assumed"
            if loose
            else "the names are this layout's"
        )
        assumed: list[str] = []
        meaning = dialect_with(layout.meaning, told)
        for setting in layout.settings:
            if setting.field not in told and setting.because and not _shown_by_form(fitting, setting.field):
                default = setting.default.at(version) if isinstance(setting.default, Since) else setting.default
                meaning = dialect_with(meaning, {setting.field: default})
                assumed.append(f"{setting.field} = {default} ({setting.because})")
        match = next((found for found in fitting if _agrees(found.form, meaning)), fitting[0])
        meaning = dialect_with(meaning, match.form)
        sizes = match.sizes[0, "forward"]
        evidence.append(
            f"the shapes fit {len(layout.gates)} gate(s) × {sizes['unit']} units, {sizes['feature']} features"
        )
        return Match(
            layout, match.form, match.group, match.sizes, match.dtype, declared, meaning,
            tuple(evidence), tuple(assumed), sure=not loose or self.chosen,
        )  # fmt: skip

    # What is not plain.

    def lookalike(self, match: Match) -> Lookalike | None:
        """A match whose place the file declares to be something else: another class, other sizes, mixed directions."""
        declared = match.declared
        if self.chosen or declared is None or not declared.kind:
            return None
        if declared.kind in match.layout.kinds or _marked(match.layout, declared):
            why = _contradiction(match, declared) or _mixed_directions(match, declared)
        else:
            why = _outside_reason(declared.kind) or (
                f"its shapes fit {match.layout.name}, but the file says it is a {declared.kind}, whose gate order gatewise "
                "does not know; describe it with --from (a layout's name, or a TOML file)"
            )
        return Lookalike(match.name, declared.kind, why, match.tensors) if why else None

    def convolution(self, group: Group) -> list[Lookalike]:
        """Kernels with more than two axes: a convolutional recurrent layer, declared or not."""
        names = tuple(group.names.values())
        rank = max(len(self.tensors[name].shape) for name in names)
        if rank < 3 or len(names) < 2:
            return []
        declared = self.declared_for(group)
        kind = declared.kind if declared and declared.kind else "convolutional recurrent layer"
        name = declared.name if declared and declared.name else group.name
        return [Lookalike(name, kind, _outside_reason("keras.ConvLSTM2D") or "", names)]

    def declared_outside(self, claimed: set[str], named: set[str]) -> list[Lookalike]:
        """Objects declared with a recurrent class that no layout read."""
        found = list(self._outside_by_name())
        for declared in self.tensors.declared:
            name = declared.name or declared.path
            reason = _outside_reason(declared.kind)
            last = re.split(r"[./]", declared.kind or declared.path)[-1]
            if reason is None and not _RECURRENT_CLASS.search(last):
                continue
            own = self._own_tensors(declared)
            matrices = [name for name in own if len(self.tensors[name].shape) > 1 and self.tensors[name].size > 1]
            if reason is None and len(matrices) > 1:
                what = declared.kind or f"layer of that name ({last})"
                reason = f"no layout that gatewise knows is a {what} with these tensors; describe it with --from (a TOML file)"
            if reason and name not in named and not claimed.intersection(own):
                found.append(Lookalike(name, declared.kind or "custom layer", reason, own))
        return found

    def _outside_by_name(self) -> Iterator[Lookalike]:
        for pattern, kind, why in OUTSIDE_NAMES:
            paths: dict[str, list[str]] = defaultdict(list)
            for name in self.tensors:
                if hit := re.fullmatch(pattern, name):
                    paths[hit["path"]].append(name)
            for path, names in paths.items():
                yield Lookalike(path, kind, why, tuple(names))

    def _own_tensors(self, declared: Declared) -> tuple[str, ...]:
        deeper = [path for path, _ in self._declared if path != declared.path and path.startswith(declared.path)]
        return tuple(
            name for name in self.tensors
            if _below(name, declared.path) and not any(_below(name, path) for path in deeper)
        )  # fmt: skip


def _below(name: str, path: str) -> bool:
    return not path or (name.startswith(path) and name[len(path) : len(path) + 1] in ("", ".", "/", "_"))


def _outside_reason(kind: str) -> str | None:
    return next((why for pattern, why in OUTSIDE if re.fullmatch(pattern, kind)), None)


def _marked(layout: Layout, declared: Declared) -> bool:
    return bool(layout.marks) and all(declared.settings.get(key) == want for key, want in layout.marks.items())


def _contradiction(match: Match, declared: Declared) -> str:
    """Where the file declares a size and the tensors show another, the layer is not what it seems."""
    first = match.sizes[0, "forward"]
    shown = {
        "unit": first["unit"], "feature": first["feature"],
        "layers": len({layer for layer, _ in match.sizes}), "directions": len({way for _, way in match.sizes}),
    }  # fmt: skip
    for fact in match.layout.facts:
        said = next((declared.settings[name] for name in fact.names if name in declared.settings), None)
        meant = fact.values.get(said) if fact.values is not None and isinstance(said, (str, bool)) else said
        if isinstance(meant, int) and meant != shown[fact.of]:
            return f"the file declares {meant} {fact.of}(s) here, and the tensors show {shown[fact.of]}"
    return ""


def _mixed_directions(match: Match, declared: Declared) -> str:
    """A reverse direction with settings of its own, which mean another function than the forward one's."""
    own = declared.settings.get(match.layout.reverse_settings)
    if not isinstance(own, Mapping):
        return ""
    forward = told_by_settings(match.layout, declared.settings, declared.version)
    reverse = told_by_settings(match.layout, own, declared.version)
    differ = [name for name, value in reverse.items() if name != "go_backwards" and forward.get(name, value) != value]
    return f"its two directions differ in {differ[0]}; gatewise reads layers whose directions agree" if differ else ""


def _agrees(form: Mapping[str, Any], meaning: Dialect) -> bool:
    return all(getattr(meaning, key) == want for key, want in form.items())


def _shown_by_form(fitting: list[Match], field_name: str) -> bool:
    """Did the shapes alone decide this field?"""
    return len(fitting) == 1 and field_name in fitting[0].form


def _has(group: Group, index: int) -> bool:
    return any(address[0] == index for address in group.names)


def _split(path: str, member: str, entries: list[tuple[Address, str, tuple[str, ...]]]) -> Iterator[Group]:
    if len({address for address, _, _ in entries}) == len(entries):
        yield Group(path, f"cell_{member}" if member else "", {address: name for address, name, _ in entries}, member)
        return
    by_wild: dict[tuple[str, ...], dict[Address, str]] = defaultdict(dict)
    for address, name, wild in entries:
        by_wild[wild][address] = name
    for wild, names in by_wild.items():
        yield Group(path, "".join(wild).strip("_.") or member, names, member)


def _incomplete(layout: Layout, present: Mapping[int, Part], names: Mapping[Address, str]) -> str:
    layers = sorted({layer for _, layer, _, _ in names})
    if layers != list(range(len(layers))):
        return f"layers {layers} are there, so one is missing ({layout.name})."
    directions = sorted({direction for _, _, direction, _ in names})
    if directions == ["reverse"]:
        return f"only the reverse direction is there ({layout.name})."
    for index, part in present.items():
        found = layout.template(part, "")
        for layer in layers if found and found.has_layer else [0]:
            for direction in directions:
                for gate in layout.gates_of(part) if found and found.has_gate else [None]:
                    if (index, layer, direction, gate) not in names and "direction" not in part.parsed.atoms:
                        return (
                            f"layer {layer} ({direction}) lacks its {' + '.join(part.roles)}"
                            f"{f', gate {gate}' if gate else ''} ({layout.name})."
                        )
    return ""


def _sizes(
    layout: Layout, present: Mapping[int, Part], names: Mapping[Address, str], tensors: Mapping[str, StoredTensor]
) -> dict[tuple[int, str], dict[str, int]]:
    projected = any("projection" in part.roles for part in present.values())
    equations: dict[tuple[int, str], list[Equation]] = defaultdict(list)
    for (index, layer, direction, _), name in names.items():
        equations[layer, direction] += _equations(layout, present[index], tensors[name], projected)
    sizes: dict[tuple[int, str], dict[str, int]] = {}
    for place, system in equations.items():
        found = solve(system, {"one": 1})
        found.setdefault("hidden", found.get("unit", 0))
        found.setdefault("direction", len({direction for _, direction in equations}))
        sizes[place] = found
    return _checked(sizes, equations)


def _equations(layout: Layout, part: Part, tensor: StoredTensor, projected: bool) -> list[Equation]:
    axes = part.parsed.axes
    if len(axes) != len(tensor.shape):
        raise Unsolvable(Equation(axes[0], len(tensor.shape), f"the shape of {tensor.name!r}", {}), len(axes))
    known = {"gate": len(layout.gates_of(part))}
    return [
        Equation(_tied(axis, projected), length, f"axis {number} of {tensor.name!r} {list(tensor.shape)}", known)
        for number, (axis, length) in enumerate(zip(axes, tensor.shape, strict=True))
    ]


def _tied(axis: tuple[tuple[str, ...], ...], projected: bool) -> tuple[tuple[str, ...], ...]:
    """Without a projection the hidden state is the unit's output."""
    if projected:
        return axis
    return tuple(tuple("unit" if atom == "hidden" else atom for atom in segment) for segment in axis)


def _checked(
    sizes: dict[tuple[int, str], dict[str, int]], equations: Mapping[tuple[int, str], list[Equation]]
) -> dict[tuple[int, str], dict[str, int]]:
    for place, found in sizes.items():
        if not {"unit", "feature"} <= set(found) or found["direction"] not in (1, 2):
            raise Unsolvable(equations[place][0], None)
    if any(found["direction"] == 2 for found in sizes.values()):  # one tensor holds both directions
        for (layer, direction), found in list(sizes.items()):
            if direction == "forward":
                sizes.setdefault((layer, "reverse"), found)
    for (layer, direction), found in sizes.items():
        below = [sizes[layer - 1, d]["hidden"] for d in DIRECTIONS if (layer - 1, d) in sizes]
        if layer and found["feature"] != sum(below):
            raise Unsolvable(equations.get((layer, direction), equations[layer, "forward"])[0], sum(below))
    return sizes


def _settle(candidates: list[Match]) -> tuple[list[Match], list[Ambiguity]]:
    """Where matches want the same tensors, the best evidence wins; equal evidence and other meaning is an ambiguity."""
    chosen: list[Match] = []
    ambiguous: list[Ambiguity] = []
    taken: dict[str, Match] = {}
    for match in sorted(candidates, key=_rank, reverse=True):
        rivals = {id(taken[name]): taken[name] for name in match.tensors if name in taken}
        if not rivals:
            chosen.append(match)
            taken |= dict.fromkeys(match.tensors, match)
            continue
        rival = next(iter(rivals.values()))
        if _rank(rival) == _rank(match) and not _means_the_same(rival, match):
            ambiguous.append(Ambiguity(match.name, (rival.layout.name, match.layout.name), match.tensors))
    undecided = {name for doubt in ambiguous for name in doubt.tensors}
    return [match for match in chosen if not undecided.intersection(match.tensors)], ambiguous


def _rank(match: Match) -> tuple[bool, int]:
    declared = match.declared is not None and match.declared.kind in match.layout.kinds
    return (declared, len(match.tensors))


def _means_the_same(one: Match, other: Match) -> bool:
    return (
        one.dialect == other.dialect
        and one.layout.gates == other.layout.gates
        and [(p.roles, p.phrase, p.relabel) for p in one.layout.parts]
        == [(p.roles, p.phrase, p.relabel) for p in other.layout.parts]
    )
