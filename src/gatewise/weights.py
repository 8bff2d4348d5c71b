"""Recurrent weights in their canonical form: by layer, direction, role and gate *name*, never by gate number.

Canonical axes (what every view that gatewise hands out has):

    kernel            [unit, feature]     input to unit
    recurrent_kernel  [unit, hidden]      hidden state of the last step to unit
    bias              [unit]              on the input side; the only one where a framework keeps one
    recurrent_bias    [unit]              on the hidden side
    peephole          [unit]              diagonal, cell state to gate (i, f read the old state, o the new one)
    peephole_kernel   [unit, state]       the same as a full matrix (Chainer, DyNet)
    projection        [hidden, unit]      unit to hidden; has no gates
    recurrent_diagonal [unit]             each unit's own last output to itself (IndRNN)
    norm_scale, norm_offset [unit]        of a layer normalisation, by the gate that it normalises
    initial_hidden    [hidden]            what h is before the first step, where the file keeps that; has no gates
    initial_cell      [unit]              the same of c

Gates are ``i f g o`` (LSTM: input, forget, cell candidate, output), ``r z n`` (GRU: reset, update, new), ``h`` (RNN),
``f n`` (MGU, the minimal gated unit), ``z n`` (UGRNN).  sLSTM has an LSTM's gates and exponential i and f.
What the numbers *mean* beside where they lie is the :class:`Dialect`.  This file is longer than 400 lines: these
are the words that everything else is said in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping

from .errors import UsageError, nearest
from .record import field, names, record, replace
from .source import give_back
from .tensors import ITEM_BYTES

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from .tensors import Array

GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": "h", "slstm": "ifgo", "mgu": "fn", "ugrnn": "zn"}
STATES = {"lstm": "hc", "slstm": "hcnm"}  # what a cell carries from step to step; the others only h
GATE_TITLES = {
    "i": "input", "f": "forget", "g": "cell candidate", "o": "output",
    "r": "reset", "z": "update", "n": "new", "h": "hidden",
}  # fmt: skip

# A role is a tuple so that a part of a layout can say KERNEL + RECURRENT_KERNEL.
KERNEL = ("kernel",)
RECURRENT_KERNEL = ("recurrent_kernel",)
BIAS = ("bias",)
RECURRENT_BIAS = ("recurrent_bias",)
PEEPHOLE = ("peephole",)
PEEPHOLE_KERNEL = ("peephole_kernel",)
PROJECTION = ("projection",)
RECURRENT_DIAGONAL = ("recurrent_diagonal",)
NORM_SCALE = ("norm_scale",)
NORM_OFFSET = ("norm_offset",)
INITIAL_HIDDEN = ("initial_hidden",)
INITIAL_CELL = ("initial_cell",)

ROLE_AXES = {
    "kernel": ("unit", "feature"),
    "recurrent_kernel": ("unit", "hidden"),
    "bias": ("unit",),
    "recurrent_bias": ("unit",),
    "peephole": ("unit",),
    "peephole_kernel": ("unit", "state"),
    "projection": ("hidden", "unit"),
    "recurrent_diagonal": ("unit",),
    "norm_scale": ("unit",),
    "norm_offset": ("unit",),
    "initial_hidden": ("hidden",),
    "initial_cell": ("unit",),
}
GATELESS = frozenset(PROJECTION + INITIAL_HIDDEN + INITIAL_CELL)
DIRECTIONS = ("forward", "reverse")


# What gatewise can compute (``cell``).
ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "exponential", "silu", "elu", "selu",
    "hard_sigmoid(0.2)", "hard_sigmoid(1/6)",
)  # fmt: skip


def hard_sigmoid_slope(name: str) -> float | None:
    """The slope in ``hard_sigmoid(0.2)`` or ``hard_sigmoid(1/6)``; None for any other activation."""
    if not (name.startswith("hard_sigmoid(") and name.endswith(")")):
        return None
    above, _, below = name[len("hard_sigmoid(") : -1].partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None


@record
class Dialect:
    """What the numbers mean: the equations' choices that the weights do not show.

    ``reset``            GRU: "after" n = act(Wx + b + r*(Rh + c)), "before" n = act(Wx + b + R(r*h) + c)
    ``update``           GRU: "keeps" h' = z*h + (1-z)*n, "writes" h' = (1-z)*h + z*n
    ``recurrent_activation``  of the gates i, f, o / r, z; ``activation`` of g / n / h; ``output_activation`` of the
                         cell state on its way out.  Names of ``cell.ACTIVATIONS``: hard_sigmoid has its slope with it.
    ``forget_bias``      added to f at run time, beside what is stored
    ``cell_clip``        |c| is held below it; ``proj_clip`` |h| after the projection; ``input_clip`` every gate's input
    ``coupled``          LSTM with one gate for two: "i" is 1 - f and has no weights, or "f" is 1 - i
    ``merge``            how two directions become one output: concat, sum, ave, mul; "apart" where they stay two
    ``go_backwards``     a single direction that reads the time axis from its end and gives its outputs in that order
    ``backwards_in_place`` such a direction gives its outputs in the input's order instead (ONNX's lone reverse)
    """

    recurrent_activation: str | None = "sigmoid"
    activation: str = "tanh"
    output_activation: str | None = "tanh"
    reset: str | None = None
    update: str | None = None
    forget_bias: float = 0.0
    cell_clip: float | None = None
    proj_clip: float | None = None
    input_clip: float | None = None
    coupled: str | None = None
    merge: str = "concat"
    go_backwards: bool = False
    backwards_in_place: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON.  ``hard_sigmoid_slope`` is added where the gates use a hard sigmoid."""
        said = {name: getattr(self, name) for name in names(Dialect)}
        slope = hard_sigmoid_slope(self.recurrent_activation or self.activation)
        return said | ({"hard_sigmoid_slope": slope} if slope is not None else {})


PLAIN = {
    "lstm": Dialect(),
    "gru": Dialect(output_activation=None, reset="after", update="keeps"),
    "rnn": Dialect(recurrent_activation=None, output_activation=None),
    "slstm": Dialect(recurrent_activation=None, output_activation=None),
    "mgu": Dialect(output_activation=None, reset="before", update="keeps"),
    "ugrnn": Dialect(output_activation=None, update="keeps"),
}  # torch's dialect of each cell; other tables say what is theirs with record.replace


CELLS_OF = {
    "reset": ("gru", "mgu"), "update": ("gru", "mgu", "ugrnn"), "forget_bias": ("lstm", "slstm", "ugrnn"),
    "cell_clip": ("lstm",), "proj_clip": ("lstm",), "coupled": ("lstm",),
}  # fields of a dialect that say something of some cells only  # fmt: skip


def letter_of(gate: Any) -> Any:
    """``f`` of ``forget``; anything else as it is."""
    return next((letter for letter, title in GATE_TITLES.items() if title == gate), gate)


def index_of(layer: Any) -> int | None:
    """A layer's number, also one of numpy's; None for what is no whole number."""
    try:
        return None if isinstance(layer, bool) else operator.index(layer)
    except TypeError:
        return None


class Gates(Mapping[str, "Array"]):
    """Gate name → array, made when asked for.  Empty where the layer has no such role."""

    __slots__ = ("_make", "role")

    def __init__(self, role: str, make: Mapping[str, Callable[[], Array]] | None = None):
        self.role = role
        self._make = dict(make or {})

    def __getitem__(self, gate: str) -> Array:
        make = self._make.get(gate) if isinstance(gate, str) else None
        return self._make[self._known(gate)]() if make is None else make()

    def __setitem__(self, gate: str, value: Any) -> None:
        """Refused: only what is in memory is written (``gw.of``).  Raises UsageError."""
        raise UsageError(
            f"{self.role}[{gate!r}] cannot be written here: what is read from a file is only read.",
            next="Write to an object in memory (gw.of(module)), or change the file's layer and save a new one (gw.save, gw.convert).",
        )

    def _known(self, gate: Any) -> str:
        """The letter of a gate, or of its title.  Raises UsageError for one that is not there."""
        letter: str = letter_of(gate) if isinstance(gate, str) else ""
        if letter not in self._make or not isinstance(gate, str):
            raise self._unknown(gate)
        return letter

    def __contains__(self, gate: object) -> bool:
        return isinstance(gate, str) and (gate in self._make or letter_of(gate) in self._make)

    def get(self, gate: str, default: Any = None) -> Any:  # Mapping's own would wait for a KeyError
        return self[self._known(gate)] if gate in self else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)

    def __repr__(self) -> str:
        return f"<{self.role}: gates {' '.join(self) or 'none'}>"

    def _unknown(self, gate: object) -> UsageError:
        if not self._make:
            return UsageError(f"this layer has no {self.role}.")
        known = ", ".join(f"{name} ({GATE_TITLES.get(name, name)})" for name in self)
        titles = [*self, *(GATE_TITLES.get(name, name) for name in self)]
        near = nearest(gate.lower(), titles, 1) if isinstance(gate, str) else ""
        return UsageError(f"{self.role} has no gate {gate!r}.", next=f"{near} Its gates are {known}.".strip())

    def mapped(self, change: Callable[[str, Array], Array]) -> Gates:
        """The same gates with ``change(gate, array)`` applied when each is asked for.  What was changed is not needed any
        more: of a mapped file it is given back."""

        def later(gate: str, make: Callable[[], Array]) -> Callable[[], Array]:
            def changed() -> Array:
                array = make()
                try:
                    return change(gate, array)
                finally:
                    give_back(array)

            return changed

        return Gates(self.role, {gate: later(gate, make) for gate, make in self._make.items()})


@record
class Weights:
    """One cell: one layer in one direction.  ``sizes``: unit, feature, hidden.  Roles it lacks are empty and falsy."""

    unit: int
    feature: int
    hidden: int
    dtype: str
    roles: Mapping[str, Gates] = field(repr=False)

    def role(self, name: str) -> Gates:
        return self.roles.get(name) or Gates(name)

    @property
    def kernel(self) -> Gates:
        """Gate → [unit, feature]."""
        return self.role("kernel")

    @property
    def recurrent_kernel(self) -> Gates:
        """Gate → [unit, hidden]."""
        return self.role("recurrent_kernel")

    @property
    def bias(self) -> Gates:
        """Gate → [unit]."""
        return self.role("bias")

    @property
    def recurrent_bias(self) -> Gates:
        """Gate → [unit]."""
        return self.role("recurrent_bias")

    @property
    def peephole(self) -> Gates:
        """Gate → [unit]."""
        return self.role("peephole")

    @property
    def projection(self) -> Array | None:
        """[hidden, unit], or None."""
        gates = self.roles.get("projection")
        return gates[""] if gates else None

    @property
    def bias_kind(self) -> str:
        """``none``, ``single`` or ``double``."""
        if self.recurrent_bias:
            return "double"
        return "single" if self.bias else "none"

    @property
    def parameters(self) -> int:
        """How many numbers this cell has."""
        sizes = {"unit": self.unit, "feature": self.feature, "hidden": self.hidden, "state": self.unit}
        total = 0
        for name, gates in self.roles.items():
            count = len(gates)
            for axis in ROLE_AXES[name]:
                count *= sizes[axis]
            total += count
        return total

    def with_roles(self, **roles: Gates | None) -> Weights:
        """The same cell with some roles replaced; None removes one."""
        merged = dict(self.roles) | {name: gates for name, gates in roles.items() if gates is not None}
        for name, gates in roles.items():
            if gates is None:
                merged.pop(name, None)
        return replace(self, roles=merged)


@record
class Spec:
    """The facts of a stack.  ``hidden_size`` and ``input_size`` count units and features; ``proj_size`` is 0 without
    a projection.  ``hidden_size`` is a list where the directions or layers differ in size."""

    cell: str
    input_size: int
    hidden_size: int | list[int]
    proj_size: int
    num_layers: int
    directions: int
    bias: str
    dtype: str
    dialect: Dialect

    @property
    def reset(self) -> str | None:
        return self.dialect.reset

    @property
    def gates(self) -> str:
        return GATES[self.cell]


class Stack:
    """Recurrent layers that feed each other: ``stack[layer, direction]`` gives the :class:`Weights` of one cell.

    ``name`` is the stack's path in its file, ``layout`` the name of the layout it was read with.
    """

    def __init__(
        self, cell: str, cells: Mapping[tuple[int, str], Weights], dialect: Dialect, *, name: str = "", layout: str = ""
    ):
        self.cell = cell
        self.cells = dict(cells)
        self.dialect = dialect
        self.name = name
        self.layout = layout

    @property
    def num_layers(self) -> int:
        return 1 + max(layer for layer, _ in self.cells)

    @property
    def directions(self) -> tuple[str, ...]:
        return DIRECTIONS if any(direction == "reverse" for _, direction in self.cells) else DIRECTIONS[:1]

    @property
    def spec(self) -> Spec:
        first = self.cells[0, "forward"]
        units = [weights.unit for _, weights in self]
        kinds = {weights.bias_kind for weights in self.cells.values()}
        return Spec(
            cell=self.cell,
            input_size=first.feature,
            hidden_size=units[0] if len(set(units)) == 1 else units,
            proj_size=first.hidden if "projection" in first.roles else 0,
            num_layers=self.num_layers,
            directions=len(self.directions),
            bias=max(kinds, key=("none", "single", "double").index),
            dtype=first.dtype,
            dialect=self.dialect,
        )

    @property
    def parameters(self) -> int:
        return sum(weights.parameters for weights in self.cells.values())

    @property
    def nbytes(self) -> int:
        return sum(weights.parameters * ITEM_BYTES[weights.dtype] for weights in self.cells.values())

    def __getitem__(self, place: tuple[int, str]) -> Weights:
        layer, direction, *more = (
            (*place, *("forward",) * (len(place) == 1)) if isinstance(place, tuple) and place else (place, "forward")
        )
        if more:
            raise UsageError(f"{place!r} names no layer.", next='Say the layer and the direction: [0, "forward"].')
        count, number = self.num_layers, index_of(layer)
        if number is None or not -count <= number < count:
            raise UsageError(
                f"there is no layer {layer!r}.",
                next=f"Layers are 0 to {count - 1}." if count > 1 else "It has one, layer 0.",
            )
        if direction not in self.directions:
            near = nearest(direction, self.directions, 1) if isinstance(direction, str) else ""
            raise UsageError(
                f"there is no direction {direction!r}.", next=f"{near} It has {', '.join(self.directions)}.".strip()
            )
        return self.cells[number % count, direction]

    def __iter__(self) -> Iterator[tuple[tuple[int, str], Weights]]:
        """((layer, direction), weights), layer by layer, forward before reverse."""
        for layer in range(self.num_layers):
            for direction in self.directions:
                yield (layer, direction), self.cells[layer, direction]

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"<{self.layout or spec.cell} {self.name!r}: {spec.input_size} → {spec.hidden_size}, "
            f"{spec.num_layers} layer(s), {spec.directions} direction(s), {spec.bias} bias, {spec.dtype}>"
        )

    def replaced(self, cells: Mapping[tuple[int, str], Weights] | None = None, dialect: Dialect | None = None) -> Stack:
        """The same stack with other cells or another dialect."""
        return Stack(
            self.cell,
            self.cells if cells is None else cells,
            dialect or self.dialect,
            name=self.name,
            layout=self.layout,
        )

    def layer(self, index: int, name: str | None = None) -> Stack:
        """One layer of the stack as a stack of its own."""
        cells = {(0, direction): self.cells[index, direction] for direction in self.directions}
        return Stack(self.cell, cells, self.dialect, name=self.name if name is None else name, layout=self.layout)


def require_stacks(given: Iterable[Any], what: str, instead: str) -> None:
    """Raises UsageError for what is no layer by names."""
    for each in given:
        if not isinstance(each, Stack):
            raise UsageError(
                f"{what} takes layers by names, not an object of {type(each).__module__}.{type(each).__qualname__}.",
                next=f"Of an object in memory: {instead}.",
            )


def joined(stacks: list[Stack], name: str = "") -> Stack:
    """Stacks that feed each other, as one.  Raises UsageError where they do not fit."""
    cells: dict[tuple[int, str], Weights] = {}
    for stack in stacks:
        if stack.cell != stacks[0].cell or stack.dialect != stacks[0].dialect:
            raise UsageError(f"{stack.name!r} and {stacks[0].name!r} are not the same kind of cell.")
        if stack.directions != stacks[0].directions:
            raise UsageError(f"{stack.name!r} and {stacks[0].name!r} do not have the same directions.")
        below = 1 + max((layer for layer, _ in cells), default=-1)
        cells |= {(below + layer, direction): weights for (layer, direction), weights in stack.cells.items()}
    return Stack(stacks[0].cell, cells, stacks[0].dialect, name=name or stacks[0].name, layout=stacks[0].layout)
