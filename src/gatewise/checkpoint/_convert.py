"""Converting: a file's recurrent layers in another layout and another file format, proved before the file is kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..containers import Container, container_for_writing
from ..containers._write import atomic
from ..conventions import Change
from ..errors import GatewiseError, NotRepresentable, ProofFailed, UsageError, few, instead
from ..layouts import Layout, built_in, layout, layouts, layouts_of
from ..layouts._code import declared_as, encode
from ..layouts._layout import Setting, Since
from ..proof import Proof, way_of
from ..record import field, record
from ..tensors import FLOATS, Declared, StoredTensor, Tensors
from ..weights import Stack, joined, require_stacks
from ._open import Checkpoint, Layer, open
from ._proved import read_back
from ._stored import check
from ._unit import Unit, holds, layout_framework, unit_of
from ._watched import Progress, watched
from .loading import load_code


@record
class Conversion:
    """What was converted, the changes with their exactness, the proof (None when it was not asked for), the output.
    ``assumed``: for each unit what its file does not tell and was taken for granted."""

    path: str
    output: str
    container: str
    units: tuple[Unit, ...] = field(repr=False)
    changes: tuple[Change, ...]
    proof: Proof | None
    assumed: tuple[tuple[str, ...], ...]

    @property
    def code(self) -> str:
        """Python lines that load the output in its framework."""
        return load_code(self.output, self.container, [piece for unit in self.units for piece in unit.pieces()])

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
                    "assumed": list(assumed),
                }
                for unit, assumed in zip(self.units, self.assumed, strict=True)
            ],
            "outputs": [{"path": self.output, "container": self.container, "bytes": Path(self.output).stat().st_size}],
        }


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: str | Layout | None = None,
    *,
    layer: str | None = None,
    layout: str | Layout | None = None,
    container: str | None = None,
    dtype: str | None = None,
    verify: bool | str = True,
    force: bool = False,
    batch_first: bool = False,
    progress: Progress | None = None,
    **said: Any,
) -> Conversion:
    """Convert a file's recurrent layers to the layout ``to``, into the format of ``out``'s suffix.

    Without ``to`` the layout stays, or becomes that of the framework whose format is written.  All layers are
    converted, or only ``layer``; layers that the file says follow each other become one stack where the target has
    stacks.  ``batch_first``: a graph that is written (ONNX) takes x as [batch, time, feature].  The result is proved
    against the source before ``out`` appears (``verify=False``: not): every unit is run, of large files a sample of the
    units, and all numbers are compared besides; ``verify="full"`` runs every unit of those too, ``"sample"`` never does.
    Raises NotRepresentable, ProofFailed, WriteRefused and what :func:`open` raises; then nothing is written.
    """
    way = way_of(verify)
    checkpoint = open(path, layout, **said)
    wanted = to or next((found.layout for found in checkpoint.layers), "")
    chosen = container_for_writing(out, container, _framework_of(wanted))
    options = {"batch_first": True} if batch_first else {}
    for option in options:
        if option not in chosen.options:
            raise UsageError(
                f"a {chosen.name} file says nothing of --{option.replace('_', '-')}.", path=out, next="Leave that out."
            )
    try:
        return _convert(checkpoint, out, chosen, to, layer, dtype, way, force, options, progress)
    except GatewiseError as error:
        raise error.at(path) from None


def _framework_of(wanted: str | Layout) -> str:
    return (wanted if isinstance(wanted, str) else wanted.name).partition(".")[0]


def save(
    stack: Stack | Iterable[Stack], out: str | os.PathLike[str], layout: str | Layout | None = None, *, force: bool = False,
    verify: bool | str = True,
) -> Proof:  # fmt: skip
    """Write one stack, or several (what :func:`gw.of` gives for a model, a Checkpoint), into a new file, in ``layout`` (or
    their own; a framework's name: in that framework's for each), proved.  ``verify`` as :func:`convert`, which raises
    the same; but what is saved is always proved."""
    return saved(stack, out, layout, force, (), verify)


def saved(
    stack: Stack | Iterable[Stack], out: str | os.PathLike[str], layout: str | Layout | None, force: bool,
    inputs: Collection[str], verify: bool | str = True,
) -> Proof:  # fmt: skip
    """As :func:`save`.  ``inputs``: files that are not written over, not even when forced."""
    way = way_of(verify)
    if not way:
        raise UsageError("what is saved is always proved.", next='Leave out verify=False, or say "sample" or "full".')
    stacks = [stack] if isinstance(stack, Stack) else list(stack) if isinstance(stack, Iterable) else [stack]
    require_stacks(stacks, "gw.save", "gw.save(gw.of(object), out)")
    if not stacks:
        raise UsageError("there is no layer to save.", path=out)
    chosen = container_for_writing(out, framework=_framework_of(layout or stacks[0].layout))
    units: list[Unit] = []
    taken: set[str] = set()
    for each in stacks:
        target = _target(each, layout, chosen)
        units.append(unit_of(each, (each.name,), target, None, [], taken, alone=len(stacks) == 1))
    proof = _write(out, chosen, units, [], way, force, {}, None, inputs)
    if proof is None:
        raise ProofFailed("nothing was compared.", path=out)
    return proof


def _convert(
    checkpoint: Checkpoint, out: str | os.PathLike[str], chosen: Container, to: str | Layout | None, layer: str | None,
    dtype: str | None, way: str, force: bool, options: Mapping[str, Any], progress: Progress | None,
) -> Conversion:  # fmt: skip
    sources = _sources(checkpoint, layer, to, chosen)
    changes: list[Change] = []
    if layer is None and (left := sorted(averaged(checkpoint))):
        changes.append(Change(f"left out: moving averages ({few(left)}); --layer takes one", "not converted"))
    units: list[Unit] = []
    taken: set[str] = set()
    for source in sources:
        stack = source.stack
        if isinstance(stack, Layer) and not stack.sure:
            doubt = stack.match.doubts[0][1]
            raise NotRepresentable(f"{stack.name or 'the layer'} cannot be converted unasked: {doubt}.")
        unit = unit_of(
            stack, source.names, _target(stack, to, chosen), dtype, changes, taken, alone=len(sources) == 1,
            after=units[-1].names[-1:] if source.follows else (),
        )  # fmt: skip
        units.append(unit)
    carried = _carried(checkpoint, units, layer, dtype, chosen, changes)
    changes += _not_told(chosen, units)
    proof = _write(out, chosen, units, carried, way, force, options, progress, checkpoint.tensors.files)
    taken_for = {each.name: each.assumed for each in checkpoint.layers}
    assumed = [dict.fromkeys(text for name in source.names for text in taken_for[name]) for source in sources]
    return Conversion(
        checkpoint.path, os.fspath(out), chosen.name, tuple(units), tuple(changes), proof, tuple(map(tuple, assumed))
    )


# Which layers, to which layout.


@record
class _Source:
    """What becomes one unit: a layer, or layers that follow each other as one.  ``follows``: it takes the output of
    the source before it."""

    names: tuple[str, ...]
    stack: Stack
    follows: bool = False


def _sources(checkpoint: Checkpoint, layer: str | None, to: str | Layout | None, chosen: Container) -> list[_Source]:
    if layer is not None:
        found = checkpoint[layer]
        return [_Source((found.name,), found)]
    checkpoint.require_layers()
    result: list[_Source] = []
    averages = averaged(checkpoint)
    for chain in checkpoint.chains():
        if chain[0].name in averages:
            continue
        sizes = {weights.unit for each in chain for _, weights in each}
        if len(chain) > 1 and len(sizes) == 1 and _target(chain[0], to, chosen).is_stack:
            result.append(_Source(tuple(each.name for each in chain), joined(list(chain), chain[0].name)))
        else:
            result += [_Source((each.name,), each, follows=each is not chain[0]) for each in chain]
    return result


_AVERAGE = "ExponentialMovingAverage"


def averaged(checkpoint: Checkpoint) -> set[str]:
    """Layers that are the moving averages of others in the file: offered by name, not converted along with them."""
    names = {layer.name for layer in checkpoint.layers}
    shadows = (name for name in names if _AVERAGE in name.split("/"))
    return {name for name in shadows if "/".join(part for part in name.split("/") if part != _AVERAGE) in names}


def _target(stack: Stack, to: str | Layout | None, chosen: Container) -> Layout:
    """The layout to write: the one asked for, the same cell's in the framework asked for, or the source's own."""
    own = built_in(stack.layout)
    if to is None:
        if own is not None and (holds(chosen, own) or own.framework in chosen.frameworks):
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
    if not chosen.frameworks and not holds(chosen, found):
        raise UsageError(
            f"a {chosen.name} file holds tensors by their names, and {found.name} gives them none of its own.",
            next="Choose another --to or another suffix.",
        )
    if chosen.frameworks and not found.written_as and found.separator == "/":
        raise UsageError(
            f"{found.name} is read from old files; {chosen.name} files hold the layers of today's.",
            next=f"Say --to {chosen.frameworks[0]}.",
        )
    return found


def _of_framework(framework: str, stack: Stack) -> Layout:
    candidates = [known for known in layouts_of(framework) if known.cell == stack.cell]
    if not candidates:
        names = sorted({known.framework for known in layouts() if known.cell == stack.cell})
        alike = [known.name for known in layouts() if known.name.lower().endswith(f".{framework.lower()}")]
        raise UsageError(
            f"no layout of {framework!r} stores the cell {stack.cell}.",
            next=f"Name the framework too: {few(alike)}."
            if alike
            else instead(framework, names, all="`gatewise layouts`"),
        )
    return next((known for known in candidates if len(stack.directions) in known.ways), candidates[0])


# What else is in the file.


def _carried(
    checkpoint: Checkpoint, units: list[Unit], layer: str | None, dtype: str | None, chosen: Container, changes: list[Change]
) -> list[StoredTensor]:  # fmt: skip
    """The other tensors: carried along unchanged where the framework stays, left out and said so where it changes, or
    where the format is a model, which tells how it computes: there are no tensors in it that nothing uses."""
    used = {name for found in checkpoint.layers for name in checkpoint._with_sources(found)}
    others = [tensor for name, tensor in checkpoint.tensors.items() if name not in used]
    same = all(layout_framework(unit.source) == unit.target.framework for unit in units)
    if not others or layer is not None:
        return []
    if same and not chosen.tells and (units[0].target.separator == "." or not units[0].target.written_as):
        return [_cast(tensor, dtype) for tensor in others]
    shown = ", ".join(tensor.name for tensor in others[:3]) + (" …" if len(others) > 3 else "")
    changes.append(Change(f"left out: {len(others)} tensor(s) of no recurrent layer ({shown})", "not converted"))
    return []


def _cast(tensor: StoredTensor, dtype: str | None) -> StoredTensor:
    if dtype is None or tensor.dtype not in FLOATS:
        return tensor
    return tensor.cast(dtype)


def _when_silent(target: Layout, setting: Setting) -> Any:
    """What a reader takes where the file is silent."""
    if not setting.because:
        return getattr(target.meaning, setting.field)
    return setting.default.at(None) if isinstance(setting.default, Since) else setting.default


def _not_told(chosen: Container, units: list[Unit]) -> list[Change]:
    """What the output cannot hold, so that whoever loads it must say it."""
    said = []
    for unit in units:
        told = chosen.tells and bool(unit.target.written_as)
        for setting in () if told else unit.target.settings:
            value = getattr(unit.said.stack.dialect, setting.field)
            if value != _when_silent(unit.target, setting) and setting.field != "output_activation":
                text = f"{setting.names[0]} = {setting.spelled(value)}"
                said.append(Change(f"not in the file: {text}; say it when you load it (--code shows how)", "exact"))
    return list(dict.fromkeys(said))


# Writing and proving.


def _write(
    out: str | os.PathLike[str], chosen: Container, units: list[Unit], carried: list[StoredTensor], way: str,
    force: bool, options: Mapping[str, Any], progress: Progress | None, inputs: Collection[str],
) -> Proof | None:  # fmt: skip
    if chosen.write is None:
        raise UsageError(f"{chosen.name} is not written.")
    content = _content(chosen, units, carried, options, progress)
    with atomic(out, force, chosen.beside, inputs) as temporary:
        chosen.write(temporary, content)
        stored = check(temporary, content, carried if way else [])
        return read_back(temporary, stored, units, way) if way else None


def _content(
    chosen: Container, units: list[Unit], carried: list[StoredTensor], options: Mapping[str, Any], progress: Progress | None
) -> Tensors:  # fmt: skip
    tensors: list[StoredTensor] = []
    declared: list[Declared] = []
    for unit in units:
        for piece in unit.pieces():
            prefix = f"{piece.name}{unit.target.separator}" if piece.name else ""
            tensors += encode(piece.stack, unit.target, unit.said.form, prefix=prefix, naming=chosen.naming)
            said = declared_as(piece.stack, unit.target, piece.name, piece.name, piece.after, prefix)
            if said is not None:
                declared.append(said)
    tensors += carried
    return Tensors(
        watched(tensors, progress), container=chosen.name, naming=chosen.naming, declared=declared, metadata=options
    )  # fmt: skip
