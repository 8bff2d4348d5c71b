"""Objects in memory, one file per framework.  A framework is imported here only when one of its objects is at hand, or
when the user asks for it by entering a context.  Not known here: files, which containers/ reads.

A framework is a module of this folder whose name has no leading underscore; the folder is walked.  It gives
``holders(subject, layout)``: the recurrent objects in what the user handed over, as :class:`._weight.Holder`; none where
the object is not of that framework.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from .. import folders
from ..checkpoint import Checkpoint
from ..checkpoint._open import told
from ..errors import FEW, AmbiguousLayout, GatewiseError, UsageError, few
from ..layouts import Layout, layouts_for, recognise
from ..layouts import layout as layout_called
from ..layouts._words import check_said
from ..record import names
from ..weights import Dialect
from ._arrays import is_array
from ._custom import Run, described_by, layout_of
from ._live import Live, LiveModel
from ._said import check_applies, meant
from ._weight import Holder, Unread, described

__all__ = ["Live", "LiveModel", "described_by", "duplicate", "of", "of_several"]


@functools.cache
def _modules() -> tuple[Any, ...]:
    return tuple(folders.module(f"{__name__}.{name}") for name in folders.modules(__name__))


def duplicate(subject: Any) -> Any:
    """A copy of an object in memory that shares nothing with it, also of a sick one."""
    import copy

    from . import torch as live_torch

    return live_torch.duplicate(subject) if live_torch.is_module(subject) else copy.deepcopy(subject)


def of(
    subject: Any, name: str | None = None, *, layout: str | Layout | None = None, run: Run | None = None, check: bool = True,
    **said: Any,
) -> Any:  # fmt: skip
    """The recurrent layer of an object in memory, by names that write through; of several, a :class:`LiveModel`.

    ``subject``  a module, layer, model or tree of parameters of torch, Keras, Flax, Haiku, Equinox or MLX
    ``name``     the layer of this name (its path in the object)
    ``layout``   of a layer of the user's own: its :class:`Layout`, or a TOML file.  It is believed once the real layer's
                 forward run agrees with it (``check=False``: at once)
    ``run``      how a layer of the user's own is called: ``run(layer, x, state)``, x [batch, time, feature]
    ``said``     what the object does not tell, as in :func:`gw.open`: reset, forget_bias, activation …  What its class
                 tells is not said otherwise, and where the object can be run, a run proves what was said
    A tree of parameters (a state dict too) never changes: what was written is in ``.result``, a new tree, which goes back
    with ``module.load_state_dict(live.result)``.
    Raises UsageError for what holds no recurrent layer, ProofFailed where the layout is not what the layer computes.
    """
    found, unread = _read(subject, layout, run, check, said)
    if name is not None:
        return LiveModel(subject, found, unread)[name]
    _tell(unread, above=1)
    return found[0] if len(found) == 1 else LiveModel(subject, found, unread)


def of_several(subject: Any) -> list[Live]:
    """Every recurrent layer of an object in memory.  As :func:`of`."""
    found, unread = _read(subject, None, None, True, {})
    _tell(unread, above=3)
    return found


def _tell(unread: Sequence[Unread], above: int) -> None:
    """What is recurrent and cannot be read is not left out unsaid.  ``above``: calls between this and the user's."""
    if unread:
        import warnings

        left = "; ".join(map(str, unread[:FEW])) + (" …" if len(unread) > FEW else "")
        text = f"what gatewise cannot read is left out: {left}. Name the layer that is meant, or: {unread[0].instead}"
        warnings.warn(text, stacklevel=2 + above)


def _read(
    subject: Any, layout: str | Layout | None, run: Run | None, check: bool, said: dict[str, Any]
) -> tuple[list[Live], list[Unread]]:
    """The recurrent layers, and those of which no weights are read."""
    if isinstance(subject, Live | LiveModel):
        return subject.layers, []
    check_said(said, names(Dialect), "gw.of")
    chosen = None if layout is None else layout_called(layout)
    holders = list(_holders(subject, chosen, run))
    unread = [holder for holder in holders if isinstance(holder, Unread)]
    found = [live for holder in holders if holder not in unread for live in _lives(holder, said, chosen)]
    if not found:
        raise _nothing(subject, chosen, holders)
    check_applies(found, said)
    if check:
        for live in found:
            if live.holder.unproved:
                live.prove()
                live.holder.unproved = False
    return found, unread


def _holders(subject: Any, layout: Layout | None, run: Run | None) -> Iterator[Holder]:
    for module in _modules():
        found: list[Holder] = list(module.holders(subject, layout))
        for holder in found:
            holder.called = run or holder.called
        if found:
            yield from found
            return


def _lives(holder: Holder, said: dict[str, Any], given: Layout | None) -> Iterator[Live]:
    tensors = holder.tensors()
    chosen = holder.layouts is not None
    candidates = holder.layouts if holder.layouts is not None else layouts_for(tensors)
    found = recognise(tensors, candidates, chosen=chosen)
    described_so = layout_of(holder.subject)
    if not found.matches and described_so in candidates and described_so is not None:
        raise _misfit(holder, described_so)
    own = given is not None or described_so is not None
    for match in found.matches:
        known = told(match, holder.meaning) if holder.meaning else match
        yield Live(meant(holder, known, said, own), holder, tensors, whole=len(found.matches) == 1)


def _doubt(holders: Sequence[Holder]) -> GatewiseError | None:
    """What there is, where that is a layer that several tables fit, or one that is named only."""
    for holder in holders:
        tensors = holder.tensors()
        found = recognise(tensors, layouts_for(tensors))
        for doubt in found.ambiguous:
            return AmbiguousLayout(
                f"{doubt.name or 'the layer'} fits {' and '.join(doubt.layouts)} equally well.",
                next=f"Say which: layout={doubt.layouts[0]!r}.",
            )
        for look in found.outside:
            return UsageError(f"{look.name or 'the only recurrent layer'} is a {look.kind}: {look.why}.")
    return None


def _nothing(subject: Any, layout: Layout | None, holders: Sequence[Holder]) -> GatewiseError:
    """Why there is no layer: what the object is, and what would do."""
    if isinstance(subject, str | os.PathLike | Checkpoint):
        return UsageError(
            "a file is no object in memory.", path=getattr(subject, "path", subject), next="Open it with gw.open(...)."
        )
    whole = _not_whole(subject)
    if whole is not None:
        return whole
    what = described(subject)
    for left in holders:
        if isinstance(left, Unread):
            return UsageError(f"{what} holds no recurrent layer that gatewise can read: {left}.", next=left.instead)
    for holder in holders:
        for each in holder.layouts or ():
            return _misfit(holder, each)
    if layout is not None:
        return UsageError(f"{what} is no object of a framework that gatewise knows.")
    for module in _modules():
        told = module.why_none(subject) if hasattr(module, "why_none") else None
        if told:
            return UsageError(f"{what} holds no recurrent layer that gatewise can read: {told[0]}", next=told[1])
    return _doubt(holders) or UsageError(
        f"{what} holds no recurrent layer that gatewise knows.",
        next="It takes modules, layers, models and parameter trees of torch, Keras, Flax, Haiku, Equinox and MLX; describe a layer of your own "
        "with layout=.",
    )


def _not_whole(subject: Any) -> UsageError | None:
    """What people hand over for the object itself: its class, its parameters without their names, one of them, nothing."""
    give = "Give the module, layer or model itself: gw.of(model)."
    if subject is None:
        return UsageError("None holds no recurrent layer.", next=give)
    if isinstance(subject, type):
        return UsageError(
            f"{subject.__module__}.{subject.__qualname__} is a class, not a layer.",
            next="Make one of it first, and give that.",
        )
    if is_array(subject):
        return UsageError(
            f"{described(subject)} is one array of numbers, and a layer is several by their names.", next=give
        )
    if isinstance(subject, list | tuple) and subject and all(is_array(each) for each in subject):
        return UsageError("a list of arrays has no names by which a layer could be told.", next=give)
    return None


def _misfit(holder: Holder, layout: Layout) -> UsageError:
    """Why a layout does not fit: what it wants, what does not come out even, and what there is."""
    wants = ", ".join(part.template_text(layout.own_naming) or "?" for part in layout.parts)
    misfits = recognise(holder.tensors(), (layout,), chosen=True).misfits
    told = next((sentences[0] for sentences in misfits.values() if sentences), "")
    names = few(f"{name} {list(weight.shape)}" for name, weight in holder.weights.items())
    return UsageError(
        f"{described(holder.subject)}{f' at {holder.path}' if holder.path else ''} does not hold what {layout.name} describes ({wants}).",
        next=f"{told} It holds {names or 'no weights'}.".strip(),
    )
