"""Selectors: what they choose, and how wrong use is told."""

from __future__ import annotations

import pytest

from gatewise.errors import UsageError
from gatewise.layouts import layout
from gatewise.pairs import Specimen
from gatewise.selection import Chosen, Selector
from gatewise.weights import Stack


@pytest.fixture
def stack() -> Stack:
    return Specimen(layout("torch.LSTM"), {}, frozenset({"biases"}), layers=3, directions=2).stack()


def test_nothing_said_is_everything(stack: Stack) -> None:
    assert len(Selector().of(stack)) == 3 * 2 * 4 * 4


def test_all_that_is_said_must_hold(stack: Stack) -> None:
    found = Selector(role="recurrent_kernel", gate="f", layer=-1, direction="reverse").of(stack)
    assert found == [Chosen(2, "reverse", "recurrent_kernel", "f")]


@pytest.mark.parametrize("gate", ["if", ["i", "f"], ["forget", "input"]])
def test_several_gates_are_said_together_or_apart_or_by_title(stack: Stack, gate: object) -> None:
    found = Selector(role="bias", gate=gate, layer=0, direction="forward").of(stack)  # type: ignore[arg-type]
    assert [each.gate for each in found] == ["i", "f"]


def test_a_gate_excludes_roles_that_have_none() -> None:
    stack = Specimen(layout("torch.LSTM"), {}, frozenset({"projection"})).stack()
    assert {each.role for each in Selector(gate="f").of(stack)} == {"kernel", "recurrent_kernel"}
    assert Selector(role="projection").of(stack) == [Chosen(0, "forward", "projection", "")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"role": "recurent_kernel"}, "Did you mean recurrent_kernel"),
        (
            {"gate": "z"},
            "the cell lstm has no gate 'z'. Its gates are f (forget), g (cell candidate), i (input), o (output).",
        ),
        ({"gate": "forgot"}, "Did you mean forget"),
        ({"layer": 3}, "Layers are 0 to 2"),
        ({"direction": "backward"}, "It has forward, reverse"),
        ({"role": "projection"}, "matches nothing"),
    ],
    ids=lambda value: str(value),
)
def test_wrong_words_are_told_with_what_would_do(stack: Stack, said: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Selector(**said).of(stack)  # type: ignore[arg-type]
    assert told in str(caught.value)
