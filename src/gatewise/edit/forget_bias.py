"""The forget bias as the cell sees it, whatever the framework adds up to make it.

The effective forget bias is what f's sigmoid is given when x and h are zero: torch and cuDNN add two biases, Haiku and TF1
add a number at run time, a coupled f is 1 - i and so has i's bias negated, 1 - s(b) = s(-b).  Not known here: frameworks.

Gers, Schmidhuber & Cummins 2000 (the forget gate, opened at the start); Jozefowicz, Zaremba & Sutskever 2015 (a bias of 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import UsageError
from ..layouts._code import Home
from ..live import Live
from ..record import record
from ..selection import Numbers, Selector, Words
from ..weights import Dialect, Weights, hard_sigmoid_slope
from ._layers import called, layers_of, place, reached, written

_GATES = {"lstm": "f", "slstm": "f", "ugrnn": "z"}  # cell → the gate that keeps the old state, where one does only that
_BIASES = ("bias", "recurrent_bias")


@record
class Forgetting:
    """Where a cell's forget bias comes from: the biases of ``gate`` times ``sign``, and ``added`` at run time."""

    gate: str
    sign: float = 1.0
    added: float = 0.0

    def effective(self, weights: Weights) -> Any:
        """What f is given of its own accord [unit], float64."""
        import numpy as np

        held = [np.asarray(weights.role(role)[self.gate], np.float64) for role in self.roles(weights)]
        return self.sign * sum(held, np.zeros(weights.unit)) + self.added

    def roles(self, weights: Weights) -> list[str]:
        """The biases that are added up."""
        return [role for role in _BIASES if self.gate in weights.role(role)]


def forgetting(live: Live) -> Forgetting | None:
    """Where the forget bias of a layer's cells comes from; None for a cell that has no forget gate."""
    dialect, gate = live.dialect, _GATES.get(live.cell)
    if gate is None or dialect.update == "writes":
        return None
    if dialect.coupled == "f":
        return Forgetting("i", sign=-1.0) if _turns_round(dialect) else None
    return Forgetting(gate, added=dialect.forget_bias)


def _turns_round(dialect: Dialect) -> bool:
    """1 - s(x) = s(-x)?"""
    gates = dialect.recurrent_activation or ""
    return gates == "sigmoid" or hard_sigmoid_slope(gates) is not None


def set_forget_bias(subject: Any, value: Any = 1.0, layer: Numbers = None, direction: Words = None) -> Any:
    """Make the effective forget bias ``value``, in every layer and direction, or those that are named.

    ``subject``  a layer, model or tree of parameters in memory, or what :func:`gw.of` gave
    ``value``    a number, or [unit]
    ``layer``, ``direction``  counted within each stack: 0, -1, [0, 2]; "forward", "reverse"

    Of two biases the first becomes the value and the second zero; what is added at run time is subtracted first, which may
    round once.  Peepholes stay.  In a model, layers without a forget gate are left as they are, and so are those that have no such layer
    or direction.
    Gives the object back, or the new one of a framework whose objects never change.  Raises UsageError where there is no
    forget gate or no bias, and changes nothing then.
    """
    layers = layers_of(subject)
    able = [(live, found) for live in layers if (found := forgetting(live)) is not None]
    if not able:
        raise _no_forget_gate(layers[0])
    selector = Selector(layer=layer, direction=direction)
    within = reached([live for live, _ in able], selector)
    plans = [(live, dict(_plan(live, found, value, selector))) for live, found in able if id(live) in within]
    return written(subject, layers, plans)


def _plan(live: Live, found: Forgetting, value: Any, selector: Selector) -> Iterator[tuple[Home, Any]]:
    import numpy as np

    for at in dict.fromkeys((each.layer, each.direction) for each in selector.of(live)):
        roles = found.roles(live[at])
        if not roles:
            raise UsageError(
                f"{called(live)}, {place(*at)}, has no bias, so its forget bias is {found.added:g} and stays so.",
                next="Make the layer with biases (torch: bias=True; Keras: use_bias=True).",
            )
        first, *others = [live.home(*at, role, found.gate) for role in roles]
        wanted = np.asarray(live.fitting({first: value})[first], np.float64)
        yield first, found.sign * (wanted - found.added)
        yield from ((home, 0.0) for home in others)


def _who(live: Live) -> str:
    """``encoder, a GRU,`` or ``the GRU``."""
    article = "an" if live.cell[0] in "lmrs" else "a"  # as the letters are said: an LSTM, an RNN
    return f"{live.name}, {article} {live.cell.upper()}," if live.name else f"the {live.cell.upper()}"


def _no_forget_gate(live: Live) -> UsageError:
    if live.dialect.coupled == "f":
        return UsageError(
            f"the forget gate of {called(live)} is 1 minus its input gate, and its activation "
            f"{live.dialect.recurrent_activation} has no bias that says so."
        )
    told = {
        "gru": "its update gate z keeps the old state or takes the new one",
        "ugrnn": "its gate z takes the new state",
        "mgu": "its only gate f also resets the state",
        "rnn": "it has no gates at all",
    }
    keeps = live.dialect.update == "keeps" and live.cell == "gru"
    sign = "1.0" if keeps else "-1.0"
    return UsageError(
        f"{_who(live)} has no forget gate: {told.get(live.cell, 'nothing in it forgets')}.",
        next=f'To make it remember longer, set that one: gw.of(…)[0, "forward"].bias["z"] = {sign}.' if live.cell == "gru" else None,
    )  # fmt: skip
