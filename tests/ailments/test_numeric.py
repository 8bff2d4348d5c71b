"""What the numbers say: each sign on an LSTM that has it, and none on one that has not; read a gate at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gatewise as gw
from gatewise.ailments import numeric
from gatewise.containers import container
from gatewise.tensors import StoredTensor, Tensors

UNIT, FEATURE = 4, 3
ROWS = {gate: slice(UNIT * index, UNIT * (index + 1)) for index, gate in enumerate("ifgo")}


def healthy(dtype="float32"):
    random = np.random.default_rng(1)
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}
    return {name: random.uniform(-0.5, 0.5, shape).astype(dtype) for name, shape in shapes.items()}


def written(tmp_path, arrays):
    path = tmp_path / "lstm.npz"
    np.savez(path, **arrays)
    return path


def codes(tmp_path, arrays):
    return [finding.code for finding in gw.diagnose(written(tmp_path, arrays))]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_ordinary_weights_are_left_alone(tmp_path, dtype):
    assert codes(tmp_path, healthy(dtype)) == []


def nan(arrays):
    arrays["weight_hh_l0"][5, 1] = np.nan


def infinite(arrays):
    arrays["bias_ih_l0"][0] = np.inf


def dead(arrays):
    arrays["weight_ih_l0"][ROWS["o"]] = arrays["weight_hh_l0"][ROWS["o"]] = 0


def no_biases(arrays):
    arrays["bias_ih_l0"][:] = arrays["bias_hh_l0"][:] = 0


def saturated(arrays):
    arrays["bias_hh_l0"][ROWS["f"]] = 9


def explodes(arrays):
    arrays["weight_hh_l0"][ROWS["g"]] = 5 * np.eye(UNIT)


SIGNS = {
    "NaN": (nan, "GW701", "recurrent kernel gate f (forget): 1 NaN of 16 numbers."),
    "an infinite bias": (infinite, "GW701", "bias gate i (input): 1 infinite of 4 numbers."),
    "a gate without weights": (dead, "GW702", "gate o (output): both kernels are zero throughout."),
    "biases that are all zero": (no_biases, "GW703", "biases: all are zero."),
    "a forget gate that is always open": (saturated, "GW704", "4 of 4 are beyond ±6"),
    "a candidate that grows": (explodes, "GW705", "its spectral radius is 5."),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "code", "what"), SIGNS.values(), ids=SIGNS)
def test_a_sign_is_found(tmp_path, spoil, code, what):
    arrays = healthy()
    spoil(arrays)
    [finding] = gw.diagnose(written(tmp_path, arrays))
    assert finding.code == code
    assert what in finding.what
    assert finding.severity == ("wrong-results" if code == "GW701" else "note")
    assert finding.remedy is None


def test_a_forget_bias_of_one_is_left_alone(tmp_path):
    arrays = healthy()
    arrays["bias_ih_l0"][ROWS["f"]] = 1
    assert codes(tmp_path, arrays) == []


def test_a_cell_without_a_forget_bias_of_its_own_is_examined():
    """DyNet's coupled LSTM computes f from i: the doctor refused the file."""
    path = Path(__file__).parents[1] / "fixtures" / "dynet" / "2.2" / "coupled.model"
    assert "f" not in gw.open(path).only()[0, "forward"].bias
    assert [finding.code for finding in gw.diagnose(path)] == []


def test_an_orthogonal_recurrent_kernel_is_left_alone(tmp_path):
    arrays = healthy()
    arrays["weight_hh_l0"][ROWS["g"]] = np.eye(UNIT)[::-1]
    assert codes(tmp_path, arrays) == []


def test_a_float16_weight_near_the_end_is_found(tmp_path):
    arrays = healthy("float16")
    arrays["weight_ih_l0"][0, 0] = 60_000
    [finding] = gw.diagnose(written(tmp_path, arrays))
    assert (finding.code, "60000" in finding.what) == ("GW706", True)


def test_float16_weights_below_the_normal_range_are_found(tmp_path):
    arrays = healthy("float16")
    arrays["weight_ih_l0"] = (arrays["weight_ih_l0"].astype(np.float32) * 1e-5).astype(np.float16)
    assert set(codes(tmp_path, arrays)) == {"GW706"}


def test_the_same_numbers_in_float32_are_left_alone(tmp_path):
    arrays = healthy()
    arrays["weight_ih_l0"] = arrays["weight_ih_l0"] * np.float32(1e-5)
    assert codes(tmp_path, arrays) == []


def test_a_file_of_keras_is_read_by_its_gates(tmp_path):
    path = tmp_path / "k.weights.h5"
    arrays = healthy()
    bias = np.zeros(16, np.float32)
    bias[ROWS["f"]] = 8.0  # Keras's order is i f c o as well
    content = {
        "lstm/cell/vars/0": arrays["weight_ih_l0"].T, "lstm/cell/vars/1": arrays["weight_hh_l0"].T, "lstm/cell/vars/2": bias,
    }  # fmt: skip
    from gatewise.tensors import Declared

    said = Declared("lstm", "keras.LSTM", {"units": 4, "input_size": 3, "dtype": "float32"}, name="lstm")
    tensors = [StoredTensor(name, "float32", value.shape, lambda value=value: value) for name, value in content.items()]
    container("keras-weights-h5").write(path, Tensors(tensors, naming="keras-vars", declared=[said]))
    assert [finding.code for finding in gw.diagnose(path)] == ["GW704"]


def test_very_large_gates_are_left_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(numeric, "LARGEST", 1)
    arrays = healthy()
    nan(arrays)
    assert "GW701" not in codes(tmp_path, arrays)
