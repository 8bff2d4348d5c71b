"""A recurrent layer in memory: a :class:`~gatewise.weights.Stack` through whose names the real weights are written.

Names, sizes, gates and meaning come from the same tables as a file's; what is special about memory is in the holder
(``_weight``).  Not known here: any framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..cell import checked, states_of
from ..checkpoint import Layer
from ..errors import ProofFailed, UsageError, few, nearest
from ..layouts import Match
from ..layouts._code import Home, homes, stack_of
from ..proof import Proof, compared, run_of, tolerance_of
from ..record import lazy
from ..selection import Selector
from ..tensors import Tensors
from ..weights import ROLE_AXES, Gates, Stack, Weights
from ._calls import Way
from ._custom import believed, stacked
from ._watched import watched
from ._weight import Holder, Unread, Weight

if TYPE_CHECKING:
    from ..tensors import Array


_BELIEVED = (
    "the layout is believed as it was given: there is nothing to call; gw.of((function, params), layout=…) proves it"
)
# From here on a number is rounded to infinity in each floating dtype (IEEE 754: half a last place above the largest).
_TOO_LARGE = {"float16": 65520.0, "bfloat16": 3.3961775292304957e38, "float32": 3.4028235677973366e38}


class LiveGates(Gates):
    """Gate → array of a live layer.  Assigning to a gate writes the framework's own weight."""

    __slots__ = ("writers",)

    writers: Mapping[str, Callable[[Any], None]]

    def __setitem__(self, gate: str, value: Any) -> None:
        """Write one gate: a number for all of it, or an array of its shape.  Raises UsageError."""
        self.writers[self._known(gate)](value)


class LiveWeights(Weights):
    """One cell of a live layer.  ``cell.bias = 0.0`` writes every gate of a role, ``cell.bias["f"] = 1.0`` one."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Write all gates of a role, or the role that has none (``cell.projection = array``): a number, or what has the
        shape of each.  Raises UsageError; then nothing is written."""
        if name not in ROLE_AXES:
            raise UsageError(
                f"a cell has no {name!r} to write.",
                next=nearest(name, self.roles) or f"It has {', '.join(self.roles)}.",
            )
        if name not in self.roles:
            raise UsageError(f"this layer has no {name}.", next=f"It has {', '.join(self.roles)}.")
        self.__dict__["write"](name, value)


class Live(Layer):
    """One recurrent layer of an object in memory.

    ``live[0, "forward"].bias["f"]`` reads; the array lies in the framework's own memory where that is possible, and is a
    copy, not to be written, where it is not.  ``live[0, "forward"].bias["f"] = 1.0`` writes the real weight.  Where the
    framework's objects are never changed, ``live.result`` is the new one.
    """

    def __init__(self, match: Match, holder: Holder, tensors: Tensors, whole: bool = True):
        super().__init__(match, tensors, holder.also_at)
        self.holder = holder
        self.whole = whole  # is the layer all there is in its holder, so that calling the one calls the other?

    @lazy
    def _homes(self) -> dict[tuple[tuple[int, str], str, str], Home]:
        return {(home.place, home.role, home.gate): home for home in homes(self.match)}

    @lazy
    def cells(self) -> dict[tuple[int, str], Weights]:  # type: ignore[override]
        stack = stack_of(self.match, ((home, self._reader(home)) for home in self._homes.values()), LiveGates)
        return {place: self._writable(place, weights) for place, weights in stack.cells.items()}

    @property
    def layers(self) -> list[Live]:
        """The recurrent layers: this one.  A model with several has them all (:class:`LiveModel`)."""
        return [self]

    @property
    def assumed(self) -> tuple[str, ...]:
        """What the object does not tell and was taken for granted."""
        taken = tuple(each.replace("the file ", "the object ") for each in super().assumed)
        return (*taken, _BELIEVED) if self.holder.believed and self.holder.way is None else taken

    @property
    def subject(self) -> Any:
        """The object that was given."""
        return self.holder.subject

    @property
    def result(self) -> Any:
        """The object with all that was written: itself, or the new one of a framework whose objects never change."""
        return self.holder.result()

    def weight_of(self, home: Home) -> Weight:
        return self.holder.weights[home.name]

    def home(self, layer: int, direction: str, role: str, gate: str) -> Home:
        """Where one gate lies.  Raises KeyError for what is not there."""
        return self._homes[(layer, direction), role, gate]

    @property
    def homes(self) -> tuple[Home, ...]:
        """Where every gate of every role lies, tensor by tensor."""
        return tuple(self._homes.values())

    def shape(self, home: Home) -> tuple[int, ...]:
        """The canonical shape of a gate, from the sizes alone."""
        weights = self[home.place]
        sizes = {"unit": weights.unit, "feature": weights.feature, "hidden": weights.hidden, "state": weights.unit}
        return tuple(sizes[axis] for axis in ROLE_AXES[home.role])

    def native(self, layer: int, direction: str, role: str, gate: str = "") -> Any:
        """One gate as the framework's own tensor, in canonical axes, with its history: gradients go through it.  Raises
        UsageError for what is not there."""
        weights = self[layer, direction]
        if role not in weights.roles:
            near = nearest(role, weights.roles, 1) if isinstance(role, str) else ""
            raise UsageError(
                f"this layer has no role {role!r}.", next=f"{near} It has {', '.join(weights.roles)}.".strip()
            )
        home = self.home(int(layer) % self.num_layers, direction, role, weights.roles[role]._known(gate))
        return self.weight_of(home).native_cut(lambda tensor: home.slot(self.match, tensor).read())

    def chosen(self, selector: Selector) -> list[Home]:
        """Where everything lies that a selector chooses.  Raises UsageError as the selector does."""
        return [self.home(each.layer, each.direction, each.role, each.gate) for each in selector.of(self)]

    def write(self, values: Mapping[Home, Any]) -> None:
        """Write several gates, each tensor once.  Nothing is written when one value does not fit.  Raises UsageError."""
        write_all([(self, values)])

    @property
    def tied(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the layer's weights that are one tensor with others in the object that was given: writing the one
        writes them all."""
        return self.holder.tied

    def _writable(self, place: tuple[int, str], weights: Weights) -> Weights:
        """The cell with what its assignments call."""
        for role, gates in weights.roles.items():
            gates.writers = {gate: self._writer(self._homes[place, role, gate]) for gate in gates}  # type: ignore[attr-defined]

        def write(role: str, value: Any) -> None:
            self.write({self._homes[place, role, gate]: value for gate in weights.roles[role]})

        cell = LiveWeights(weights.unit, weights.feature, weights.hidden, weights.dtype, weights.roles)
        cell.__dict__["write"] = write
        return cell

    def fitting(self, values: Mapping[Home, Any]) -> dict[Home, Array]:
        """Values as arrays that :meth:`write` takes.  Raises UsageError for one that does not fit, and writes nothing."""
        for home in values:
            if not isinstance(home, Home):
                raise UsageError(
                    f"{home!r} is no place of a gate.", next='Write by name: live[0, "forward"].bias["f"] = value.'
                )
        return {home: self._fitting(home, value) for home, value in values.items()}

    def require_writing(self) -> None:
        """Raises UsageError where what is written to the weights reaches no output."""
        error = self.holder.writing_refused()
        if error is not None:
            raise error

    def _told(self, weight: Weight) -> None:
        """After a change in place, which the framework did not see."""
        weight.assign(weight.array())
        self.require_writing()

    def _reader(self, home: Home) -> Callable[[], Array]:
        def read() -> Array:
            weight = self.weight_of(home)
            slot = home.slot(self.match, weight.array())
            view: Array = slot.read()
            if weight.shared and not slot.relabel:
                return watched(view, lambda: self._told(weight))
            view.flags.writeable = False  # writing here would change a copy
            return view

        return read

    def _writer(self, home: Home) -> Callable[[Any], None]:
        return lambda value: self.write({home: value})

    def _fitting(self, home: Home, value: Any) -> Array:
        """A value as an array that can be written there."""
        import numpy as np

        axes, wanted = ROLE_AXES[home.role], self.shape(home)
        within = f" of {self.name}" if self.name else ""
        what = f"{home.role}{f'[{home.gate!r}]' if home.gate else ''} of layer {home.layer} ({home.direction}){within}"
        try:
            array = self.holder.numpy(value)
            number = array.dtype.kind in "fiub" or "float" in array.dtype.name
        except (TypeError, ValueError):
            number = False
        if not number:
            raise UsageError(f"{what} takes numbers, not {value!r:.60}.")
        if array.shape not in ((), wanted):
            told = " × ".join(f"{size} {axis}s" for size, axis in zip(wanted, axes, strict=True))
            raise UsageError(
                f"{what} has shape {list(wanted)} ({told}); the value has {list(array.shape)}.",
                next=_transposed(array.shape, wanted),
            )
        self._check_room(what, array)
        # The array may be a view of what is about to be written (b["f"] = b["i"]): it is read before anything changes.
        fitting: Array = np.broadcast_to(array, wanted).copy()
        return fitting

    def _check_room(self, what: str, array: Array) -> None:
        """A finite number that would become infinite in the layer's dtype is refused; infinite ones are as they were asked."""
        import numpy as np

        if self.match.dtype in _TOO_LARGE and array.dtype.kind in "fiu":
            finite = np.abs(array[np.isfinite(array)].astype(np.float64))
            largest = float(finite.max(initial=0.0))
            if largest >= _TOO_LARGE[self.match.dtype]:
                raise UsageError(
                    f"{what} is {self.match.dtype}, which cannot hold {largest:g}: it would become infinite."
                )

    # The framework beside the reference.

    def run(self, x: Array, state: Any = None) -> tuple[Array, tuple[Array, ...] | None]:
        """The framework's own forward run (``gw.run`` is the reference's).  x [batch, time, feature]."""
        if not self.whole:
            raise UsageError(f"{self.name} is part of a larger object, which cannot be called for it alone.")
        x, given = checked(self, x, state)
        if next(self._ways(), None) is None:
            return self.holder.run(x, given)
        if self.holder.way is None:
            self.prove()
        way = self.holder.way
        assert way is not None  # proving finds it
        if given is not None and not way.stated:
            raise UsageError(f"{self.name or 'the layer'} takes no state ({way.how}).", next="Leave the state out.")
        found: tuple[Array, tuple[Array, ...] | None] = next(way.call(x, given or self._zeros(len(x))))
        return found

    def prove(self, tolerance: float | None = None) -> Proof:
        """Run the framework and the reference on the same input and compare.  Raises ProofFailed where they differ."""
        computed_in = self.holder.precision or self.match.dtype
        allowed = tolerance_of(computed_in, self._width) if tolerance is None else tolerance
        against = f"{self.holder.framework} {self.holder.version}".strip()
        if next(self._ways(), None) is not None:
            ways = self._ways() if self.holder.way is None else [self.holder.way]
            proof, self.holder.way = believed(self, self.match.layout, ways, against, allowed)
            return proof
        ran = run_of(self)
        y, final = self.run(ran.x, ran.state)
        proof = compared(self, ran, y, final, against, allowed)
        if not proof.same:
            raise ProofFailed(
                f"{self.name or 'the layer'} computes something else than {self.layout} with these weights: "
                f"max |Δ| = {proof.max_abs_error:.3g}, allowed {proof.tolerance:g}.",
                next="Is the layout, its gate order or its dialect another? Say it with layout=.",
            )
        return proof

    def _ways(self) -> Iterator[Way]:
        return self.holder.ways(states_of(self.cell), len(self.cells)) if self.whole else iter(())

    def _zeros(self, batch: int) -> tuple[Array, ...]:
        """States of zeros, as :func:`gw.run` takes them."""
        import numpy as np

        return tuple(
            stacked([np.zeros((batch, w.hidden if letter == "h" else w.unit)) for _, w in self])
            for letter in states_of(self.cell)
        )

    @property
    def _width(self) -> int:
        return max(weights.feature + weights.hidden for _, weights in self)


def write_all(values: Sequence[tuple[Live, Mapping[Home, Any]]]) -> None:
    """Write gates of several layers: all of them, or where one value does not fit or is refused none.  Raises UsageError."""
    checked = [(live, live.fitting(of_live)) for live, of_live in values]
    for live, _ in checked:
        live.require_writing()
    _refuse_two_values(checked)
    todo = [
        (live, live.holder.weights[name], of_live)
        for live, of_live in checked
        for name in dict.fromkeys(home.name for home in of_live)
    ]
    undo: list[Callable[[], None]] = []
    try:
        for live, weight, of_live in sorted(todo, key=lambda each: not each[1].fallible):  # what may refuse comes first
            if weight.fallible and len(todo) > 1:
                undo.append(weight.restorer())
            with weight.edit() as array:
                for home, value in of_live.items():
                    if home.name == weight.name:
                        home.slot(live.match, array).write(value)
    except BaseException:
        for restore in reversed(undo):
            restore()
        raise


def _refuse_two_values(checked: Sequence[tuple[Live, Mapping[Home, Array]]]) -> None:
    """Tied weights are one: what is written to two of their names must be the same."""
    import numpy as np

    first: dict[tuple[str, str, str], tuple[Home, Array]] = {}
    tied = [(live.tied, home, value) for live, of_live in checked if live.tied for home, value in of_live.items()]
    for names, home, value in tied:
        if home.name not in names:
            continue
        one = min((home.name, *names[home.name]))
        other, written = first.setdefault((one, home.role, home.gate), (home, value))
        if not np.array_equal(written, value):
            raise UsageError(
                f"{other.name} and {home.name} are one tensor (tied), which cannot hold two values.",
                next="Write one of them; the other has it too.",
            )


def _transposed(found: tuple[int, ...], wanted: tuple[int, ...]) -> str | None:
    return "Transpose it." if found == wanted[::-1] and len(wanted) == 2 else None


class LiveModel:
    """The recurrent layers of an object in memory, by name; ``gw.of`` gives it where there are several.

    ``model.layers``, ``model["encoder.lstm"]``, iteration.  ``result`` is as :attr:`Live.result`.
    """

    def __init__(self, subject: Any, layers: list[Live], unread: Sequence[Unread] = ()):
        self.subject = subject
        self.layers = layers
        self._unread = unread

    def __iter__(self) -> Iterator[Live]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> Live:
        """The layer of this name, or the only one whose path ends so.  Raises UsageError listing them."""
        names = [layer.name for layer in self.layers]
        if not isinstance(name, str):
            raise UsageError(f"this model has {len(names)} recurrent layers.", next=f"Name one: {few(names)}.")
        exact = [layer for layer in self.layers if layer.name == name]
        ending = [layer for layer in self.layers if layer.name.endswith((f".{name}", f"/{name}"))]
        for found in (exact, ending):
            if len(found) == 1:
                return found[0]
        for left in self._unread:
            if left.path == name:
                raise UsageError(f"{name} cannot be read: {left}.", next=left.instead)
        raise UsageError(
            f"no recurrent layer is called {name!r}.",
            next=f"{nearest(name, names)} They are {few(map(repr, names))}.".strip(),
        )

    @property
    def result(self) -> Any:
        """The object with all that was written: itself, or the new one of a framework whose objects never change."""
        return self.layers[0].result if self.layers[0].holder.functional else self.subject

    def __repr__(self) -> str:
        return f"<LiveModel of {len(self.layers)} recurrent layers: {few(layer.name for layer in self.layers)}>"


def plain(live: Live) -> Stack:
    """The layer as a stack that only reads."""
    return Stack(live.cell, live.cells, live.dialect, name=live.name, layout=live.layout)
