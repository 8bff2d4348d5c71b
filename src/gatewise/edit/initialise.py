"""Weights made anew, gate by gate: every gate's matrix is one of its own, whatever tensor it lies in.

Fan-in and fan-out, orthogonality and random numbers are those of a gate's canonical matrix [unit, feature].  Every gate has
random numbers of its own, told by seed, layer, direction, role and gate: one seed gives the same layer in every framework,
and a gate is the same whatever else is chosen.  Not known here: any framework.

Sources: Glorot & Bengio 2010; He et al. 2015; Saxe, McClelland & Ganguli 2014 (orthogonal); Le, Jaitly & Hinton 2015
(identity); Tallec & Ollivier 2018 (chrono); torch/nn/modules/rnn.py (``reset_parameters``); keras/layers/rnn/lstm.py (defaults).
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, nearest
from ..layouts._code import Home
from ..live import Live
from ..selection import Numbers, Selector, Words
from ._layers import called, chosen_in, layers_of, place, reached, written
from .forget_bias import forgetting

if TYPE_CHECKING:
    from ..tensors import Array

Shape = tuple[int, ...]
Rule = Callable[["Random", Shape], "Array"]
Seeded = Callable[[Home], "Random"]
How = str | float | Callable[[Shape], Any]


class Random:
    """The random numbers of one gate: the same on every machine."""

    def __init__(self, seed: int, gate: str):
        import numpy as np

        self.generator = np.random.default_rng([seed, zlib.crc32(gate.encode())])

    def uniform(self, bound: float, shape: Shape) -> Array:
        return self.generator.uniform(-bound, bound, shape)

    def normal(self, deviation: float, shape: Shape) -> Array:
        return self.generator.normal(0.0, deviation, shape)


def _orthogonal(random: Random, shape: Shape) -> Array:
    """Rows or columns of length one at right angles, whichever there are fewer of; uniform over all such matrices."""
    import numpy as np

    rows, columns = _matrix(shape, "orthogonal")
    q, r = np.linalg.qr(random.normal(1.0, (max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # QR's own signs would favour some (Mezzadri 2007)
    return q if rows >= columns else q.T


def _identity(_: Random, shape: Shape) -> Array:
    import numpy as np

    return np.eye(*_matrix(shape, "identity"))


def _matrix(shape: Shape, how: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise UsageError(
            f"{how} is for matrices, and one of the chosen gates has shape {list(shape)}.",
            next='Choose kernels: role=["kernel", "recurrent_kernel"].',
        )
    return shape[0], shape[1]


def _fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a gate [unit, feature]; of a bias its length twice."""
    return (shape[-1], shape[0]) if len(shape) == 2 else (shape[0], shape[0])


def _zeros(_: Random, shape: Shape) -> Array:
    import numpy as np

    return np.zeros(shape)


HOWS: dict[str, Rule] = {
    "orthogonal": _orthogonal,
    "identity": _identity,
    "zeros": _zeros,
    "ones": lambda _, shape: _zeros(_, shape) + 1.0,
    "xavier_uniform": lambda random, shape: random.uniform(math.sqrt(6.0 / sum(_fans(shape))), shape),
    "xavier_normal": lambda random, shape: random.normal(math.sqrt(2.0 / sum(_fans(shape))), shape),
    "kaiming_uniform": lambda random, shape: random.uniform(math.sqrt(6.0 / _fans(shape)[0]), shape),
    "kaiming_normal": lambda random, shape: random.normal(math.sqrt(2.0 / _fans(shape)[0]), shape),
    "uniform": lambda random, shape: random.uniform(1.0, shape),
    "normal": lambda random, shape: random.normal(1.0, shape),
}
_ALSO = {"xavier": "xavier_uniform", "glorot": "xavier_uniform", "glorot_uniform": "xavier_uniform", "glorot_normal": "xavier_normal", "he_uniform": "kaiming_uniform", "he_normal": "kaiming_normal"}  # fmt: skip


def initialise(
    subject: Any, how: How, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None, *,
    seed: int = 0, gain: float = 1.0, max_length: int | None = None,
) -> Any:  # fmt: skip
    """Make the chosen gates anew, each gate's matrix by itself.

    ``how``   "orthogonal", "identity", "zeros", "ones", "xavier_uniform" ("glorot_uniform"), "xavier_normal",
              "kaiming_uniform", "kaiming_normal", "uniform" in ±1, "normal" of deviation 1; each times ``gain``; a number;
              or a function of the gate's shape ([unit, feature], [unit, hidden], [unit]) giving an array.
              Recipes for whole layers: "torch" (uniform in ±1/√unit), "keras" (kernels glorot_uniform, recurrent kernels
              orthogonal, biases zero, forget biases one) and "chrono" (forget and input biases for memories up to
              ``max_length`` steps; touches no other weight)
    ``role``, ``gate``, ``layer``, ``direction``  as :func:`gw.select`; None for all
    ``seed``  the same numbers for the same sizes, in every framework

    Per gate: orthogonal and the fans are those of one gate's matrix.  torch's and Keras's own functions see the tensor in
    which all gates lie, so Keras's "recurrent kernel" is one orthogonal matrix and not four.
    Gives the object back, or the new one of a framework whose objects never change.  Raises UsageError, and changes nothing.
    """
    if not (isinstance(how, str | float | int) or callable(how)):
        raise UsageError(
            f"how is {how!r:.60}.", next=f"It is a name ({', '.join(_known())}), a number, or a function of the shape."
        )
    layers, selector = layers_of(subject), Selector(role, gate, layer, direction)
    if how == "chrono":
        if role is not None or gate is not None:
            raise UsageError("chrono sets the biases of the forget and input gates.", next="Leave role and gate out.")
        able = _able(layers, seed)
        within = reached([live for live, _ in able], selector)
        plans = [(live, _chrono(live, selector, seeded, max_length)) for live, seeded in able if id(live) in within]
        return written(subject, layers, plans)
    recipe = _RECIPES.get(how) if isinstance(how, str) else None
    seeds = {id(live): seeded for live, seeded in _seeded(layers, seed)}
    return written(subject, layers, [
        (live, {home: (recipe(live, home) if recipe else _rule(how, gain))(seeds[id(live)](home), live.shape(home)) for home in homes})
        for live, homes in chosen_in(layers, selector)
    ])  # fmt: skip


def _seeded(layers: Sequence[Live], seed: int) -> Iterator[tuple[Live, Seeded]]:
    """Each layer with what gives its gates their random numbers; a model's layers are counted through."""
    before = 0
    for live in layers:
        yield live, functools.partial(_random, seed, before)
        before += live.num_layers


def _random(seed: int, before: int, home: Home) -> Random:
    return Random(seed, f"{before + home.layer} {home.direction} {home.role} {home.gate}")


def _able(layers: Sequence[Live], seed: int) -> list[tuple[Live, Seeded]]:
    """The layers with a forget gate."""
    able = [(live, seeded) for live, seeded in _seeded(layers, seed) if forgetting(live)]
    if not able:
        raise UsageError(f"{called(layers[0])} has no forget gate for chrono to set.", next="It is for LSTMs.")
    return able


def _rule(how: How, gain: float) -> Rule:
    import numpy as np

    if callable(how):
        return lambda _, shape: how(shape)
    if isinstance(how, (int, float)):
        return lambda _, shape: np.full(shape, float(how))
    name = _ALSO.get(how, how)
    if name not in HOWS:
        known = _known()
        raise UsageError(f"no way of initialising is called {how!r}.", next=f"{nearest(how, known)} Known: {', '.join(known)}, a number, or a function of the shape.".strip())  # fmt: skip
    return lambda random, shape: gain * HOWS[name](random, shape)


def _known() -> list[str]:
    return [*HOWS, *_RECIPES, "chrono"]


# Recipes: a rule for each role.


def _as_torch(live: Live, home: Home) -> Rule:
    bound = 1.0 / math.sqrt(live[home.place].unit)
    return lambda random, shape: random.uniform(bound, shape)


def _as_keras(live: Live, home: Home) -> Rule:
    rules = {"kernel": "xavier_uniform", "projection": "xavier_uniform", "recurrent_kernel": "orthogonal"}
    found = forgetting(live)
    roles = found.roles(live[home.place]) if found and home.gate == found.gate else []
    if found and home.role in roles[:1]:  # the first of the biases that are added up takes it
        return lambda _, shape: _zeros(_, shape) + found.sign * (1.0 - found.added)
    return HOWS[rules.get(home.role, "zeros")]


_RECIPES: dict[str, Callable[[Live, Home], Rule]] = {"torch": _as_torch, "keras": _as_keras}


def _chrono(live: Live, selector: Selector, seeded: Seeded, max_length: int | None) -> dict[Home, Any]:
    """b_f = log(U(1, T - 1)), b_i = -b_f, so that memories last between 1 and T steps (Tallec & Ollivier 2018, §3)."""
    import numpy as np

    found = forgetting(live)
    if max_length is None or max_length < 3:
        raise UsageError("chrono wants the longest dependency in steps, at least 3.", next="Say max_length=784, or so.")
    values: dict[Home, Any] = {}
    for at in dict.fromkeys((each.layer, each.direction) for each in selector.of(live)):
        roles = found.roles(live[at]) if found else []
        if not found or not roles:
            raise UsageError(f"{called(live)}, {place(*at)}, has no bias for chrono to set.")
        first, *others = roles
        home = live.home(*at, first, found.gate)
        forget = np.log(seeded(home).generator.uniform(1.0, max_length - 1.0, live[at].unit))
        wanted = {found.gate: found.sign * (forget - found.added)}
        if found.gate == "f" and "i" in live[at].role(first):
            wanted["i"] = -forget
        for gate, value in wanted.items():
            values[live.home(*at, first, gate)] = value
            values |= {live.home(*at, role, gate): 0.0 for role in others}
    return values
