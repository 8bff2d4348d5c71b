"""Proofs of whole files: what is large is proved by a sample and by every number, and nothing slips through."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import safetensors, torch_arrays

import gatewise as gw
from gatewise.checkpoint import _convert, _unit
from gatewise.errors import ProofFailed, UsageError
from gatewise.proof import _sample, _ways

UNITS = 48
FAR = next(unit for unit in range(UNITS) if unit not in _sample._some(UNITS, 0))  # a unit that no sample runs


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as large."""
    monkeypatch.setattr(_ways, "WHOLE", 0)


def lstm(layers: int = 1, cell: str = "lstm", **options: Any) -> dict[str, Any]:
    return torch_arrays(cell, UNITS, UNITS, layers, 2, prefix="rnn.", **options)


def apart(count: int) -> dict[str, Any]:
    """Layers of one kind, each by itself."""
    made = (torch_arrays("lstm", UNITS, UNITS, prefix=f"rnn{number:02d}.", seed=number) for number in range(count))
    return {name: array for arrays in made for name, array in arrays.items()}


def test_a_small_file_is_run_whole(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", lstm())
    proof = gw.convert(tmp_path / "a.safetensors", tmp_path / "b.npz").proof
    assert proof is not None
    assert (proof.units, proof.whole) == ((2 * UNITS, 2 * UNITS), True)


@pytest.mark.usefixtures("large")
def test_a_large_file_is_run_in_part_and_every_number_is_compared(tmp_path: Path) -> None:
    arrays = lstm(2)
    safetensors(tmp_path / "a.safetensors", arrays)
    for suffix, changed in ((".npz", 0), (".keras", 4 * 4 * UNITS)):  # Keras has one bias for two
        proof = gw.convert(tmp_path / "a.safetensors", tmp_path / f"b{suffix}").proof
        assert proof is not None
        count = sum(array.size for array in arrays.values()) - changed
        assert proof.numbers == (count - changed, changed, count)
        assert proof.units is not None
        assert 0 < proof.units.run < proof.units.of == 4 * UNITS


@pytest.mark.usefixtures("large")
def test_a_full_proof_of_a_large_file_can_be_asked_for_and_a_sample_of_any(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", lstm())
    full = gw.convert(tmp_path / "a.safetensors", tmp_path / "b.npz", verify="full").proof
    assert full is not None
    assert full.whole
    sample = gw.verify(tmp_path / "a.safetensors", tmp_path / "b.npz", verify="sample")
    assert (sample.same, sample.whole) == (True, False)
    assert gw.verify(tmp_path / "a.safetensors", tmp_path / "b.npz", verify="full").whole
    assert gw.save(gw.open(tmp_path / "a.safetensors").layers[0], tmp_path / "c.npz", verify="full").whole


@pytest.mark.parametrize("way", [True, "full", "sample"])
@pytest.mark.parametrize("dtype", [None, pytest.param("float16", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("large")
def test_a_bit_that_changes_in_the_written_file_is_found(
    way: bool | str, dtype: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safetensors(tmp_path / "a.safetensors", lstm())
    check = _convert.check
    places = iter(range(12))

    def spoiled(written: Path, *more: Any) -> Any:
        raw = bytearray(Path(written).read_bytes())
        begin = 8 + int.from_bytes(raw[:8], "little")
        raw[begin + next(places) * (len(raw) - begin - 1) // 11] ^= 0x44  # a bit of the mantissa, or of the exponent
        Path(written).write_bytes(raw)
        return check(written, *more)

    monkeypatch.setattr(_convert, "check", spoiled)
    for _ in range(12):
        with pytest.raises(ProofFailed):
            gw.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype=dtype, verify=way)
        assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.usefixtures("large")
def test_one_number_anywhere_makes_two_files_differ_and_a_sample_says_that_not_all_agree(tmp_path: Path) -> None:
    arrays = lstm()
    safetensors(tmp_path / "a.safetensors", arrays)
    arrays["rnn.weight_ih_l0"] = arrays["rnn.weight_ih_l0"].copy()
    arrays["rnn.weight_ih_l0"][FAR, 5] += 0.25
    safetensors(tmp_path / "b.safetensors", arrays)
    whole = gw.verify(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert (whole.same, whole.whole) == (False, True)
    sample = gw.verify(tmp_path / "a.safetensors", tmp_path / "b.safetensors", verify="sample")
    assert sample.same
    assert sample.numbers is not None
    assert sample.numbers.of - sample.numbers.equal == 1, "numbers are counted, not gates"


@pytest.mark.usefixtures("large")
def test_of_many_layers_of_one_kind_eight_are_run_and_every_number_of_all_is_compared(tmp_path: Path) -> None:
    arrays = apart(20)
    safetensors(tmp_path / "a.safetensors", arrays)
    proof = gw.verify(tmp_path / "a.safetensors", tmp_path / "a.safetensors")
    assert proof.units == (8 * len(_sample._some(UNITS, 0)), 20 * UNITS)
    assert proof.numbers is not None
    assert proof.numbers.equal == sum(array.size for array in arrays.values())
    for name in ("rnn01.weight_hh_l0", "rnn08.bias_ih_l0", "rnn19.weight_ih_l0"):
        changed = arrays | {name: arrays[name] * np.float32(1.5)}
        safetensors(tmp_path / "b.safetensors", changed)
        for way in (True, "sample"):
            found = gw.verify(tmp_path / "a.safetensors", tmp_path / "b.safetensors", verify=way)
            assert not found.same, (name, way)


@pytest.mark.usefixtures("large")
def test_layers_that_change_places_are_found(tmp_path: Path) -> None:
    arrays = apart(20)
    safetensors(tmp_path / "a.safetensors", arrays)
    turned = {
        name.replace("rnn05", "x").replace("rnn06", "rnn05").replace("x", "rnn06"): arrays[name] for name in arrays
    }
    safetensors(tmp_path / "b.safetensors", {name: turned[name] for name in arrays})
    assert not gw.verify(tmp_path / "a.safetensors", tmp_path / "b.safetensors").same


@pytest.mark.parametrize("way", [True, "full", "sample"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.usefixtures("large")
def test_nothing_is_proved_of_a_number_that_is_none_wherever_it_lies(way: Any, value: float, tmp_path: Path) -> None:
    arrays = lstm(2)
    arrays["rnn.weight_hh_l1_reverse"][FAR, 3:5] = value, -value
    safetensors(tmp_path / "a.safetensors", arrays)
    with pytest.raises(ProofFailed, match="not finite"):
        gw.convert(tmp_path / "a.safetensors", tmp_path / "b.npz", verify=way)
    assert not (tmp_path / "b.npz").exists()
    gw.convert(tmp_path / "a.safetensors", tmp_path / "b.npz", verify=False)


@pytest.mark.usefixtures("large")
def test_rounding_that_changes_too_much_is_told_as_such(tmp_path: Path) -> None:
    arrays = lstm()
    safetensors(tmp_path / "a.safetensors", {name: array * np.float32(60) for name, array in arrays.items()})
    with pytest.raises(ProofFailed, match="rounding the weights to bfloat16 changes what they compute"):
        gw.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype="bfloat16")


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])  # Keras's bias is a rounded sum, which is not to blame
def test_a_conversion_that_is_wrong_is_not_called_a_rounding(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = _unit.express

    def wrong(stack: Any, target: Any) -> Any:
        said = right(stack, target)
        place = (0, "forward")
        turned = said.stack.cells[place].role("kernel").mapped(lambda _, array: np.negative(array))
        cells = dict(said.stack.cells) | {place: said.stack.cells[place].with_roles(kernel=turned)}
        return replace(said, stack=said.stack.replaced(cells))

    monkeypatch.setattr(_unit, "express", wrong)
    safetensors(tmp_path / "a.safetensors", lstm())
    with pytest.raises(ProofFailed, match=r"does not compute the same function.*a defect of gatewise"):
        gw.convert(tmp_path / "a.safetensors", tmp_path / f"b{suffix}", to="keras" if suffix == ".keras" else None)


def test_what_verify_may_be_is_said(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "a.safetensors", lstm())
    for wrong in ("all", None, 1, "", "auto"):
        for deed in (
            lambda said: gw.convert(path, tmp_path / "b.npz", verify=said),
            lambda said: gw.verify(path, path, verify=said),
            lambda said: gw.save(gw.open(path).layers[0], tmp_path / "b.npz", verify=said),
        ):
            with pytest.raises(UsageError, match=re.escape('It is True, False, "full" or "sample".')):
                deed(wrong)
    with pytest.raises(UsageError, match="nothing would be compared"):
        gw.verify(path, path, verify=False)
    with pytest.raises(UsageError, match="always proved"):
        gw.save(gw.open(path).layers[0], tmp_path / "b.npz", verify=False)
    with pytest.raises(UsageError, match=re.escape('Leave out verify="sample".')):
        gw.verify(path, recorded=path, verify="sample")
    assert not (tmp_path / "b.npz").exists()
