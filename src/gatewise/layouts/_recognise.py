"""Which tensors of a file are which layout's layer, with the evidence; and what merely looks like one.

Evidence counts in this order: what the file declares (a class, an operator), the names, the shapes.  Two layouts that
fit equally well and do not mean the same are an :class:`Ambiguity`, never a guess.  A class that the file declares and
no layout claims is a lookalike, however well its shapes fit.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..record import field, lazy, record, replace
from ..tensors import Declared, Tensors
from ..weights import Dialect
from ._fit import Fits
from ._groups import at_home, bound_groups, matching_paths, stream_groups, wrote
from ._layout import RESEMBLING, Layout, Setting, Since, is_stream
from ._match import Address, Group, Match, claims
from ._names import NamesOfFile, Tail
from ._outside import Beside, Lookalike, bias_beside, convolution, declared_outside, is_moment, lookalike, named_outside
from ._settings import dialect_with, told_by_settings, version_numbers
from ._settle import Ambiguity, settle, with_sources

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    _Named = list[tuple[str, str, Tail]]  # what fits one template: names, paths, and what else it finds


class Misfits(Mapping[str, tuple[str, ...]]):
    """Path → why no layout fits it, a sentence for each layout.  Made when read: a file has thousands of paths that a
    layout does not fit, and hardly anybody asks why."""

    def __init__(self, misfits: Sequence[tuple[Layout, Sequence[Group]]], why: Callable[[Layout, Group], str]):
        self._misfits, self._why = misfits, why

    @lazy
    def _by_path(self) -> Mapping[str, list[tuple[Layout, Group]]]:
        found: dict[str, list[tuple[Layout, Group]]] = defaultdict(list)
        for layout, groups in self._misfits:
            for group in groups:
                found[group.name].append((layout, group))
        return found

    def __getitem__(self, path: str) -> tuple[str, ...]:
        return tuple(self._why(layout, group) for layout, group in self._by_path[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path)

    def __len__(self) -> int:
        return len(self._by_path)

    def __bool__(self) -> bool:
        return any(groups for _, groups in self._misfits)


@record
class Recognised:
    matches: tuple[Match, ...]
    outside: tuple[Lookalike, ...] = ()
    ambiguous: tuple[Ambiguity, ...] = ()
    misfits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # or Misfits


def recognise(
    tensors: Tensors, layouts: Sequence[Layout], *, chosen: bool = False, told: Mapping[str, int] | None = None
) -> Recognised:
    """Find every recurrent layer.  ``chosen``: the user named these layouts, so classes that a file declares and
    names that merely resemble do not count against them.  ``told``: sizes that the user says (unit, layers …)."""
    found = _pass(_Finder(tensors, tensors.naming, chosen, told or {}), layouts)
    claimed = {name for match in found.matches for name in with_sources(match, tensors)}
    claimed |= {name for look in found.outside for name in look.tensors}
    left = tensors.with_tensors(tensor for name, tensor in tensors.items() if name not in claimed)
    loose = [layout for layout in layouts if layout.named_parts(RESEMBLING)] if left else []
    resembling = _pass(_Finder(left, RESEMBLING, chosen, told or {}), loose) if loose else Recognised(())
    return replace(
        found,
        matches=tuple(_named_apart(_in_order((*found.matches, *resembling.matches), tensors))),
        ambiguous=(*found.ambiguous, *resembling.ambiguous),
        misfits=found.misfits or resembling.misfits,
    )


def _in_order(matches: Iterable[Match], tensors: Tensors) -> list[Match]:
    """The layers as their tensors lie in the file; a graph's operators among them in the graph's own order."""
    places = {name: position for position, name in enumerate(tensors)}
    ordered = sorted(matches, key=lambda match: min(places[name] for name in match.tensors))
    turns = {id(declared): position for position, declared in enumerate(tensors.declared)}
    operators = [match for match in ordered if match.group.declared is not None]
    in_turn = iter(sorted(operators, key=lambda match: turns.get(id(match.group.declared), -1)))
    return [match if match.group.declared is None else next(in_turn) for match in ordered]


def _pass(finder: _Finder, layouts: Sequence[Layout]) -> Recognised:
    """All layouts against one naming scheme."""
    candidates: list[Match] = []
    misfits: list[tuple[Layout, list[Group]]] = []
    outside: list[Lookalike] = []
    for layout in layouts:
        misfits.append((layout, []))
        for group in finder.groups(layout) if finder.chosen or at_home(layout, finder.tensors) else ():
            match = finder.match(layout, group)
            if match is None:
                misfits[-1][1].append(group)
                outside += finder.convolution(layout, group)
                continue
            look = lookalike(match, finder.beside, finder.chosen)
            if look and not look.match:
                outside.append(look)
            else:  # or named by its own table, which may still lose its tensors to another
                candidates.append(match)
    settled, ambiguous = settle(candidates, finder.tensors)
    outside += [named_outside(match) for match in settled if match.layout.outside]
    matches = [match for match in settled if not match.layout.outside]
    claimed = {name for match in matches for name in match.tensors}
    outside = [look for look in outside if not claimed.intersection(look.tensors)]
    outside = [look for look in outside if not any(set(look.tensors) < set(other.tensors) for other in outside)]
    if not finder.chosen:  # the user said what to look for: what else there is does not matter
        outside += declared_outside(finder.tensors, claimed, {look.name for look in outside})
    return Recognised(
        tuple(matches), tuple(_first_by_name(outside)), tuple(ambiguous), Misfits(misfits, finder.why_not)
    )


def _named_apart(matches: list[Match]) -> list[Match]:
    """Layers that the file gives one name (the cells of a StackedRNNCells) get a number behind it."""
    counts = Counter(match.name for match in matches)
    seen: dict[str, int] = defaultdict(int)
    result = []
    for match in matches:
        if counts[match.name] > 1:
            number = seen[match.name]
            seen[match.name] += 1
            match = replace(match, given_name=f"{match.name}/cell_{number}")
        result.append(match)
    return result


def _first_by_name(looks: Iterable[Lookalike]) -> list[Lookalike]:
    return list({look.name: look for look in reversed(list(looks))}.values())[::-1]


class _Finder:
    """What one file offers: names matched once per template, declared objects by path."""

    def __init__(self, tensors: Tensors, naming: str, chosen: bool, told: Mapping[str, int]):
        self.tensors = tensors
        self.naming = naming
        self.chosen = chosen
        self.told = told
        self._names = NamesOfFile(tensors, is_moment)
        self.beside = Beside(tensors)
        self._fits = Fits(tensors, told)
        self._alike: dict[tuple[Layout, int], Match | None] = {}  # what is true of all groups of a kind
        self._flat: set[tuple[Layout, int]] = set()  # kinds of groups that are no convolution
        self._grouped: dict[object, list[Group]] = {}  # layouts of several frameworks have the same names
        self._declared = {(d.path, d.member): d for d in tensors.declared if d.kind or d.name or d.settings}

    # Names.

    def groups(self, layout: Layout) -> list[Group]:
        """The layout's tensors by path; layers that share a path are told apart by what the wildcards stood for."""
        if self.naming != RESEMBLING:
            bound = list(bound_groups(layout, self.tensors, self.chosen))
            if bound or is_stream(self.naming):
                return bound + list(stream_groups(layout, self.naming, self.tensors, self._fits_window))
        matching = self._names.matching
        fits = ((index, [*filter(None, map(matching, each))]) for index, each in layout.named_parts(self.naming))
        named = [(index, found) for index, found in fits if found]
        key = (layout.named, layout.paths, *((index, *map(id, found)) for index, found in named))
        if key not in self._grouped:
            self._grouped[key] = list(self._groups(layout, named))
        return self._grouped[key]

    def _groups(self, layout: Layout, named: list[tuple[int, list[_Named]]]) -> Iterator[Group]:
        by_path: dict[tuple[str, str], list[tuple[Address, str, tuple[str, ...]]]] = defaultdict(list)
        for index, matching in named:
            addresses: dict[int, Address] = {}  # names that end alike share theirs
            for name, path, tail in matching[0] if len(matching) == 1 else _once(matching):
                if self.chosen or _is_named(layout, path):
                    known = addresses.get(id(tail)) or (index, tail.layer, tail.direction, tail.gate)
                    addresses[id(tail)] = known
                    by_path[path, tail.member].append((known, name, tail.wild))
        for (path, member), entries in by_path.items() if not layout.paths else matching_paths(layout.paths, by_path):
            yield from _split(path, member, entries, self.naming)

    def _fits_window(self, layout: Layout, group: Group) -> bool:
        return bool(self._fits.matches(layout, group, None))

    def declared_for(self, group: Group) -> Declared | None:
        """What the file declares nearest above a group: at its path, or at the longest prefix of its names."""
        if group.declared is not None or not self._declared:
            return group.declared
        first = next(iter(group.names.values()), "")
        ends = sorted({m.start() for m in re.finditer(r"[./_]", first)}, reverse=True)
        for path in (group.path, *(first[:end] for end in ends), ""):
            found = self._declared.get((path, group.member)) or self._declared.get((path, ""))
            if found is not None:
                return found
        return None

    # Shapes.

    def match(self, layout: Layout, group: Group) -> Match | None:
        """The layout's match with a group, if it fits."""
        declared = self.declared_for(group)
        if declared is not None or self.naming == RESEMBLING:  # then what is said of a match names what is its own
            match = self._match(layout, group, declared)
        else:
            kind = (layout, self._fits.kind(group))
            if kind not in self._alike:
                self._alike[kind] = self._match(layout, group, None)
            alike = self._alike[kind]
            match = alike and alike.of(group)
        return match and self._with_stray_bias(match)

    def _match(self, layout: Layout, group: Group, declared: Declared | None) -> Match | None:
        fitting = self._fits.matches(layout, group, declared)
        if not fitting:
            return None
        version = declared.version if declared and declared.version else self._version(layout)
        told = told_by_settings(layout, declared.settings, version) if declared else {}
        return self._with_meaning(layout, fitting, declared, told, version)

    def _with_stray_bias(self, match: Match) -> Match:
        known = match.declared is not None and claims(match.layout, match.declared)
        stray = "" if self.chosen or known else bias_beside(match, self.tensors, self.beside)
        doubt = ("layout", f"{stray}: --from {match.layout.name} settles it")
        return replace(match, doubts=(*match.doubts, doubt)) if stray else match

    def convolution(self, layout: Layout, group: Group) -> list[Lookalike]:
        """What a group that does not fit is, where it is a convolution's or several layers in one."""
        kind = (layout, self._fits.kind(group))
        if kind in self._flat:
            return []
        found = convolution(layout, group, self.tensors, self.declared_for(group))
        if not found and all(
            len(self.tensors[name].shape) < 3 for name in group.names.values() if name in self.tensors
        ):
            self._flat.add(kind)
        return found

    def why_not(self, layout: Layout, group: Group) -> str:
        return self._fits.why_not(layout, group, self.declared_for(group))

    def _version(self, layout: Layout) -> str | None:
        """The version of the layout's own framework that wrote the file, where the file tells."""
        return next((writer.version for writer in self.tensors.written_by if wrote(writer.framework, layout)), None)

    # Meaning.

    def _with_meaning(
        self, layout: Layout, fitting: list[Match], declared: Declared | None, told: dict[str, Any], version: str | None
    ) -> Match:
        known = declared is not None and claims(layout, declared)
        settles = f"--from {layout.name} settles it"
        anybodys = not (self.chosen or known or fitting[0].group.naming)  # a format's own names are nobody else's
        doubts = [("layout", f"{layout.doubt}: {settles}")] if layout.doubt and anybodys else []
        evidence = [f"the file declares {declared.kind} here"] if known and declared else []
        loose = self.naming == RESEMBLING
        if loose and not self.chosen:
            doubts.append(("layout", f"nothing in the file names the layout: {settles}"))
        native = any(wrote(writer.framework, layout) for writer in self.tensors.written_by)
        if is_stream(fitting[0].group.naming) and not (native or self.chosen or known):
            doubts.append(("layout", f"the file names nothing, its shapes fit: {settles}"))
        evidence.append(_by_names(fitting[0], loose, known))
        assumed: list[str] = []
        meaning = dialect_with(layout.meaning, told)
        for setting in layout.settings:
            if setting.field not in told and setting.because and not _shown(fitting, setting):
                default = setting.default.at(version) if isinstance(setting.default, Since) else setting.default
                meaning = dialect_with(meaning, {setting.field: default})
                assumed.append(f"{setting.field} = {default} ({setting.because})")
                if (plain := version if version_numbers(version) else None) in setting.untold:  # ">=1.2" is none
                    doubts.append((setting.field, _untold(setting.field, plain)))
        most = max(len(found.tensors) for found in fitting)
        fullest = [found for found in fitting if len(found.tensors) == most]
        evidence += [layout.note] if layout.note else []
        match = next((found for found in fullest if _agrees(found.form, meaning)), fullest[0])
        meaning = dialect_with(meaning, match.form)
        sizes = match.sizes[0, "forward"]
        evidence.append(
            f"the shapes fit {len(layout.gates)} gate(s) × {sizes['unit']} units, {sizes['feature']} features"
        )
        return Match(
            layout, match.form, match.group, match.sizes, match.dtype, declared, meaning,
            tuple(evidence), tuple(assumed), doubts=tuple(doubts), native=native,
        )  # fmt: skip


def _by_names(match: Match, loose: bool, known: bool) -> str:
    if loose:
        return f"the names resemble this layout's ({', '.join(list(match.tensors)[:2])} …); its gate order is assumed"
    if match.group.declared is not None and known:
        return "the operator's inputs are this layout's"
    return "the file has no names; the order and the shapes are this layout's" if is_stream(match.group.naming) else (
        "the names are this layout's"
    )  # fmt: skip


def _untold(field_name: str, version: str | None) -> str:
    option = "--" + field_name.replace("_", "-")
    who = f"releases with different defaults call themselves {version}" if version else (
        "the file does not say its version, and releases or cells with different defaults wrote such names"
    )  # fmt: skip
    return f"{who}: {option} settles {field_name}"


def _agrees(form: Mapping[str, Any], meaning: Dialect) -> bool:
    return all(getattr(meaning, key) == want for key, want in form.items())


def _shown(fitting: list[Match], setting: Setting) -> bool:
    """Did the shapes alone decide this field, or show that the layer has no such choice?"""
    if setting.role and not any(setting.role in part.roles for found in fitting for part, _, _ in found.places()):
        return True
    if setting.field == "merge" and all(len({way for _, way in found.sizes}) == 1 for found in fitting):
        return True
    return len(fitting) == 1 and setting.field in fitting[0].form


def _is_named(layout: Layout, path: str) -> bool:
    return not layout.named or layout.named in re.split(r"[./]", path)[-1].lower()


def _once(matching: list[_Named]) -> Iterator[tuple[str, str, Tail]]:
    """What several templates fit.  Two spellings that say the same place are one."""
    seen: set[tuple[object, ...]] = set()
    for name, path, tail in itertools.chain(*matching):
        place = (name, path, tail.layer, tail.direction, tail.gate, tail.member)
        if place not in seen:
            seen.add(place)
            yield name, path, tail


def _split(path: str, member: str, entries: list[tuple[Address, str, tuple[str, ...]]], naming: str) -> Iterator[Group]:
    names = {address: name for address, name, _ in entries}
    if len(names) == len(entries):
        yield Group(path, f"cell_{member}" if member else "", names, member, naming)
        return
    by_wild: dict[tuple[str, ...], dict[Address, str]] = defaultdict(dict)
    for address, name, wild in entries:
        by_wild[wild][address] = name
    for wild, names in by_wild.items():
        yield Group(path, "".join(wild).strip("_.") or member, names, member, naming)
