"""One stack on its way to a target: its terms, its names, its dtype."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..containers import Container, containers
from ..conventions import ONE_ROUNDING, Change, Expressed, can_say, express
from ..errors import NotRepresentable, UsageError
from ..layouts import Layout
from ..layouts._code import encode
from ..proof import TOLERANCE, tolerance_of
from ..record import record, replace
from ..source import give_back
from ..tensors import FLOATS, numpy_dtype
from ..weights import Gates, Stack, Weights
from .loading import Piece

if TYPE_CHECKING:
    from ..tensors import Array


@record
class Unit:
    """One stack on its way: where it comes from, what it becomes, the names of the layers that it becomes, and the
    layer whose output it takes directly (``after``), where the source tells."""

    source: Stack
    names_of_source: tuple[str, ...]
    said: Expressed
    names: tuple[str, ...]
    after: tuple[str, ...] = ()
    narrowed: bool = False  # stored in a dtype that cannot hold every number of the source

    @property
    def target(self) -> Layout:
        return self.said.layout

    def pieces(self) -> Iterator[Piece]:
        """Each object that the target stores: one, or one per layer."""
        if len(self.names) == 1:
            yield Piece(self.names[0], self.target, self.said.stack, self.after)
            return
        after = self.after
        for index, name in enumerate(self.names):
            yield Piece(name, self.target, self.said.stack.layer(index, name), after)
            after = (name,)

    @property
    def tolerance(self) -> float:
        """What the outputs may differ by: more where numbers were rounded to a dtype that is coarser than float32."""
        return tolerance_of(self.said.stack.spec.dtype) if self.rounded else TOLERANCE

    @property
    def rounded(self) -> bool:
        """May numbers have been rounded: stored in a coarser dtype, or added up?"""
        return self.narrowed or any(change.exactness == ONE_ROUNDING for change in self.said.changes)


def unit_of(
    stack: Stack, names: tuple[str, ...], target: Layout, dtype: str | None, changes: list[Change], taken: set[str],
    *, alone: bool, after: tuple[str, ...] = (),
) -> Unit:  # fmt: skip
    """A stack in the target's terms and in ``dtype``; what that changed is added to ``changes``.

    A wider dtype comes before the arithmetic and a narrower one after it, so that nothing is rounded twice.  Its names are
    none of those that are ``taken``, and are added to them.
    """
    old = stack.spec.dtype
    narrower = dtype is not None and not holds_every(dtype, old)
    try:
        said = express(stack if narrower else as_dtype(stack, dtype, changes), target)
    except NotRepresentable as error:
        error.where = error.where or (f"layer {names[0]}" if names[0] else None)
        others = _others(stack, target)
        error.next = f"{error.next} {others}" if error.next else others
        raise
    changes += [change for change in said.changes if change not in changes]
    if narrower:
        said = replace(said, stack=as_dtype(said.stack, dtype, changes))
    count = 1 if target.is_stack else stack.num_layers
    new = tuple(_new_names(names[0], target, count, taken, stack, alone))
    return Unit(stack, names, said, new, after, narrower)


def _others(stack: Stack, target: Layout) -> str:
    """What can say the stack, where the target cannot: first what the target's own framework has, then frameworks with a
    format of their own that is written, and of these what says it with the least change."""
    at_home = {framework for known in containers() if known.write for framework in known.frameworks}
    able = [said for said in can_say(stack) if said.layout.name != stack.layout and _is_written(said.layout)]
    able.sort(key=lambda said: (
        said.layout.framework != target.framework, said.layout.framework not in at_home, len(said.changes),
    ))  # fmt: skip
    more = f" and {len(able) - _OTHERS} more (`gatewise layouts` lists them all)" if len(able) > _OTHERS else ""
    names = ", ".join(said.layout.name for said in able[:_OTHERS])
    return f"What can say it: {names}{more}." if able else "No other layout can say it either."


def _is_written(target: Layout) -> bool:
    """Is there a format that this layout's files are written in?"""
    return any(holds(known, target) for known in containers())


def holds(container: Container, target: Layout) -> bool:
    """Can files of this format hold this layout?  Those of one framework hold what it declares today, the others
    whatever has names of its own."""
    if container.write is None:
        return False
    if container.frameworks:
        return target.framework in container.frameworks and (bool(target.written_as) or target.separator == ".")
    texts = [part.template_text("") for part in target.parts]
    return all(text is not None and "*" not in text for text in texts)


def _new_names(name: str, target: Layout, count: int, taken: set[str], stack: Stack, alone: bool) -> Iterator[str]:
    """Names for what is written.  Torch keeps paths and a lone layer bare, and so does everybody whose files declare no
    layers; Keras wants plain words."""
    if target.separator == "." or not target.written_as:
        same_framework = layout_framework(stack) == target.framework
        base = name if same_framework or not alone else ""
        base = base if same_framework else re.sub(r"[./]", target.separator, base)
    else:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or stack.cell.replace("rnn", "simple_rnn")
        base = base if target.named in base.lower() else f"{base}_{target.named}"
    base = base or (stack.cell if count > 1 else "")  # one layer may be bare, several have names
    for index in range(count):
        wanted = base if count == 1 or index == 0 else f"{base}_{index}"
        number = 1
        fresh = wanted
        while fresh in taken:
            fresh = f"{wanted}_{number}"
            number += 1
        taken.add(fresh)
        yield fresh


def layout_framework(stack: Stack) -> str:
    return stack.layout.split(".")[0]


# dtype.


_OTHERS = 6  # layouts that are named in a refusal
_HOLDS = {  # dtype → the dtypes whose every number it holds
    "float64": ("float64", "float32", "float16", "bfloat16"),
    "float32": ("float32", "float16", "bfloat16"),
    "float16": ("float16",),
    "bfloat16": ("bfloat16",),
}


def holds_every(dtype: str, old: str) -> bool:
    if dtype not in FLOATS:
        raise UsageError(f"weights cannot be stored as {dtype!r}.", next=f"Use one of {', '.join(sorted(FLOATS))}.")
    return old in _HOLDS[dtype]


def as_dtype(stack: Stack, dtype: str | None, changes: list[Change]) -> Stack:
    """The stack stored in another dtype, with the largest change said."""
    old = stack.spec.dtype
    if dtype is None or dtype == old:
        return stack

    def cast(_gate: str, array: Any) -> Any:
        import numpy as np

        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            return array.astype(numpy_dtype(dtype))

    def narrowed(weights: Weights) -> Weights:
        return replace(weights, dtype=dtype, roles={role: gates.mapped(cast) for role, gates in weights.roles.items()})

    changed = stack.replaced({place: narrowed(weights) for place, weights in stack.cells.items()})
    if holds_every(dtype, old):
        largest = 0.0
    else:
        largest = max(
            _largest_change(gates, changed.cells[place].role(role))
            for place, weights in stack.cells.items()
            for role, gates in weights.roles.items()
        )
    if largest == float("inf"):
        raise NotRepresentable(
            f"{dtype} cannot hold these weights: some are too large and would become infinite.",
            next="Choose bfloat16, float32 or float64.",
        )
    exactness = "exact" if largest == 0 else f"largest change {largest:.3g}"
    change = Change(f"stored as {old} → {dtype}", exactness)
    if change not in changes:
        changes.append(change)
    return changed


def _largest_change(before: Gates, after: Gates) -> float:
    import numpy as np

    largest = 0.0
    for gate in before:
        stored = before[gate]
        old, new = np.array(stored, np.float64), np.asarray(after[gate], np.float64)
        give_back(stored)
        if (np.isinf(new) & ~np.isinf(old)).any():
            return float("inf")
        with np.errstate(invalid="ignore"):
            moved = np.abs(old - new)[np.isfinite(old)]
        largest = max(largest, float(moved.max(initial=0.0)))
    return largest


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
