"""Calls that are off, told kindly: what was given, what there is, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import GatewiseError, PhraseError, UsageError


def tree(layers: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for layer in range(layers):
        found |= {
            f"weight_ih_l{layer}": np.zeros((12, 3), np.float32), f"weight_hh_l{layer}": np.zeros((12, 3), np.float32),
            f"bias_ih_l{layer}": np.zeros(12, np.float32), f"bias_hh_l{layer}": np.zeros(12, np.float32),
        }  # fmt: skip
    return found


def test_numpys_numbers_are_numbers_of_layers() -> None:
    live = gw.of(tree(2))
    assert live[np.int64(1), "forward"] is live[1, "forward"]
    assert len(gw.select(live, layer=np.int64(1))) == len(gw.select(live, layer=1))
    assert len(gw.select(live, layer=np.array([0, 1]))) == len(gw.select(live))
    assert live.native(np.int64(-1), "forward", "bias", "forget").shape == (3,)


def test_titles_are_names_of_gates() -> None:
    live = gw.of(tree())
    live[0, "forward"].bias["forget"] = 2.0
    assert live[0, "forward"].bias["f"].tolist() == live[0, "forward"].bias["forget"].tolist() == [2.0] * 3
    assert "forget" in live[0, "forward"].bias
    assert live[0, "forward"].bias.get("reset") is None


def test_a_file_is_only_read(tmp_path: Any) -> None:
    np.savez(tmp_path / "w.npz", **tree())
    with pytest.raises(UsageError, match=r"only read.*gw.of"):
        gw.open(tmp_path / "w.npz").only()[0, "forward"].kernel["f"] = 1.0


def test_what_a_dtype_cannot_hold_is_refused_and_infinity_is_written_as_asked() -> None:
    live = gw.of(tree())
    bias = live[0, "forward"].bias
    with pytest.raises(UsageError, match="float32, which cannot hold 1e\\+300"):
        bias["f"] = 1e300
    assert bias["f"].tolist() == [0.0] * 3
    for value in (np.inf, np.nan, 3.4028235e38):
        bias["f"] = value
        assert np.array_equal(live[0, "forward"].bias["f"], np.full(3, value, np.float32), equal_nan=True)


def test_a_layout_that_nothing_proves_is_told() -> None:
    assert "believed as it was given" in " ".join(gw.of(tree(), layout="torch.LSTM").assumed)
    assert "believed" not in " ".join(gw.of(tree()).assumed)


def test_a_repair_without_a_name_says_what_python_takes(tmp_path: Any) -> None:
    np.savez(tmp_path / "w.npz", **tree())
    with pytest.raises(UsageError, match=r"NEW\.pt"):
        gw.repair(tmp_path / "w.npz")


OFF: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a layer that is a fraction": (lambda live: gw.select(live, layer=1.0), "whole number"),  # type: ignore[arg-type]
    "a layer that is a slice": (lambda live: gw.select(live, layer=slice(0, 1)), "whole number"),  # type: ignore[arg-type]
    "a role that is a number": (lambda live: gw.select(live, role=3), "role=3"),  # type: ignore[arg-type]
    "a run of the object itself": (lambda _live: gw.run(object(), np.zeros((1, 1, 3))), "gw.of"),  # type: ignore[arg-type]
    "a run of a text": (lambda live: gw.run(live, "abc"), "numbers"),
    "saving the object itself": (lambda _live: gw.save(object(), "x.pt"), "gw.of"),  # type: ignore[call-overload]
    "a native role that is misspelled": (lambda live: live.native(0, "forward", "bia", "f"), "Did you mean bias"),
    "a native layer that is not there": (lambda live: live.native(7, "forward", "bias", "f"), "It has one, layer 0"),
    "a gate that is misspelled": (lambda live: live[0, "forward"].bias["forgt"], "Did you mean forget"),
    "a direction that is misspelled": (lambda live: live[0, "forwrd"], "Did you mean forward"),
    "three words for a place": (lambda live: live[1, "reverse", "x"], "names no layer"),
    "writing to a text": (lambda live: live.write({"x": 1}), "no place"),
    "running with other features": (lambda live: live.run(np.zeros((1, 2, 9))), "the layer takes 3"),
    "running with a state too few": (lambda live: live.run(np.zeros((1, 2, 3)), [np.zeros((1, 1, 3))]), "2 initial"),
    "a layout that is a number": (lambda _live: gw.of(tree(), layout=3), "layout is 3"),  # type: ignore[arg-type]
    "a layout that is a dict": (lambda _live: gw.of(tree(), layout={}), "layout is {}"),  # type: ignore[arg-type]
    "a class described by a number": (lambda _live: gw.described_by(3), "layout is 3"),  # type: ignore[arg-type]
    "a class": (lambda _live: gw.of(dict), "is a class"),
    "nothing": (lambda _live: gw.of(None), "gw.of\\(model\\)"),
    "one array": (lambda _live: gw.of(np.zeros(3)), "one array"),
    "a list of arrays": (lambda _live: gw.of(list(tree().values())), "no names"),
}  # fmt: skip


@pytest.mark.parametrize("case", OFF)
def test_a_call_that_is_off_is_told(case: str) -> None:
    call, told = OFF[case]
    with pytest.raises(UsageError, match=told):
        call(gw.of(tree()))


@pytest.mark.parametrize("parts", ["w", (), (3,), None])
def test_a_layout_without_parts_is_told(parts: Any) -> None:
    with pytest.raises(PhraseError, match=r"gw\.Part"):
        gw.Layout("mine", "lstm", "ifgo", parts=parts)


def test_a_part_without_a_phrase_is_told() -> None:
    with pytest.raises(GatewiseError, match="must be a text"):
        gw.Part("w", "kernel", None)  # type: ignore[arg-type]


def test_the_command_line_says_its_own_words(tmp_path: Any, capsys: Any) -> None:
    from gatewise.cli import main

    np.savez(tmp_path / "w.npz", **tree())
    assert main(["repair", str(tmp_path / "w.npz")]) == 2
    assert "a repaired file is a new file. Name it: -o OUT." in capsys.readouterr().err
