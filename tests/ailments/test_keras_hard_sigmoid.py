"""The hard_sigmoid of before Keras 3: found, measured, scaled; and left alone where the file is Keras 3's."""

from __future__ import annotations

import copy

import keras_cases as cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import NotRepresentable

OLD = "keras-2.2.4_tf-1.10.1"


def codes(path):
    return [finding.code for finding in gw.diagnose(path)]


def test_the_hard_sigmoid_of_keras_3_itself_is_left_alone():
    assert codes(cases.KERAS / "keras-3/lstm_hard_sigmoid.keras") == []


def test_sigmoid_gates_of_keras_2_are_left_alone():
    assert codes(cases.KERAS / OLD / "lstm_sigmoid.h5") == []


@pytest.mark.parametrize("name", cases.SILENT)
def test_a_file_that_loads_and_computes_otherwise_is_found(name):
    [*found] = [finding for finding in gw.diagnose(cases.KERAS / OLD / f"{name}.h5") if finding.code == "GW220"]
    assert found
    assert {finding.severity for finding in found} == {"wrong-results"}
    assert all(finding.remedy.exactness == "exact up to one rounding" for finding in found)
    assert "on a random input" in found[0].why or name == "conv_lstm2d"


def test_where_the_model_is_refused_anyway_the_slope_is_told_too():
    assert {"GW206", "GW220"} <= set(codes(cases.KERAS / OLD / "bidir_lstm.h5"))


def with_layer(tmp_path, name, **said):
    """stacked_lstm.h5 (LSTM, LSTM, Dense) with a setting of one layer changed."""
    source = cases.KERAS / OLD / "stacked_lstm.h5"
    config = copy.deepcopy(cases.config_of(source))
    [node] = [node for node in config["config"]["layers"] if node["config"]["name"] == name]
    node["config"].update(said)
    return cases.with_config(source, tmp_path / "changed.h5", config)


def test_a_dense_layer_with_it_is_found_and_scaled(tmp_path):
    path = with_layer(tmp_path, "dense_1", activation="hard_sigmoid")
    assert "dense_1" in [finding.where for finding in gw.diagnose(path)]
    gw.repair(path, tmp_path / "out.h5")
    old, new = (gw.open(file).tensors["dense_1/dense_1/kernel:0"].array() for file in (path, tmp_path / "out.h5"))
    assert np.allclose(new, 1.2 * old, rtol=1e-7)


def test_an_lstm_whose_cell_state_passes_through_it_is_refused(tmp_path):
    path = with_layer(tmp_path, "lstm_1", activation="hard_sigmoid")
    found = [finding for finding in gw.diagnose(path) if finding.code == "GW220"]
    assert all(finding.remedy is None and "cell state" in finding.why for finding in found)
    with pytest.raises(NotRepresentable):
        gw.repair(path, tmp_path / "out.keras")


def test_bare_weights_of_its_time_are_told_with_the_difference_from_sigmoid():
    [finding] = gw.diagnose(cases.KERAS / OLD / "lstm.weights-only.h5")
    assert (finding.code, finding.severity, finding.remedy) == ("GW219", "wrong-results", None)
    assert "convert" in finding.why


def test_bare_weights_of_later_versions_are_left_alone():
    assert codes(cases.KERAS / "tfkeras-2.15.1/lstm.weights-only.h5") == []
