"""Part and Layout: one framework's way of storing one kind of cell, as data; and what follows from that data.

From one table row gatewise decodes (views into the stored arrays), encodes (makes empty arrays, decodes *them*,
assigns into the views), recognises the row's layers in a file, solves their sizes, and writes the docs.  Only decoding
is written; everything else uses it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import LayoutError, PhraseError
from ..weights import GATELESS, GATES, KERNEL, PLAIN, RECURRENT_KERNEL, ROLE_AXES, Dialect
from ._names import Found, Template, template
from ._phrase import Phrase, phrase

if TYPE_CHECKING:
    from ..tensors import Array


RESEMBLING = "~"  # the naming scheme of names that merely look like a layout's: recognised, and said to be unsure


@dataclass(frozen=True, eq=False)
class Part:
    """One stored tensor of a cell.

    ``name``     template of its name; a mapping where containers have naming schemes of their own, or where people's
                 own exports spell it likewise (``RESEMBLING``)
    ``roles``    what lies in it: KERNEL, BIAS + RECURRENT_BIAS …
    ``phrase``   where each role lies (``_phrase``)
    ``optional`` may be missing (all of them or none)
    ``gates``    the gates it holds, where not all of the layout's
    ``relabel``  a re-labelling of elements inside each gate's block that no view can express (``RELABELS``)
    ``given``    the dialect for which the layout has this part: ``{"reset": "before"}``
    """

    name: str | Mapping[str, str]
    roles: tuple[str, ...]
    phrase: str
    optional: bool = False
    gates: str | None = None
    relabel: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def parsed(self) -> Phrase:
        return phrase(self.phrase)

    @property
    def all_names(self) -> str:
        """Every name template, one a line."""
        return self.name if isinstance(self.name, str) else "\n".join(self.name.values())

    def template_text(self, naming: str) -> str | None:
        if isinstance(self.name, str):
            return None if naming == RESEMBLING else self.name
        return self.name.get(naming)


@dataclass(frozen=True)
class Since:
    """A value that changed with a version of the framework: ``then`` from ``version`` on, ``before`` until then.

    tf.keras counted its versions apart from Keras's until both reached 2.4, with ``-tf`` behind them: ``tf`` is the
    version where *it* changed, if that is another one.
    """

    version: tuple[int, ...]
    then: Any
    before: Any
    tf: tuple[int, ...] | None = None

    def at(self, version: str | None) -> Any:
        """The value in ``version`` ("2.2.4-tf"); today's where the version is not known."""
        numbers = version_numbers(version)
        changed = self.tf if self.tf and (version or "").endswith("-tf") else self.version
        return self.before if numbers and numbers < changed else self.then


def version_numbers(version: str | None) -> tuple[int, ...]:
    """``2.2.4-tf`` → (2, 2, 4); () where there is none."""
    numbers = []
    for piece in (version or "").split("-")[0].split("+")[0].split("."):
        if not piece.isdigit():
            break
        numbers.append(int(piece))
    return tuple(numbers)


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice that a framework lets a layer make, and what it means.

    ``field`` of :class:`Dialect`; ``names`` as the framework spells it (the first is written); ``values`` from the
    framework's to ours, each perhaps a :class:`Since`; ``default`` (ours) where a file is silent, and ``because``.
    """

    field: str
    names: tuple[str, ...]
    values: Mapping[Any, Any]
    default: Any = None
    because: str = ""
    untold: tuple[str, ...] = ()  # versions that do not tell the default, since releases with different ones wrote them

    def meaning(self, value: Any, version: str | None) -> Any:
        """Ours for the framework's; a value that the table does not know is kept as its own text."""
        if isinstance(value, Mapping):  # Keras 3 writes a function as {"class_name": "function", "config": name}
            value = value.get("config", value.get("class_name"))
        known = (
            self.values.get(value, value) if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        )
        return known.at(version) if isinstance(known, Since) else known

    def spelled(self, meaning: Any) -> Any:
        """The framework's today for ours; raises LookupError where it cannot say that."""
        for value, known in self.values.items():
            if (known.at(None) if isinstance(known, Since) else known) == meaning:
                return value
        raise LookupError(meaning)

    def sayable(self) -> list[Any]:
        return [known.at(None) if isinstance(known, Since) else known for known in self.values.values()]


@dataclass(frozen=True)
class Fact:
    """A size that a file may declare beside the tensors that show it: they must agree, or something is misread.

    ``of``: unit, feature, layers or directions; ``names`` as the framework spells it; ``values`` where it is no count.
    """

    of: str
    names: tuple[str, ...]
    values: Mapping[Any, int] | None = None


@dataclass(frozen=True, eq=False)
class Layout:
    """How one framework stores one kind of cell.

    ``gates``    their order along every ``gate`` axis, in canonical letters; ``spelled`` where names spell them otherwise
    ``parts``    the stored tensors
    ``kinds``    class or operator names under which files declare it
    ``marks``    settings that prove the kind whatever the class is called (a subclass of torch's LSTM has mode="LSTM")
    ``dialect``  what the framework computes when nothing is said; ``settings`` what a layer may say
    ``source``   the framework file or paper read;  ``proven`` against which framework and how closely, or ""
    ``facts``    sizes that a file may declare beside the tensors
    ``reverse_settings`` the setting under which a layer keeps the settings of its reverse direction, where they may differ
    ``written_as`` the class name and settings that a writer declares, where a container holds configs
    """

    name: str
    cell: str
    gates: str
    parts: tuple[Part, ...]
    source: str
    dialect: Dialect | None = None
    settings: tuple[Setting, ...] = ()
    kinds: tuple[str, ...] = ()
    marks: Mapping[str, Any] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    proven: str = ""
    facts: tuple[Fact, ...] = ()
    reverse_settings: str = ""
    written_as: str = ""
    separator: str = "."  # between a layer's path and its tensors' names, when writing

    def __post_init__(self) -> None:
        if self.cell not in GATES:
            raise PhraseError(f"{self.name}: no cell is called {self.cell!r}; cells are {', '.join(GATES)}.")
        if sorted(self.gates) != sorted(GATES[self.cell]):
            raise PhraseError(
                f"{self.name}: gates {self.gates!r} are not those of {self.cell}, {' '.join(GATES[self.cell])}."
            )
        for part in self.parts:
            self._check(part)
        for form in self.forms:
            self._check_homes(form)

    def _check(self, part: Part) -> None:
        parsed = part.parsed
        if parsed.roles not in (1, len(part.roles)):
            raise PhraseError(f"{self.name}: {part.phrase!r} places {parsed.roles} roles, {len(part.roles)} are named.")
        for index, role in enumerate(part.roles):
            if role not in ROLE_AXES:
                raise PhraseError(f"{self.name}: there is no role {role!r}.", next=f"Roles: {', '.join(ROLE_AXES)}.")
            atoms = [atom for _, segment in parsed.segments(index) for atom in segment]
            twice = [atom for atom in dict.fromkeys(atoms) if atoms.count(atom) > 1 and atom != "one"]
            if twice:
                raise PhraseError(f"{self.name}: {part.phrase!r} has the axis {twice[0]} twice for its {role}.")
            left = sorted(set(atoms) - {"gate", "direction", "one"})
            if left != sorted(ROLE_AXES[role]):
                raise PhraseError(
                    f"{self.name}: a {role} has the axes {ROLE_AXES[role]}, {part.phrase!r} gives {left}."
                )
            room = "gate" in atoms or "{gate}" in part.all_names or role in GATELESS
            if not room and len(self.gates_of(part)) > 1:
                raise PhraseError(
                    f"{self.name}: {part.phrase!r} has no place for the {len(self.gates_of(part))} gates of its {role}.",
                    next="Say gate in the phrase, {gate} in the name, or which one gate it is.",
                )
        unknown = set(part.gates or "") - set(self.gates)
        if unknown:
            raise PhraseError(f"{self.name}: part {part.phrase!r} has unknown gates {sorted(unknown)}.")
        for naming in ("", RESEMBLING) if isinstance(part.name, str) else part.name:
            self.template(part, naming)
        if part.relabel not in (None, *RELABELS):
            raise PhraseError(
                f"{self.name}: there is no relabel {part.relabel!r}.", next=f"Known: {', '.join(RELABELS)}."
            )

    def _check_homes(self, form: Mapping[str, Any]) -> None:
        """In each form, every gate of both kernels has one home, and nothing has two."""
        homes = [
            (role, gate)
            for part in self.parts_given(form)
            for role in part.roles
            for gate in ([""] if role in GATELESS else self.gates_of(part))
        ]
        for role, gate in homes:
            if homes.count((role, gate)) > 1:
                raise PhraseError(f"{self.name}: two parts hold the {role}{f' of gate {gate}' if gate else ''}.")
        for role in (*KERNEL, *RECURRENT_KERNEL):
            for gate in self.gates:
                if (role, gate) not in homes:
                    raise PhraseError(f"{self.name}: no part holds the {role} of gate {gate}.")

    @property
    def status(self) -> str:
        return "proven" if self.proven else "source only"

    @property
    def meaning(self) -> Dialect:
        """What the framework computes when a layer says nothing."""
        return self.dialect or PLAIN[self.cell]

    @property
    def framework(self) -> str:
        return self.name.split(".")[0]

    @functools.cached_property
    def forms(self) -> tuple[Mapping[str, Any], ...]:
        """The dialects between which the parts differ; ``({},)`` where they do not."""
        distinct: list[Mapping[str, Any]] = []
        for part in self.parts:
            if part.given and dict(part.given) not in distinct:
                distinct.append(dict(part.given))
        return tuple(distinct) or ({},)

    def parts_given(self, form: Mapping[str, Any]) -> tuple[Part, ...]:
        """The parts that the layout has in one form."""
        return tuple(part for part in self.parts if all(form.get(key) == want for key, want in part.given.items()))

    def form_of(self, dialect: Dialect) -> Mapping[str, Any] | None:
        """The form that a dialect asks for; None where no form does."""
        for form in self.forms:
            if all(getattr(dialect, key) == want for key, want in form.items()):
                return form
        return None

    def gates_of(self, part: Part) -> str:
        return self.gates if part.gates is None else part.gates

    def template(self, part: Part, naming: str) -> Template | None:
        """The part's name template under a naming scheme, else under the plain one."""
        loose = naming == RESEMBLING
        text = part.template_text(naming) or (None if loose else part.template_text(""))
        if text is None:
            return None
        spelled = tuple((gate, self.spelled.get(gate, gate)) for gate in self.gates_of(part))
        # Without a gate in the name, the template is shared between layouts: a name is matched against it once.
        return template(text, spelled if "{gate}" in text else (), loose)

    @functools.cached_property
    def is_stack(self) -> bool:
        """Does one object of this layout hold several layers?"""
        return any(found.has_layer for part in self.parts if (found := self.template(part, "")))

    @functools.cached_property
    def is_bidirectional(self) -> bool:
        """Can one object of this layout hold both directions?"""
        named = any(found.has_direction for part in self.parts if (found := self.template(part, "")))
        return named or any("direction" in part.parsed.atoms for part in self.parts)

    def sayable(self, field_name: str) -> list[Any]:
        """Every value of a dialect's field that a layer of this layout can have."""
        by_form = [form[field_name] for form in self.forms if field_name in form]
        by_setting = [value for s in self.settings if s.field == field_name for value in s.sayable()]
        return by_form or by_setting or [getattr(self.meaning, field_name)]

    def gates_with(self, role: str, form: Mapping[str, Any]) -> str:
        """The gates for which the layout stores this role."""
        held = {gate for part in self.parts_given(form) if role in part.roles for gate in self.gates_of(part)}
        return "".join(gate for gate in self.gates if gate in held)

    def roles_given(self, form: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(role for part in self.parts_given(form) for role in part.roles)


@dataclass(frozen=True)
class Slot:
    """One gate of one role in one stored array: a view in canonical axes, or where a relabel stands between, a copy.

    ``read()`` gives the canonical array, ``write(value)`` stores one.
    """

    role: str
    gate: str
    direction: str
    view: Array = field(repr=False)
    relabel: str | None = None

    def read(self) -> Array:
        return RELABELS[self.relabel][0](self.view) if self.relabel else self.view

    def write(self, value: Array) -> None:
        self.view[...] = RELABELS[self.relabel][1](value) if self.relabel else value


def _from_cudnn(view: Array) -> Array:
    # keras.CuDNNLSTM keeps cuDNN's row-major [unit, feature] block under the shape [feature, unit]; the canonical
    # view of that shape is [unit, feature] transposed, so undo the transpose, then give the elements their shape back.
    canonical: Array = view.T.reshape(-1).reshape(view.shape)
    return canonical


def _to_cudnn(value: Array) -> Array:
    block: Array = value.reshape(-1).reshape(value.shape[::-1]).T
    return block


RELABELS = {"cudnn": (_from_cudnn, _to_cudnn)}


def slots(layout: Layout, part: Part, array: Array, sizes: Mapping[str, int], found: Found) -> Iterator[Slot]:
    """Cut one stored array into its slots.  ``sizes`` has unit, feature, hidden, direction; ``found`` what its name
    fixes.  Every slot's ``view`` shares memory with ``array``; together they cover each element exactly once."""
    gates = layout.gates_of(part)
    known = {**sizes, "gate": len(gates), "one": 1}
    for index, role in enumerate(part.roles):
        atoms = {atom for _, segment in part.parsed.segments(index) for atom in segment}
        for direction_at, direction in _directions(atoms, sizes, found):
            for gate_at, gate in _gates(atoms, role, gates, found):
                fixed = ({"gate": gate_at} if "gate" in atoms else {}) | (
                    {"direction": direction_at} if "direction" in atoms else {}
                )
                view = part.parsed.cut(array, index, known, fixed, ROLE_AXES[role])
                yield Slot(role, gate, direction, view, part.relabel)


def _directions(atoms: set[str], sizes: Mapping[str, int], found: Found) -> Sequence[tuple[int, str]]:
    if "direction" not in atoms:
        return ((0, found.direction),)
    return tuple(enumerate(("forward", "reverse")[: sizes["direction"]]))


def _gates(atoms: set[str], role: str, gates: str, found: Found) -> Sequence[tuple[int, str]]:
    if role in GATELESS:
        return ((0, ""),)
    if "gate" in atoms:
        return tuple(enumerate(gates))
    return ((0, found.gate or gates),)


def told_by_settings(layout: Layout, settings: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """The dialect fields that a layer's own settings tell: {field: meaning}."""
    told: dict[str, Any] = {}
    for setting in layout.settings:
        for name in setting.names:
            if name in settings:
                told[setting.field] = setting.meaning(settings[name], version)
                break
    return told


def dialect_with(dialect: Dialect, told: Mapping[str, Any]) -> Dialect:
    """A dialect with some fields said.  Raises LayoutError for a field that does not exist."""
    unknown = [name for name in told if not hasattr(dialect, name)]
    if unknown:
        raise LayoutError(f"a dialect has no {unknown[0]!r}.")
    return replace(dialect, **told)
