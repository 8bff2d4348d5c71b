"""Opening: a file's recurrent layers by name, what else is in it, and the facts about both."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from ..containers import open_tensors
from ..cursor import DEFAULT_LIMITS, Limits
from ..effective import resolve
from ..errors import AmbiguousLayout, GatewiseError, LayoutError, UsageError, few, nearest
from ..layouts import Layout, Lookalike, Match, Recognised, layout, layouts, layouts_for, recognise
from ..layouts._code import decode
from ..layouts._sizes import SAY_SIZES
from ..layouts._words import check_said
from ..record import lazy, replace
from ..source import give_back
from ..tensors import Tensors, WrittenBy
from ..weights import CELLS_OF, GATELESS, Dialect, Spec, Stack, Weights, joined
from ._twins import without_twins

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

# What a user may say that a file does not: option → field of the dialect.
OVERRIDES = ("forget_bias", "reset", "update", "activation", "recurrent_activation", "cell_clip", "proj_clip", "merge")
# Sizes that a flat buffer does not tell: option → what the layouts call it.
SIZES = {"units": "unit", "layers": "layers", "directions": "directions"}
_WRAPPERS = {
    "module": "torch.nn.DataParallel put it there",
    "_orig_mod": "torch.compile put it there",
    "state_dict": "the key under which a training framework keeps the state dict",
}


class Layer(Stack):
    """One recurrent layer of a file: a :class:`Stack` that knows where it came from."""

    def __init__(self, match: Match, tensors: Tensors, also_at: tuple[str, ...] = (), like: Layer | None = None):
        self.cell = match.layout.cell
        self.dialect = match.dialect
        self.name = match.name
        self.layout = match.layout.name
        self.match = match
        self.tensors = tensors
        self.also_at = also_at
        self._like = like  # another layer of the file that has the same shapes: its facts are this one's

    @lazy
    def cells(self) -> dict[tuple[int, str], Weights]:  # type: ignore[override]
        """Each layer and direction, made when it is first asked for."""
        return decode(self.match, self.tensors).cells

    @lazy
    def spec(self) -> Spec:
        return super().spec if self._like is None else replace(self._like.spec, dialect=self.dialect)

    @lazy
    def parameters(self) -> int:
        return super().parameters if self._like is None else self._like.parameters

    @property
    def path(self) -> str:
        """The path in the file below which the tensors' names begin."""
        return self.match.group.path

    @property
    def assumed(self) -> tuple[str, ...]:
        """What the file does not tell and was taken for granted."""
        declared = self.match.declared
        return (*self.match.assumed, *([declared.supposed] if declared and declared.supposed else []))

    @property
    def sure(self) -> bool:
        return self.match.sure

    def to(self, name: str | Layout) -> dict[str, Array]:
        """The layer in another layout's own shapes: {tensor name: array}.  Raises NotRepresentable, UnknownLayout."""
        from ._unit import arrays

        return arrays(self, layout(name))

    def as_dict(self, tensors: bool = True) -> dict[str, Any]:
        """The layer's entry in ``inspect --json``; without its tensors, where nobody is shown them."""
        spec = self.spec
        return {
            "name": self.name, "cell": spec.cell, "layout": self.layout, "input_size": spec.input_size,
            "hidden_size": spec.hidden_size, "proj_size": spec.proj_size, "num_layers": spec.num_layers,
            "directions": spec.directions, "bias": spec.bias, "reset": spec.reset, "dtype": spec.dtype,
            "parameters": self.parameters, "tensors": list(self._tensor_rows()) if tensors else [], "dialect": spec.dialect.as_dict(),
            "evidence": list(self._evidence()), "assumed": list(self.assumed), "also_at": list(self.also_at),
            "sure": self.sure, "doubts": [sentence for _, sentence in self.match.doubts],
        }  # fmt: skip

    def _tensor_rows(self) -> Iterator[dict[str, Any]]:
        for part, found, name in self.match.places():
            stored = self.tensors[name]
            row: dict[str, Any] = {
                "tensor": name, "shape": list(stored.shape), "dtype": stored.dtype, "role": "+".join(part.roles),
                "layer": found.layer, "direction": found.direction,
                "gates": found.gate or ("" if GATELESS.issuperset(part.roles) else self.match.layout.gates_of(part)),
            }  # fmt: skip
            yield row | ({"made_from": stored.made_from} if stored.made_from else {})

    def _evidence(self) -> Iterator[str]:
        yield from self.match.evidence
        for piece in re.split(r"[./]", self.path):
            if piece in _WRAPPERS:
                yield f"{piece!r} in its path: {_WRAPPERS[piece]}"


class Checkpoint:
    """A file, opened: ``layers``, ``tensors``, ``written_by``, ``findings``; ``ck["encoder.lstm"]`` gives a layer.

    Nothing but headers has been read.  Made by :func:`open`.
    """

    def __init__(self, tensors: Tensors, recognised: Recognised):
        self.tensors = tensors
        self.recognised = recognised
        self.findings: list[Any] = []  # the doctor's, whose room is above this one: gw.diagnose(checkpoint) gives them
        self.layers: list[Layer] = list(_layers(recognised.matches, tensors))

    @property
    def path(self) -> str:
        return self.tensors.path

    @property
    def written_by(self) -> tuple[WrittenBy, ...]:
        return self.tensors.written_by

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path!r}: {len(self.layers)} recurrent layer(s), {len(self.tensors)} tensors>"

    def __getitem__(self, name: str) -> Layer:
        """The layer called ``name``, or the only one whose path ends so.  Raises UsageError listing the layers."""
        exact = [layer for layer in self.layers if name in (layer.name, layer.path, *layer.also_at)]
        ending = [layer for layer in self.layers if re.search(rf"(^|[./]){re.escape(name)}$", layer.name or "")]
        for found in (exact, ending):
            if len(found) == 1:
                return found[0]
        self._raise_if_ambiguous(name)
        what = "several recurrent layers are" if exact or ending else "no recurrent layer is"
        names = [layer.name for layer in self.layers]
        raise UsageError(
            f"{what} called {name!r}.", path=self.path, next=f"{nearest(name, names)} {self._listed()}".strip()
        )

    def only(self) -> Layer:
        """The only recurrent layer.  Raises UsageError listing them where there is not exactly one."""
        if len(self.layers) == 1:
            return self.layers[0]
        self.require_layers()
        raise UsageError("holds several recurrent layers and none was named.", path=self.path, next=self._listed())

    def chains(self) -> list[list[Layer]]:
        """The layers in groups: each takes the output of the one before directly, as the file tells."""
        chains: list[list[Layer]] = []
        for layer in self.layers:
            chain = chains[-1] if chains else []
            if chain and _follows(chain[-1], layer):
                chain.append(layer)
            else:
                chains.append([layer])
        return chains

    def stacks(self, name: str | None = None) -> list[Stack]:
        """What there is to run: the named layer, or every chain of layers as one stack.  Raises UsageError."""
        if name is not None:
            return [self[name]]
        self.require_layers()
        return [joined(list(chain), chain[0].name) if len(chain) > 1 else chain[0] for chain in self.chains()]

    def require_layers(self) -> None:
        """Raises a refusal that says why there is no layer, when there is none."""
        if self.layers:
            return
        self._raise_if_ambiguous(None)
        outside = self.recognised.outside
        if outside:
            first = outside[0]
            raise LayoutError(
                f"{first.name or 'the only recurrent layer'} is a {first.kind}: {first.why}.", path=self.path
            )
        # Tables that could not be complete were not even tried; what is nearest is worth their import.
        misfits = self.recognised.misfits or recognise(self.tensors, layouts()).misfits
        misfit = next(iter(misfits.items()), None)
        why = f" Closest: {misfit[0] or 'the top level'}: {misfit[1][0]}" if misfit else ""
        why = f" {self.tensors.notes[0].capitalize()}." if self.tensors.notes else why
        raise UsageError(
            f"holds no recurrent layer that gatewise knows ({len(self.tensors)} tensors).{why}",
            path=self.path,
            next="If a layer is of your own making, describe it with --from (a TOML file).",
        )

    def _raise_if_ambiguous(self, name: str | None) -> None:
        for doubt in self.recognised.ambiguous:
            if name is None or doubt.name == name:
                raise AmbiguousLayout(
                    f"{doubt.name or 'the layer'} fits {' and '.join(doubt.layouts)} equally well.",
                    path=self.path,
                    next=f"Say which with --from {doubt.layouts[0]}.",
                )

    def _listed(self) -> str:
        if not self.layers:
            return "It has none."
        return f"Name one with --layer: {few(layer.name or repr('') for layer in self.layers)}."

    # What inspect shows.

    def inspect(self, name: str | None = None, tensors: bool = True) -> dict[str, Any]:
        """The document of ``gatewise inspect --json``; ``name``: only this layer; ``tensors``: with each layer's.
        Raises UsageError listing them."""
        shown = self.layers if name is None else [self[name]]
        used = {name for layer in self.layers for name in self._with_sources(layer)}
        used |= {name for look in self.recognised.outside for name in look.tensors}
        return {
            "path": self.path,
            "container": self.tensors.container,
            "bytes": self.tensors.bytes,
            "written_by": [writer.as_dict() for writer in self.written_by],
            "layers": [layer.as_dict(tensors) for layer in shown],
            "outside": [_outside_row(look) for look in self.recognised.outside],
            "others": [
                {"tensor": name, "shape": list(tensor.shape), "dtype": tensor.dtype}
                for name, tensor in self.tensors.items()
                if name not in used
            ],
            "findings": self.findings,
            "notes": [*self.tensors.notes, *self._doubts()],
        }

    def _with_sources(self, layer: Layer) -> Iterator[str]:
        found = self.recognised.matches if layer.also_at else ()
        twins = [match for match in found if match.name in layer.also_at]
        for name in (*layer.match.tensors, *(name for twin in twins for name in twin.tensors)):
            yield name
            yield from self.tensors[name].sources

    def _doubts(self) -> Iterator[str]:
        for doubt in self.recognised.ambiguous:
            yield f"{doubt.name!r} fits {' and '.join(doubt.layouts)} equally well; say which with --from"
        flat: dict[str, list[str]] = {}
        misfits = () if self.layers else self.recognised.misfits.values()
        for sentence in (each for those in misfits for each in those):
            if SAY_SIZES in sentence:
                text, _, name = sentence.rstrip(".)").rpartition(" (")
                flat.setdefault(text, []).append(name)
        for text, names in flat.items():
            yield f"{text}{', and the layout with --from' if len(names) > 1 else ''} ({', '.join(names)})"

    def gates(self, name: str | None = None) -> list[dict[str, Any]]:
        """One row per gate matrix: layer, direction, role, gate, shape, mean, std, min, max.  Also of cells that are
        not plain, where their table tells what is what."""
        chosen: list[Stack] = list(self.layers) if name is None else [self[name]]
        if name is None:
            known = [look.match for look in self.recognised.outside if look.match is not None]
            chosen += [decode(match, self.tensors) for match in known]
        return [row for layer in chosen for row in _gate_rows(layer)]


def _layers(matches: Sequence[Match], tensors: Tensors) -> Iterator[Layer]:
    first: dict[int, Layer] = {}  # recognition shares the sizes of layers that differ in names alone
    for match, others in without_twins(matches, tensors):
        layer = Layer(match, tensors, tuple(others), first.get(id(match.sizes)))
        first.setdefault(id(match.sizes), layer)
        yield layer


def _outside_row(look: Lookalike) -> dict[str, Any]:
    """A layer that is only named; with its sizes, where its own table knows it."""
    row: dict[str, Any] = {"name": look.name, "kind": look.kind, "why": look.why, "tensors": list(look.tensors)}
    if look.match is None:
        return row
    first = look.match.sizes[0, "forward"]
    return row | {
        "cell": look.match.layout.cell, "layout": look.match.layout.name, "gates": look.match.layout.gates,
        "input_size": first["feature"], "hidden_size": first["unit"], "dtype": look.match.dtype,
    }  # fmt: skip


def _gate_rows(layer: Stack) -> Iterator[dict[str, Any]]:
    import numpy as np

    for (index, direction), weights in layer:
        for role, gates in weights.roles.items():
            for gate, array in gates.items():
                yield {
                    "name": layer.name, "layer": index, "direction": direction, "role": role, "gate": gate,
                    "shape": list(array.shape), **_summary(np.array(array, np.float64)),
                }  # fmt: skip
                give_back(array)


def _summary(value: Array) -> dict[str, float]:
    """What a matrix's numbers are like.  Of damaged ones some of these are no numbers, which is an answer, not a fault."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        return {
            "mean": float(value.mean()),
            "std": float(value.std()),
            "min": float(value.min()),
            "max": float(value.max()),
        }


def _follows(above: Layer, layer: Layer) -> bool:
    """Does the file tell that ``layer`` takes the output of ``above`` directly, and can they be one stack?"""
    first, second = above.match.declared, layer.match.declared
    if first is None or second is None or second.after != (first.path,):
        return False
    last = above.num_layers - 1
    width = sum(above[last, direction].hidden for direction in above.directions)
    return (
        layer.cell == above.cell
        and layer.dialect == above.dialect
        and layer.directions == above.directions
        and layer.spec.input_size == width
        # Otherwise the next layer would read a sequence that was turned around.
        and (not layer.dialect.go_backwards or layer.dialect.backwards_in_place)
    )


def open(
    path: str | os.PathLike[str], layout: str | Layout | None = None, limits: Limits = DEFAULT_LIMITS, **said: Any
) -> Checkpoint:
    """Open a checkpoint.  Its format is told by its bytes; only headers are read; nothing in it is run.

    ``layout``  read it as this layout (a name, or a TOML file of your own) instead of recognising it
    ``said``    what the file does not tell: forget_bias, reset, update, activation, recurrent_activation, cell_clip,
                proj_clip (inf: never clipped), merge; of a flat buffer units, layers, directions
    Raises ContainerError (the file), LayoutError (its tensors), UsageError (the call).
    """
    check_said(said, (*OVERRIDES, *SIZES), "open")
    tensors = open_tensors(path, limits)
    try:
        return opened(tensors, layout, **said)
    except GatewiseError as error:
        raise error.at(path) from None


def opened(tensors: Tensors, layout: str | Layout | None = None, **said: Any) -> Checkpoint:
    """As :func:`open`, of a file whose headers are read."""
    tensors = resolve(tensors)
    checkpoint = Checkpoint(tensors, _recognised(tensors, layout, said))
    if layout is not None:
        checkpoint.require_layers()
    return checkpoint


def _recognised(tensors: Tensors, chosen: str | Layout | None, said: Mapping[str, Any]) -> Recognised:
    sizes = {SIZES[name]: value for name, value in said.items() if name in SIZES}
    meaning = {name: value for name, value in said.items() if name not in SIZES}
    if chosen is None:
        found = recognise(tensors, layouts_for(tensors), told=sizes)
    else:
        found = recognise(tensors, (layout(chosen),), chosen=True, told=sizes)
    return replace(found, matches=tuple(told(match, meaning) for match in found.matches)) if meaning else found


def told(match: Match, said: Mapping[str, Any]) -> Match:
    """A match with what the user said about it; assumptions about the same are no longer needed."""
    fields: dict[str, Any] = dict(said)
    if "activation" in fields and match.dialect.output_activation is not None:
        fields["output_activation"] = fields["activation"]
    dialect: Dialect = replace(match.dialect, **{k: v for k, v in fields.items() if _applies(match, k)})
    kept = tuple(text for text in match.assumed if not any(text.startswith(f"{name} =") for name in fields))
    doubts = tuple(doubt for doubt in match.doubts if doubt[0] not in fields)
    return replace(match, dialect=dialect, assumed=kept, doubts=doubts)


def _applies(match: Match, name: str) -> bool:
    if name == "merge" and len({way for _, way in match.sizes}) == 1:
        return False
    return match.layout.cell in CELLS_OF.get(name, (match.layout.cell,)) and (
        name != "recurrent_activation" or match.dialect.recurrent_activation is not None
    )
