"""Part and Layout: one framework's way of storing one kind of cell, as data; and what follows from that data.

From one table row gatewise decodes (views into the stored arrays), encodes (makes empty arrays, decodes *them*,
assigns into the views), recognises the row's layers in a file, solves their sizes, and writes the docs.  Only decoding
is written; everything else uses it.
"""

from __future__ import annotations

import _thread
from collections.abc import Iterator, Mapping, Sequence

from ..errors import PhraseError
from ..record import field, lazy, record
from ..weights import GATELESS, GATES, KERNEL, PLAIN, RECURRENT_KERNEL, ROLE_AXES, Dialect
from ._names import Template, template
from ._phrase import Phrase, phrase
from ._settings import Fact, Setting, Since
from ._slots import RELABELS

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any


__all__ = ["INPUTS", "RESEMBLING", "STREAM", "Fact", "Layout", "Part", "Setting", "Since", "is_stream"]

RESEMBLING = "~"  # the naming scheme of names that merely look like a layout's: recognised, and said to be unsure
INPUTS = "inputs"  # the naming scheme of an operator's own words for what it is given (``Declared.inputs``)
STREAM = "#"  # naming schemes that begin so have no names: the parts come one after another, in the table's order
Texts = str | tuple[str, ...]


def is_stream(naming: str) -> bool:
    return naming.startswith(STREAM)


_BELIEVED: set[int] = set()  # threads that import tables which were checked before


class CheckedBefore:
    """Tables that are imported meanwhile are not checked: the index, when it was made, checked each that it knows.  A
    check costs more than all the rest of importing a table."""

    def __enter__(self) -> None:
        _BELIEVED.add(_thread.get_ident())

    def __exit__(self, *_error: object) -> None:
        _BELIEVED.discard(_thread.get_ident())


@record(eq=False)
class Part:
    """One stored tensor of a cell.

    ``name``     template of its name, or several of which the first is written; a mapping where containers have naming
                 schemes of their own (``INPUTS``, ``STREAM`` …), or people's own exports spell it likewise
                 (``RESEMBLING``)
    ``roles``    what lies in it: KERNEL, BIAS + RECURRENT_BIAS …, or ``"kernel + recurrent_kernel"``
    ``phrase``   where each role lies (``_phrase``)
    ``optional`` may be missing (all of them or none)
    ``gates``    the gates it holds, where not all of the layout's; a mapping from roles where these hold different ones:
                 ``{"recurrent_bias": "n"}``.  A role that holds one gate needs no ``gate`` in the phrase
    ``relabel``  a re-labelling of elements inside each gate's block that no view can express (``RELABELS``)
    ``given``    the dialect for which the layout has this part: ``{"reset": "before"}``
    """

    name: Texts | Mapping[str, Texts]
    roles: tuple[str, ...]
    phrase: str
    optional: bool = False
    gates: str | Mapping[str, str] | None = None
    relabel: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        said: Any = self.roles
        if isinstance(said, str):  # as people write one, or several
            vars(self)["roles"] = tuple(role.strip() for role in said.split("+"))
        phrased: Any = self.phrase
        if not isinstance(phrased, str):
            raise PhraseError(
                f"the phrase of {said!r} is {phrased!r}; it must be a text.", next="Such as '(gate unit) feature'."
            )

    @lazy
    def parsed(self) -> Phrase:
        return phrase(self.phrase)

    @property
    def all_names(self) -> str:
        """Every name template, one a line."""
        return "\n".join(text for naming in self.namings for text in self.texts(naming))

    @property
    def namings(self) -> tuple[str, ...]:
        return ("",) if isinstance(self.name, (str, tuple, list)) else tuple(self.name)

    def texts(self, naming: str) -> tuple[str, ...]:
        """The name templates under one naming scheme; empty where it has none of its own."""
        if isinstance(self.name, (str, tuple, list)):
            found: Texts = self.name if naming == "" else ()
        else:
            found = self.name.get(naming, ())
        return (found,) if isinstance(found, str) else found

    def template_text(self, naming: str) -> str | None:
        """The one that is written."""
        return next(iter(self.texts(naming)), None)


@record(eq=False)
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
    ``writers``  names under which files tell that this layout's framework wrote them; its own where not said
    ``outside``  why a layer of this layout is named and shown but neither run nor converted: its cell is not plain
    ``repeats``  in a stream without names, further such groups are the next layers where the sizes fit
    ``named``    a word that the last part of a layer's path must have in it, where the tensors' own names are any module's
    ``like``     the layout whose tensors' names these are too: where a file does not tell, it is read as that one
    ``note``     what whoever runs such a layer should know beside its equations; told with the evidence
    ``also``     forms that only the absence of parts shows: ``({"coupled": "i"},)``
    ``unasked``  where it is found without the user naming it: "everywhere"; "own files", those of its writers, where
                 its names are common words, or it says what the layout says that it is ``like`` and no more; "never",
                 where nothing but the user tells it from another layout
    ``paths``    a pattern that a layer's path must match (``[^/]*``: names with dots, not with slashes)
    ``doubt``    why even what fits is not sure to be this; conversion then wants the layout named
    """

    name: str
    cell: str
    gates: str
    parts: tuple[Part, ...] = ()
    source: str = "given by the user"
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
    writers: tuple[str, ...] = ()
    outside: str = ""
    repeats: bool = False
    named: str = ""
    like: str = ""
    note: str = ""
    also: tuple[Mapping[str, Any], ...] = ()
    unasked: str = "everywhere"
    paths: str = ""
    doubt: str = ""

    def __post_init__(self) -> None:
        if self.outside or _thread.get_ident() in _BELIEVED:  # outside: its gates are what the table says
            return
        if self.cell not in GATES:
            raise PhraseError(f"{self.name}: no cell is called {self.cell!r}; cells are {', '.join(GATES)}.")
        if sorted(self.gates) != sorted(set(GATES[self.cell]) - set(self.without)):
            raise PhraseError(
                f"{self.name}: gates {self.gates!r} are not those of {self.cell}, {' '.join(GATES[self.cell])}."
            )
        parts: Any = self.parts
        if isinstance(parts, Part):
            vars(self)["parts"] = (parts,)
        elif not isinstance(parts, tuple | list) or not all(isinstance(part, Part) for part in parts) or not parts:
            raise PhraseError(
                f"{self.name}: parts is {parts!r:.60}; it must be one or more gw.Part.",
                next='Such as (gw.Part("w", "kernel", "(gate unit) feature"), …).',
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
            self._check_room(part, role, "gate" in atoms)
        unknown = set("".join(part.gates.values()) if isinstance(part.gates, Mapping) else part.gates or "") - set(
            self.gates
        )
        if unknown:
            raise PhraseError(f"{self.name}: part {part.phrase!r} has unknown gates {sorted(unknown)}.")
        for naming in part.namings:
            self.templates(part, naming)
        if part.relabel not in (None, *RELABELS):
            raise PhraseError(
                f"{self.name}: there is no relabel {part.relabel!r}.", next=f"Known: {', '.join(RELABELS)}."
            )

    def _check_room(self, part: Part, role: str, said: bool) -> None:
        """A role with several gates has an axis for them, which has one length in the whole part."""
        gates = self.gates_of(part, role)
        if said and len(gates) != len(self.gates_of(part)):
            raise PhraseError(
                f"{self.name}: {part.phrase!r} has an axis for {len(self.gates_of(part))} gates, its {role} {len(gates)}.",
                next="A role with one gate needs no gate in the phrase.",
            )
        if not (said or "{gate}" in part.all_names or role in GATELESS) and len(gates) > 1:
            raise PhraseError(
                f"{self.name}: {part.phrase!r} has no place for the {len(gates)} gates of its {role}.",
                next="Say gate in the phrase, {gate} in the name, or which one gate it is.",
            )

    def _check_homes(self, form: Mapping[str, Any]) -> None:
        """In each form, every gate of both kernels has one home, and nothing has two."""
        homes = [
            (role, gate)
            for part in self.parts_given(form)
            for role in part.roles
            for gate in ([""] if role in GATELESS else self.gates_of(part, role))
        ]
        for role, gate in homes:
            if homes.count((role, gate)) > 1:
                raise PhraseError(f"{self.name}: two parts hold the {role}{f' of gate {gate}' if gate else ''}.")
        for role in (*KERNEL, *RECURRENT_KERNEL):
            for gate in self.gates:
                if (role, gate) not in homes and form.get("coupled") != gate:
                    raise PhraseError(f"{self.name}: no part holds the {role} of gate {gate}.")

    @property
    def without(self) -> str:
        """The gate that every layer of this layout computes from another one."""
        return self.meaning.coupled or "" if self.meaning.coupled not in tuple(self.gates) else ""

    @property
    def status(self) -> str:
        return "named only" if self.outside else "proven" if self.proven else "source only"

    @property
    def meaning(self) -> Dialect:
        """What the framework computes when a layer says nothing."""
        return self.dialect or PLAIN.get(self.cell) or Dialect()

    @property
    def framework(self) -> str:
        return self.name.split(".")[0]

    @lazy
    def forms(self) -> tuple[Mapping[str, Any], ...]:
        """The dialects between which the parts differ; ``({},)`` where they do not."""
        distinct: list[Mapping[str, Any]] = []
        for given in (*(part.given for part in self.parts), *self.also):
            if given and dict(given) not in distinct:
                distinct.append(dict(given))
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

    def gates_of(self, part: Part, role: str = "") -> str:
        """The gates that a part holds of one role; of all its roles together where none is named."""
        if part.gates is None:
            return self.gates
        if isinstance(part.gates, str) or not isinstance(part.gates, Mapping):
            return part.gates
        if role:
            return part.gates.get(role, self.gates)
        held = {gate for each in part.roles for gate in part.gates.get(each, self.gates)}
        return "".join(gate for gate in self.gates if gate in held)

    def templates(self, part: Part, naming: str) -> tuple[Template, ...]:
        """The part's name templates under a naming scheme, else under the plain one; none for a stream, which has no
        names, nor for an operator's words where the part has none."""
        key = (part, naming)
        if key not in self._templates:
            self._templates[key] = self._templates_of(part, naming)
        return self._templates[key]

    def named_parts(self, naming: str) -> tuple[tuple[int, tuple[Template, ...]], ...]:
        """The parts that have names under a naming scheme, by their numbers, with their templates."""
        if naming not in self._named_parts:
            found = ((index, self.templates(part, naming)) for index, part in enumerate(self.parts))
            self._named_parts[naming] = tuple((index, templates) for index, templates in found if templates)
        return self._named_parts[naming]

    @lazy
    def _named_parts(self) -> dict[str, tuple[tuple[int, tuple[Template, ...]], ...]]:
        return {}  # every file that is opened asks for them all

    @lazy
    def _templates(self) -> dict[tuple[Part, str], tuple[Template, ...]]:
        return {}

    def _templates_of(self, part: Part, naming: str) -> tuple[Template, ...]:
        loose = naming == RESEMBLING
        if is_stream(naming):
            return ()
        texts = part.texts(naming) or (() if loose or naming == INPUTS else part.texts(""))
        spelled = tuple((gate, self.spelled.get(gate, gate)) for gate in self.gates_of(part))
        # Without a gate in the name, the template is shared between layouts: a name is matched against it once.
        return tuple(template(text, spelled if "{gate}" in text else (), loose) for text in texts)

    @lazy
    def own_naming(self) -> str:
        """The naming scheme in which it is named where no format has one: the plain one, else one that all parts have."""
        schemes = ["", *(naming for part in self.parts for naming in part.namings if naming != RESEMBLING)]
        return next((naming for naming in schemes if all(part.texts(naming) for part in self.parts)), "")

    def template(self, part: Part, naming: str) -> Template | None:
        """The one that is written."""
        return next(iter(self.templates(part, naming)), None)

    @lazy
    def takes_inputs(self) -> bool:
        """Are its parts known by an operator's words?"""
        return any(part.texts(INPUTS) for part in self.parts)

    @lazy
    def is_stack(self) -> bool:
        """Does one object of this layout hold several layers?"""
        if self.repeats or any("layer" in part.parsed.loops for part in self.parts):
            return True
        return any(found.has_layer for part in self.parts for found in self._every_template(part))

    def _every_template(self, part: Part) -> Iterator[Template]:
        for naming in part.namings:
            yield from self.templates(part, naming)

    @lazy
    def is_bidirectional(self) -> bool:
        """Can one object of this layout hold both directions?"""
        named = any(found.has_direction for part in self.parts for found in self._every_template(part))
        return named or any("direction" in part.parsed.atoms for part in self.parts)

    @lazy
    def ways(self) -> tuple[int, ...]:
        """How many directions one object of this layout can hold: one, two, or either."""
        if any(found.has_place for part in self.parts for found in self._every_template(part)):
            return (2,)
        return (1, 2) if self.is_bidirectional else (1,)

    def sayable(self, field_name: str) -> Sequence[Any]:
        """Every value of a dialect's field that a layer of this layout can have."""
        by_form = [form[field_name] for form in self.forms if field_name in form]
        if by_form:
            return by_form
        settings = [setting for setting in self.settings if setting.field == field_name]
        if any(setting.free for setting in settings):
            return next(setting for setting in settings if setting.free).sayable()
        return [value for s in settings for value in s.sayable()] or [getattr(self.meaning, field_name)]

    def gates_with(self, role: str, form: Mapping[str, Any]) -> str:
        """The gates for which the layout stores this role."""
        held = {gate for part in self.parts_given(form) if role in part.roles for gate in self.gates_of(part, role)}
        return "".join(gate for gate in self.gates if gate in held)

    def roles_given(self, form: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(role for part in self.parts_given(form) for role in part.roles)
