"""One time step of each cell in float64, whatever the weights are stored in.

Equations as in the papers: LSTM Hochreiter & Schmidhuber 1997, Gers, Schmidhuber & Cummins 2000 (forget gate), Gers &
Schmidhuber 2000 (peepholes), Sak et al. 2014 (projection); GRU Cho et al. 2014 (reset before the product), cuDNN's form
(reset after); coupled gates Greff et al. 2015 (CIFG); MGU Zhou et al. 2016; UGRNN Collins et al. 2017; sLSTM Beck et al.
2024.  Not known here: time, depth and direction, layer norm, zoneout.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import NotRepresentable
from ..pieces import copy_into
from ..record import lazy, record
from ..source import give_large_back
from ..weights import ACTIVATIONS, GATES, Dialect, Weights, hard_sigmoid_slope

if TYPE_CHECKING:
    from ..tensors import Array

# Activations.  A name may carry its slope: hard_sigmoid(0.2) is old Keras's, hard_sigmoid(1/6) is Keras 3's.


def sigmoid(x: Array) -> Array:
    import numpy as np

    return np.exp(-np.logaddexp(0.0, -x))  # neither tail overflows


def _hard_sigmoid(slope: float) -> Callable[[Array], Array]:
    import numpy as np

    return lambda x: np.clip(slope * x + 0.5, 0.0, 1.0)


def _table() -> dict[str, Callable[[Array], Array]]:
    import numpy as np

    return {
        "sigmoid": sigmoid,
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0.0),
        "linear": lambda x: x,
        "softsign": lambda x: x / (1.0 + np.abs(x)),
        "softplus": lambda x: np.logaddexp(0.0, x),
        "exponential": np.exp,
        "silu": lambda x: x * sigmoid(x),
        "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
        "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0.0))),
    }


def activation(name: str | None) -> Callable[[Array], Array]:
    """The function called ``name``.  Raises NotRepresentable for one that gatewise does not know."""
    slope = hard_sigmoid_slope(name or "")
    if slope is not None:
        return _hard_sigmoid(slope)
    try:
        return _table()[name or ""]
    except KeyError:
        raise NotRepresentable(
            f"the activation {name!r} is not one that gatewise can compute.",
            next=f"Known: {', '.join(ACTIVATIONS)}; say what it is with --activation or --recurrent-activation.",
        ) from None


# Cells.


@record
class Part:
    """The units of one cell that are computed where not all are, and which states they give: h is more or less than the
    units where there is a projection.  Both are numbers of places, sorted."""

    units: Array
    hidden: Array


@record(eq=False)
class Cell:
    """One cell as its steps use it: its weights in float64 and its dialect, with the activations looked up.

    ``gates``             those that are stored, in the order in which they stand in what is "gate by gate"
    ``recurrent``         makes ``recurrent_kernel`` [gate·unit, hidden] when the first step asks for it: by then the kernel
                          has been read, and the two are not held at once.  ``recurrent_bias`` [gate·unit] or None
    ``part``              None where all units are computed.  Else the rows of these alone are here, and every other unit
                          stays in the state in which it was, so that no other row is needed
    """

    dialect: Dialect
    gates: str
    units: int  # that are computed
    recurrent: Callable[[], Array]
    recurrent_bias: Array | None
    peephole: Mapping[str, Array]
    peephole_kernel: Mapping[str, Array]
    projection: Array | None
    gate_act: Callable[[Array], Array]
    act: Callable[[Array], Array]
    out_act: Callable[[Array], Array]
    part: Part | None

    @lazy
    def recurrent_kernel(self) -> Array:
        return self.recurrent()

    def each(self, packed: Array, gates: str = "") -> dict[str, Array]:
        """What stands gate by gate, [batch, gate·unit], as gate → [batch, unit]."""
        size = self.units
        return {gate: packed[:, n * size : (n + 1) * size] for n, gate in enumerate(gates or self.gates)}

    def below(self, h: Array, gates: str = "") -> Array:
        """The hidden state's share of the pre-activations, with the hidden-side bias: [batch, gate·unit].  ``gates``: of
        these alone, which stand together."""
        matrix, bias = self.recurrent_kernel, self.recurrent_bias
        if gates and gates != self.gates:
            first = self.gates.index(gates[0]) * self.units
            rows = slice(first, first + len(gates) * self.units)
            matrix, bias = matrix[rows], None if bias is None else bias[rows]
        share = _product(h, matrix)
        if bias is not None:
            share += bias
        return share

    def diagonal(self, gate: str, c: Array) -> Array | float:
        """The share of the units' own cell states, through a peephole; 0 without one."""
        return self.peephole[gate] * c if gate in self.peephole else 0.0

    def full(self, gate: str, c: Array) -> Array | float:
        """The share of all cell states, through a peephole that is a matrix; 0 without one."""
        share: Array | float = c @ self.peephole_kernel[gate].T if gate in self.peephole_kernel else 0.0
        return share

    def clipped(self, pre: Array) -> Array:
        return _clip(pre, self.dialect.input_clip)

    def own(self, state: Array) -> Array:
        """The state of the units that are computed."""
        return state if self.part is None else state[:, self.part.units]

    def seen(self, h: Array) -> Array:
        """The outputs that are computed."""
        return h if self.part is None else h[:, self.part.hidden]

    def among(self, values: Array, others: Array) -> Array:
        """What the units gave, among ``others`` for the units that are not computed."""
        return values if self.part is None else _put(values, others, self.part.units)

    def among_hidden(self, values: Array, others: Array) -> Array:
        return values if self.part is None else _put(values, others, self.part.hidden)


def _put(values: Array, others: Array, places: Array) -> Array:
    whole: Array = others.copy()
    whole[:, places] = values
    return whole


def _clip(x: Array, bound: float | None) -> Array:
    import numpy as np

    if bound is None:
        return x
    clipped: Array = np.clip(x, -bound, bound)
    return clipped


# Steps.  ``x`` is the input's share of every pre-activation, with the input-side bias: [batch, gate·unit], gate by gate.


def lstm_step(w: Cell, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One LSTM step.  h: [batch, hidden], c: [batch, unit]  ->  h, c.  Gers et al. 2000; with peepholes, i and f read the
    old c and o the new one (Gers & Schmidhuber 2000).  A coupled gate is 1 minus the other, whatever is stored for it
    (Greff et al. 2015)."""
    pre, old = w.each(x + w.below(h)), w.own(c)
    if w.dialect.forget_bias and "f" in pre:
        pre["f"] = pre["f"] + w.dialect.forget_bias

    def gate(name: str, own: Array, all: Array) -> Array:
        opened: Array = w.gate_act(w.clipped(pre[name] + w.diagonal(name, own) + w.full(name, all)))
        return opened

    open = {name: gate(name, old, c) for name in "if" if name != w.dialect.coupled}
    i = open["i"] if "i" in open else 1.0 - open["f"]
    f = open["f"] if "f" in open else 1.0 - open["i"]
    new = _clip(f * old + i * w.act(w.clipped(pre["g"])), w.dialect.cell_clip)
    c = w.among(new, c)
    m = gate("o", new, c) * w.out_act(new)
    if w.projection is not None:
        m = _clip(w.among(m, c) @ w.projection.T, w.dialect.proj_clip)
    return w.among_hidden(m, h), c


def gru_step(w: Cell, x: Array, h: Array) -> tuple[Array]:
    """One GRU step.  h: [batch, unit]  ->  h.  Cho et al. 2014 (before), cuDNN (after)."""
    x_of, old = w.each(x), w.own(h)
    first = "rz" if w.dialect.reset == "before" else "rzn"
    below = w.each(w.below(h, first), first)
    r, z = (w.gate_act(w.clipped(x_of[gate] + below[gate])) for gate in "rz")
    n = r * below["n"] if w.dialect.reset == "after" else w.below(w.among(r * old, h), "n")
    n = w.act(w.clipped(x_of["n"] + n))
    return (w.among(z * old + (1.0 - z) * n if w.dialect.update == "keeps" else (1.0 - z) * old + z * n, h),)


def rnn_step(w: Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of a vanilla RNN.  h: [batch, unit]  ->  h.  Elman 1990."""
    return (w.among(w.act(w.clipped(x + w.below(h))), h),)


def mgu_step(w: Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of a minimal gated unit: a GRU whose one gate f serves as reset and update.  Zhou et al. 2016.
    ``reset`` None: the candidate sees the whole h (Flax's MGUCell with reset_gate=False)."""
    x_of, old = w.each(x), w.own(h)
    f = w.gate_act(w.clipped(x_of["f"] + w.below(h, "f")))
    below = w.below(w.among(f * old, h) if w.dialect.reset == "before" else h, "n")
    n = w.act(w.clipped(x_of["n"] + (below * f if w.dialect.reset == "after" else below)))
    return (w.among(f * old + (1.0 - f) * n if w.dialect.update == "keeps" else (1.0 - f) * old + f * n, h),)


def ugrnn_step(w: Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of an update gate RNN.  h: [batch, unit]  ->  h.  Collins et al. 2017."""
    pre, old = w.each(x + w.below(h)), w.own(h)
    z = w.gate_act(w.clipped(pre["z"] + w.dialect.forget_bias))
    n = w.act(w.clipped(pre["n"]))
    return (w.among(z * old + (1.0 - z) * n if w.dialect.update == "keeps" else (1.0 - z) * old + z * n, h),)


def slstm_step(w: Cell, x: Array, h: Array, c: Array, n: Array, m: Array) -> tuple[Array, Array, Array, Array]:
    """One sLSTM step: exponential i, f through a log-sigmoid, held by the stabiliser m and the normaliser n.
    h, c, n, m: [batch, unit].  At the first step (n all zero) m is i's own logarithm.  Beck et al. 2024, eq. 8 to 17."""
    import numpy as np

    pre = w.each(x + w.below(h))
    log_i = pre["i"]
    log_f = -np.logaddexp(0.0, -(pre["f"] + w.dialect.forget_bias)) + w.own(m)
    top = np.maximum(log_i, log_f) if n.any() else log_i
    i, f = np.exp(log_i - top), np.exp(log_f - top)
    new_c, new_n = f * w.own(c) + i * w.act(pre["g"]), f * w.own(n) + i
    new_h = sigmoid(pre["o"]) * new_c / new_n
    return w.among(new_h, h), w.among(new_c, c), w.among(new_n, n), w.among(top, m)


STEPS: dict[str, Callable[..., tuple[Array, ...]]] = {
    "lstm": lstm_step, "gru": gru_step, "rnn": rnn_step, "mgu": mgu_step, "ugrnn": ugrnn_step, "slstm": slstm_step,
}  # fmt: skip


# Weights in float64, in no more memory than the steps need.


def cell_of(kind: str, weights: Weights, dialect: Dialect, part: Part | None = None) -> Cell:
    """One cell's weights in float64; with ``part`` the rows of its units alone.  The kernel is left to :func:`shares`."""
    units, hidden = (None, None) if part is None else (part.units, part.hidden)

    def plain(role: str) -> dict[str, Array]:
        return {gate: _wide(array, units) for gate, array in weights.role(role).items()}

    identity, projection = activation("linear"), weights.projection
    gates = "".join(gate for gate in GATES[kind] if gate in weights.kernel)
    return Cell(
        dialect, gates, weights.unit if units is None else len(units),
        lambda: _packed([weights.recurrent_kernel[gate] for gate in gates], units),
        _bias(weights, "recurrent_bias", gates, units),
        plain("peephole"), plain("peephole_kernel"), None if projection is None else _wide(projection, hidden),
        activation(dialect.recurrent_activation) if dialect.recurrent_activation else identity,
        activation(dialect.activation),
        activation(dialect.output_activation) if dialect.output_activation else identity,
        part,
    )  # fmt: skip


def shares(cell: Cell, weights: Weights, x: Array, times: Sequence[int], block: int) -> Iterator[tuple[int, Array]]:
    """The input's share of every pre-activation at each of these times in turn: x [batch, time, feature] → (time,
    [batch, gate·unit]).

    Worked out for many times in one product, ``block`` numbers or one time at once, and some rows after another: no more
    of the kernel is held in float64."""
    import numpy as np

    units = None if cell.part is None else cell.part.units
    bias, width = _bias(weights, "bias", cell.gates, units), len(cell.gates) * cell.units
    count = max(1, block // max(1, len(x) * width))
    for first in range(0, len(times), count):
        now = times[first : first + count]
        steps = x.transpose(1, 0, 2)[now].reshape(-1, x.shape[2])
        share = np.empty((len(steps), width))
        kernels = {gate: weights.kernel[gate] for gate in cell.gates}
        for gate, found in cell.each(share).items():
            kernel = _rows(kernels[gate], units)
            for some in _slices(kernel):
                _product(steps, _wide(kernel[some], None), found[:, some])
        give_large_back(kernels.values())
        if bias is not None:
            share += bias
        yield from zip(now, share.reshape(len(now), len(x), width), strict=True)


# OpenBLAS takes a second thread for more multiplications than this.  Where few rows are multiplied, the memory is what
# they wait for, and two threads use up to eight times the processor time of one.
_ALONE, _FEW = 1 << 18, 64


def _product(values: Array, matrix: Array, out: Array | None = None) -> Array:
    """values [batch, column] times matrix [row, column]: [batch, row]."""
    import numpy as np

    batch, columns = values.shape
    few = _ALONE // max(1, batch * columns)
    if batch > _FEW or len(matrix) <= few:
        share: Array = np.matmul(values, matrix.T, out=out)
        return share
    out = np.empty((batch, len(matrix))) if out is None else out
    for first in range(0, len(matrix), max(1, few)):
        some = slice(first, first + max(1, few))
        np.matmul(values, matrix[some].T, out=out[:, some])
    return out


def _bias(weights: Weights, role: str, gates: str, units: Array | None) -> Array | None:
    """[gate·unit], 0 for the gates that have none; None where no gate has one."""
    import numpy as np

    found = dict(weights.role(role))
    if not found:
        return None
    zeros = np.zeros(weights.unit)
    return np.concatenate([_wide(found.get(gate, zeros), units) for gate in gates])


def _packed(arrays: Sequence[Array], places: Array | None) -> Array:
    """Matrices end to end, in float64: so much of them after another as lies in a stretch of the file, which is then given
    back.  Where rows are stored as columns, a stretch is some columns of all gates, which lie among one another."""
    import numpy as np

    rows = [_rows(array, places) for array in arrays]
    packed = np.empty((sum(map(len, rows)), rows[0].shape[1]))
    ends = list(itertools.accumulate(map(len, rows)))
    gates = [(array, packed[end - len(array) : end]) for array, end in zip(rows, ends, strict=True)]
    if any(array.strides[0] < array.strides[1] for array in rows):
        gates = [(array.T, wide.T) for array, wide in gates]
        blocks = [[(array[some], wide[some]) for array, wide in gates] for some in _slices(packed.T)]
    else:
        blocks = [[(array[some], wide[some])] for array, wide in gates for some in _slices(array)]
    for block in blocks:
        for array, wide in block:
            copy_into(wide, array)
        give_large_back(array for array, _ in block)
    give_large_back(arrays)
    return packed


def _wide(array: Array, places: Array | None) -> Array:
    """In row-major float64, whatever the order is stored in: equal numbers then give equal results to the last bit."""
    import numpy as np

    rows = _rows(array, places)
    wide = np.empty(rows.shape)
    copy_into(wide, rows)
    return wide


def _rows(array: Array, places: Array | None) -> Array:
    return array if places is None else array[places]


_STRETCH = 1 << 21  # bytes of a large matrix that are widened before they are used or given back


def _slices(matrix: Array) -> Iterator[slice]:
    """Its rows in stretches."""
    count = max(1, _STRETCH // max(1, 8 * matrix.shape[1]))
    return (slice(first, first + count) for first in range(0, len(matrix), count))
