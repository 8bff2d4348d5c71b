"""What Keras 3 refuses: each sort at the file that has it, what is left alone, and what has no cure."""

from __future__ import annotations

import copy

import keras_cases as cases
import pytest

import gatewise as gw
from gatewise.ailments import _keras3, keras_refused
from gatewise.ailments._keras3 import refusals
from gatewise.errors import NotRepresentable

OF = {
    "a Keras 1 model": ("keras-1.2.2_theano/lstm_mem.h5", "GW233"),
    "time_major": ("tfkeras-2.3.4/lstm.h5", "GW204"),
    "a wrapped layer without its module": ("keras-2.2.4_tf-1.10.1/bidir_gru_sum.h5", "GW206"),
    "a cell without its module": ("keras-2.2.4_tf-1.10.1/rnn_gru_cell.h5", "GW206"),
    "a Functional of Keras 2's module": ("tfkeras-2.15.1/lstm.keras", "GW230"),
    "an initializer with a dtype": ("tfkeras-1.15.0/lstm.h5", "GW231"),
    "a CuDNN layer": ("keras-2.2.4_tf-1.10.1/cudnn_gru.h5", "GW232"),
    "a wrapped CuDNN layer": ("tfkeras-2.15.1/cudnn_bidir_lstm.h5", "GW232"),
    "initial states as inputs": ("keras-2.2.4_tf-1.10.1/lstm_states.h5", "GW234"),
    "HDF5 under the name .keras": ("tfkeras-2.3.4/lstm.keras", "GW235"),
    "a class of the user's own": ("tfkeras-2.15.1/custom_ofgi_lstm.h5", "GW236"),
}


@pytest.mark.parametrize("path", [p for p in cases.KERAS_3 if p not in cases.CUSTOM], ids=cases.said)
def test_keras_3_refuses_none_of_its_own_files(path):
    assert list(refusals(cases.config_of(path))) == []


@pytest.mark.parametrize("name", ["gru_reset_after", "gru_reset_before", "lstm_sigmoid", "simple_rnn"])
def test_a_file_of_keras_2_that_loads_well_is_left_alone(name):
    assert gw.diagnose(cases.KERAS / f"keras-2.2.4_tf-1.10.1/{name}.h5") == []


@pytest.mark.parametrize(("file", "code"), OF.values(), ids=OF)
def test_it_is_found(file, code):
    found = {finding.code: finding for finding in gw.diagnose(cases.KERAS / file)}
    assert found[code].severity == "breaks"
    assert found[code].what.endswith((".", "more."))
    assert (found[code].remedy is None) == (code == "GW236")


def test_only_the_first_reason_is_what_keras_says():
    findings = gw.diagnose(cases.KERAS / "tfkeras-2.15.1/lstm.keras")
    assert {finding.code: bool(finding.outcomes) for finding in findings} == {"GW230": True, "GW204": False}


def test_every_sort_has_a_code_and_its_sentences():
    sorts = {value for name, value in vars(_keras3).items() if name.isupper() and isinstance(value, str)} - {"_ADVICE"}
    sorts = {sort for sort in sorts if sort in keras_refused._CODES}
    assert sorts == set(keras_refused._CODES)
    assert set(keras_refused._TOLD) == sorts - {_keras3.LAMBDA}
    assert set(keras_refused._CODES.values()) - {"GW605"} <= set(keras_refused.AILMENT.codes)


LSTM = "keras-2.2.4_tf-1.10.1/lstm_sigmoid.h5"


def changed(tmp_path, change):
    """A copy of a healthy file with its LSTM's config changed."""
    config = copy.deepcopy(cases.config_of(cases.KERAS / LSTM))
    change(config["config"]["layers"][1]["config"])
    return cases.with_config(cases.KERAS / LSTM, tmp_path / "changed.h5", config)


def test_an_unknown_setting_that_says_something_has_no_cure(tmp_path):
    path = changed(tmp_path, lambda config: config.update(time_major=True))
    [finding] = gw.diagnose(path)
    assert finding.remedy is None
    assert "time_major = True" in finding.what
    with pytest.raises(NotRepresentable, match="time_major"):
        gw.repair(path, tmp_path / "out.keras")
    assert not (tmp_path / "out.keras").exists()


def test_an_activation_of_the_users_own_is_not_written(tmp_path):
    path = changed(tmp_path, lambda config: config.update(activation="my_tanh", time_major=False))
    [finding] = gw.diagnose(path)
    assert finding.remedy is None
    assert "my_tanh" in finding.what


def test_a_slash_in_a_name_is_found_and_renamed(tmp_path):
    path = changed(tmp_path, lambda config: config.update(name="my/lstm"))
    assert "GW237" in [finding.code for finding in gw.diagnose(path)]


def test_a_gru_that_does_not_say_its_reset_is_told(tmp_path):
    source = cases.KERAS / "keras-2.2.4_tf-1.10.1/gru_reset_before.h5"
    config = copy.deepcopy(cases.config_of(source))
    del config["config"]["layers"][1]["config"]["reset_after"]
    path = cases.with_config(source, tmp_path / "gru.h5", config)
    [finding] = gw.diagnose(path)
    assert (finding.code, finding.remedy.exactness) == ("GW216", "exact")
    done = gw.repair(path, tmp_path / "gru.keras")
    assert cases.config_of(tmp_path / "gru.keras")["config"]["layers"][1]["config"]["reset_after"] is False
    assert done.left == ()
