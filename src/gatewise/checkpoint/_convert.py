"""Converting: a file's recurrent layers in another layout and another file format, proved before the file is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..containers import Container, container_for_writing
from ..containers._write import atomic
from ..conventions import Change, Expressed, can_say, express
from ..errors import GatewiseError, NotRepresentable, ProofFailed, UsageError, nearest
from ..layouts import Layout, layout, layouts
from ..layouts._code import declared_as, encode
from ..proof import Proof, prove
from ..tensors import FLOATS, Declared, StoredTensor, Tensors, numpy_dtype
from ..weights import Gates, Stack, Weights, joined
from ._load_code import load_code
from ._open import Checkpoint, Layer, open

if TYPE_CHECKING:
    from ..tensors import Array

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Unit:
    """One stack on its way: where it comes from, what it becomes, and the names of the layers that it becomes."""

    source: Stack
    names_of_source: tuple[str, ...]
    said: Expressed
    names: tuple[str, ...]

    @property
    def target(self) -> Layout:
        return self.said.layout

    def pieces(self) -> Iterator[tuple[str, Stack]]:
        """(name, stack) of each object that the target stores: one, or one per layer."""
        if len(self.names) == 1:
            yield self.names[0], self.said.stack
        else:
            for index, name in enumerate(self.names):
                yield name, self.said.stack.layer(index, name)


@dataclass(frozen=True)
class Conversion:
    """What was converted, the changes with their exactness, the proof (None when it was not asked for), the output."""

    path: str
    output: str
    container: str
    units: tuple[Unit, ...] = field(repr=False)
    changes: tuple[Change, ...]
    proof: Proof | None

    @property
    def code(self) -> str:
        """Python lines that load the output in its framework."""
        return load_code(self.output, self.container, [piece for unit in self.units for piece in _described(unit)])

    def as_dict(self) -> dict[str, Any]:
        return {
            "proof": self.proof.as_dict() if self.proof else None,
            "changes": [change.as_dict() for change in self.changes],
            "layers": [
                {
                    "name": ", ".join(unit.names_of_source),
                    "from": unit.source.layout,
                    "to": unit.target.name,
                    "written_as": list(unit.names),
                    "cell": unit.source.cell,
                    "parameters": unit.said.stack.parameters,
                }
                for unit in self.units
            ],
            "outputs": [{"path": self.output, "container": self.container, "bytes": Path(self.output).stat().st_size}],
        }


def _described(unit: Unit) -> Iterator[tuple[str, Layout, Stack]]:
    for name, stack in unit.pieces():
        yield name, unit.target, stack


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: str | Layout | None = None,
    *,
    layer: str | None = None,
    layout: str | Layout | None = None,
    container: str | None = None,
    dtype: str | None = None,
    verify: bool = True,
    force: bool = False,
    progress: Progress | None = None,
    **said: Any,
) -> Conversion:
    """Convert a file's recurrent layers to the layout ``to``, into the format of ``out``'s suffix.

    Without ``to`` the layout stays, or becomes that of the framework whose format is written.  All layers are
    converted, or only ``layer``; layers that the file says follow each other become one stack where the target has
    stacks.  The result is proved against the source before ``out`` appears (``verify=False``: not).
    Raises NotRepresentable, ProofFailed, WriteRefused and what :func:`open` raises; then nothing is written.
    """
    checkpoint = open(path, layout, **said)
    chosen = container_for_writing(out, container)
    try:
        return _convert(checkpoint, out, chosen, to, layer, dtype, verify, force, progress)
    except GatewiseError as error:
        raise error.at(path) from None


def save(
    stack: Stack, out: str | os.PathLike[str], layout: str | Layout | None = None, *, force: bool = False
) -> Proof:
    """Write one stack into a new file, in ``layout`` (or the stack's own), proved.  Raises as :func:`convert`."""
    chosen = container_for_writing(out)
    unit = _unit(stack, (stack.name,), _target(stack, layout, chosen), [], alone=True)
    proof = _write(out, chosen, [unit], [], True, force, None)
    if proof is None:
        raise ProofFailed("nothing was compared.", path=out)
    return proof


def _convert(
    checkpoint: Checkpoint, out: str | os.PathLike[str], chosen: Container, to: str | Layout | None, layer: str | None,
    dtype: str | None, verify: bool, force: bool, progress: Progress | None,
) -> Conversion:  # fmt: skip
    stacks = _sources(checkpoint, layer, to, chosen)
    changes: list[Change] = []
    units: list[Unit] = []
    for names, stack in stacks:
        if isinstance(stack, Layer) and not stack.sure:
            doubt = stack.match.doubts[0][1]
            raise NotRepresentable(f"{stack.name or 'the layer'} cannot be converted unasked: {doubt}.")
        narrowed = _as_dtype(stack, dtype, changes)
        target = _target(stack, to, chosen)
        units.append(_unit(narrowed, names, target, [n for u in units for n in u.names], alone=len(stacks) == 1))
        changes += [change for change in units[-1].said.changes if change not in changes]
    carried = _carried(checkpoint, units, layer, dtype, changes)
    changes += _not_told(chosen, units)
    proof = _write(out, chosen, units, carried, verify, force, progress)
    return Conversion(checkpoint.path, os.fspath(out), chosen.name, tuple(units), tuple(changes), proof)


def arrays(stack: Stack, target: Layout) -> dict[str, Array]:
    """A stack in a layout's own shapes.  Layers that the target stores apart are named ``0/…``, ``1/…``."""
    said = express(stack, target)
    if target.is_stack or stack.num_layers == 1:
        return {tensor.name: tensor.array() for tensor in encode(said.stack, target, said.form)}
    return {
        tensor.name: tensor.array()
        for index in range(stack.num_layers)
        for tensor in encode(said.stack.layer(index), target, said.form, prefix=f"{index}{target.separator}")
    }


# Which layers, to which layout.


def _sources(
    checkpoint: Checkpoint, layer: str | None, to: str | Layout | None, chosen: Container
) -> list[tuple[tuple[str, ...], Stack]]:
    if layer is not None:
        found = checkpoint[layer]
        return [((found.name,), found)]
    checkpoint.require_layers()
    result: list[tuple[tuple[str, ...], Stack]] = []
    for chain in checkpoint.chains():
        if len(chain) > 1 and _target(chain[0], to, chosen).is_stack:
            result.append((tuple(each.name for each in chain), joined(list(chain), chain[0].name)))
        else:
            result += [((each.name,), each) for each in chain]
    return result


def _target(stack: Stack, to: str | Layout | None, chosen: Container) -> Layout:
    """The layout to write: the one asked for, the same cell's in the framework asked for, or the source's own."""
    own = layout(stack.layout) if stack.layout in {known.name for known in layouts()} else None
    if to is None:
        if own is not None and (not chosen.frameworks or own.framework in chosen.frameworks):
            return own
        to = chosen.frameworks[0] if chosen.frameworks else "torch"
    if isinstance(to, str) and "." not in to:
        return _of_framework(to, stack)
    found = layout(to)
    if chosen.frameworks and found.framework not in chosen.frameworks:
        raise UsageError(
            f"a {chosen.name} file holds {' or '.join(chosen.frameworks)} layers, not {found.name}.",
            next="Choose another --to or another suffix.",
        )
    return found


def _of_framework(framework: str, stack: Stack) -> Layout:
    candidates = [known for known in layouts() if known.framework == framework and known.cell == stack.cell]
    if not candidates:
        names = sorted({known.framework for known in layouts()})
        raise UsageError(
            f"no layout of {framework!r} stores a {stack.cell}.",
            next=nearest(framework, names) or f"Known: {', '.join(names)}.",
        )
    return candidates[0]


def _unit(stack: Stack, names: tuple[str, ...], target: Layout, taken: list[str], alone: bool) -> Unit:
    try:
        said = express(stack, target)
    except NotRepresentable as error:
        able = [name for name in can_say(stack) if name != stack.layout]
        error.where = error.where or (f"layer {names[0]}" if names[0] else None)
        error.next = error.next or (
            f"What can say it: {', '.join(able)}." if able else "No other layout can say it either."
        )
        raise
    count = 1 if target.is_stack else stack.num_layers
    return Unit(stack, names, said, tuple(_new_names(names[0], target, count, taken, stack, alone)))


def _new_names(name: str, target: Layout, count: int, taken: list[str], stack: Stack, alone: bool) -> Iterator[str]:
    """Names for what is written.  Torch keeps dotted paths and a lone layer bare; Keras wants plain words."""
    if target.separator == ".":
        same_framework = layout_framework(stack) == target.framework
        base = name if same_framework or not alone else ""
        base = base if same_framework else base.replace("/", ".")
    else:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or stack.cell.replace("rnn", "simple_rnn")
    used = set(taken)
    for index in range(count):
        wanted = base if count == 1 or index == 0 else f"{base}_{index}"
        number = 1
        fresh = wanted
        while fresh in used:
            fresh = f"{wanted}_{number}"
            number += 1
        used.add(fresh)
        yield fresh


def layout_framework(stack: Stack) -> str:
    return stack.layout.split(".")[0]


# dtype.


def _as_dtype(stack: Stack, dtype: str | None, changes: list[Change]) -> Stack:
    """The stack stored in another dtype, with the largest change said."""
    old = stack.spec.dtype
    if dtype is None or dtype == old:
        return stack
    if dtype not in FLOATS:
        raise UsageError(f"weights cannot be stored as {dtype!r}.", next=f"Use one of {', '.join(sorted(FLOATS))}.")
    largest = 0.0

    def narrowed(weights: Weights) -> Weights:
        def cast(_gate: str, array: Any) -> Any:
            return array.astype(numpy_dtype(dtype))

        return replace(weights, dtype=dtype, roles={role: gates.mapped(cast) for role, gates in weights.roles.items()})

    changed = stack.replaced({place: narrowed(weights) for place, weights in stack.cells.items()})
    for place, weights in stack.cells.items():
        for role, gates in weights.roles.items():
            largest = max(largest, _largest_change(gates, changed.cells[place].role(role)))
    if largest == float("inf"):
        raise NotRepresentable(f"{dtype} cannot hold these weights: some are too large and would become infinite.")
    exactness = "exact" if largest == 0 else f"largest change {largest:.3g}"
    changes.append(Change(f"stored as {old} → {dtype}", exactness))
    return changed


def _largest_change(before: Gates, after: Gates) -> float:
    import numpy as np

    largest = 0.0
    for gate in before:
        old, new = np.asarray(before[gate], np.float64), np.asarray(after[gate], np.float64)
        if np.isinf(new).any() and not np.isinf(old).any():
            return float("inf")
        largest = max(largest, float(np.abs(old - new).max(initial=0.0)))
    return largest


# What else is in the file.


def _carried(
    checkpoint: Checkpoint, units: list[Unit], layer: str | None, dtype: str | None, changes: list[Change]
) -> list[StoredTensor]:
    """The other tensors: carried along unchanged where the framework stays, left out and said so where it changes."""
    used = {name for found in checkpoint.layers for name in checkpoint._with_sources(found)}
    others = [tensor for name, tensor in checkpoint.tensors.items() if name not in used]
    same = all(layout_framework(unit.source) == unit.target.framework for unit in units)
    if not others or layer is not None:
        return []
    if same and units[0].target.separator == ".":
        return [_cast(tensor, dtype) for tensor in others]
    shown = ", ".join(tensor.name for tensor in others[:3]) + (" …" if len(others) > 3 else "")
    changes.append(Change(f"left out: {len(others)} tensor(s) of no recurrent layer ({shown})", "not converted"))
    return []


def _cast(tensor: StoredTensor, dtype: str | None) -> StoredTensor:
    if dtype is None or tensor.dtype not in FLOATS:
        return tensor
    return replace(tensor, dtype=dtype, data=lambda: tensor.array().astype(numpy_dtype(dtype)))


def _not_told(chosen: Container, units: list[Unit]) -> list[Change]:
    """What the output cannot hold, so that whoever loads it must say it."""
    said = []
    for unit in units:
        plain, dialect = unit.target.meaning, unit.said.stack.dialect
        holds_config = bool(unit.target.written_as) and chosen.name in ("keras-zip", "keras-h5")
        for setting in unit.target.settings if not holds_config else ():
            value = getattr(dialect, setting.field)
            if value != getattr(plain, setting.field) and setting.field != "output_activation":
                text = f"{setting.names[0]} = {setting.spelled(value)}"
                said.append(Change(f"not in the file: {text}; say it when you load it (--code shows how)", "exact"))
    return list(dict.fromkeys(said))


# Writing and proving.


def _write(
    out: str | os.PathLike[str], chosen: Container, units: list[Unit], carried: list[StoredTensor], verify: bool,
    force: bool, progress: Progress | None,
) -> Proof | None:  # fmt: skip
    if chosen.write is None:
        raise UsageError(f"{chosen.name} is not written.")
    content = _content(chosen, units, carried, progress)
    with atomic(out, force) as temporary:
        chosen.write(temporary, content)
        return _proved(temporary, units) if verify else None


def _content(chosen: Container, units: list[Unit], carried: list[StoredTensor], progress: Progress | None) -> Tensors:
    tensors: list[StoredTensor] = []
    declared: list[Declared] = []
    for unit in units:
        before: tuple[str, ...] = ()
        for name, stack in unit.pieces():
            prefix = f"{name}{unit.target.separator}" if name else ""
            tensors += encode(stack, unit.target, unit.said.form, prefix=prefix, naming=chosen.naming)
            said = declared_as(stack, unit.target, name, name, before)
            if said is not None:
                declared.append(said)
                before = (name,)
    tensors += carried
    return Tensors(_watched(tensors, progress), container=chosen.name, naming=chosen.naming, declared=declared)


def _watched(tensors: list[StoredTensor], progress: Progress | None) -> list[StoredTensor]:
    """The same tensors, telling ``progress`` (bytes done, bytes in all, name) as each is read."""
    if progress is None:
        return tensors
    total, done = sum(tensor.nbytes for tensor in tensors), 0

    def watched(tensor: StoredTensor) -> StoredTensor:
        def read() -> Any:
            nonlocal done
            array = tensor.array()
            done += tensor.nbytes
            progress(done, total, tensor.name)
            return array

        return replace(tensor, data=read)

    return [watched(tensor) for tensor in tensors]


def _proved(written: Path, units: list[Unit]) -> Proof:
    """Read the written file back and run it against the source.  Raises ProofFailed."""
    proofs: list[Proof] = []
    for target in {id(unit.target): unit.target for unit in units}.values():
        reread = open(written, target)
        for unit in (unit for unit in units if unit.target is target):
            pieces = [_found(reread, name) for name in unit.names]
            back = joined([piece.replaced(dialect=unit.said.stack.dialect) for piece in pieces])
            for piece in pieces:
                if not piece.assumed and piece.dialect != unit.said.stack.dialect:
                    raise ProofFailed(f"{piece.name!r} was written as {piece.dialect}, not {unit.said.stack.dialect}.")
            proofs.append(prove(unit.source, back))
    proof = proofs[0]
    for other in proofs[1:]:
        proof = proof.worst(other)
    if not proof.same:
        raise ProofFailed(
            f"the written file does not compute the same function: max |Δ| = {proof.max_abs_error:.3g}, "
            f"allowed {proof.tolerance:g}.",
            next="Nothing was kept. This is a defect of gatewise: please report it with the file's layout and sizes.",
        )
    return proof


def _found(checkpoint: Checkpoint, name: str) -> Layer:
    for found in checkpoint.layers:
        if name in (found.name, found.path):
            return found
    raise ProofFailed(f"the written file does not show the layer {name!r} when it is read back.")
