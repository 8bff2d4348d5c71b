"""``--for keras==3`` against real Keras 3: for every recorded file, what is told is what happens."""

from __future__ import annotations

import keras_cases as cases
import pytest

import gatewise as gw
from gatewise.doctor import prediction


def told(path):
    return prediction(cases.diagnosed(path), "keras==3")


def test_every_sort_of_outcome_is_among_the_recorded_files():
    outcomes = [told(path) for path in cases.MODELS]
    assert {outcome.stage for outcome in outcomes} == {"load", "numbers", ""}
    assert len({outcome.error.partition(":")[0] for outcome in outcomes}) == 3, "TypeError, ValueError, none"
    assert sum(outcome.stage == "numbers" for outcome in outcomes) == len(cases.SILENT)


@pytest.mark.framework("keras")
@pytest.mark.parametrize("path", cases.MODELS, ids=cases.said)
def test_keras_3_does_what_is_predicted(path):
    predicted, (happened, gap) = told(path), cases.outcome_in_keras(path)
    if predicted.stage == "load":
        assert predicted.error
        assert happened.startswith(predicted.error), f"{predicted.error!r} ≠ {happened[:300]!r}"
        return
    assert happened == "loads"
    assert gap is not None
    assert (gap < 1e-6) == (predicted.stage == ""), gap


@pytest.mark.parametrize("path", [p for p in cases.KERAS_3 if p not in cases.CUSTOM], ids=cases.said)
def test_a_file_of_keras_3_has_no_findings(path):
    assert cases.diagnosed(path) == []


@pytest.mark.parametrize("path", sorted(cases.KERAS.glob("*/*.weights.h5")), ids=cases.said)
def test_weights_in_the_format_of_keras_3_have_no_findings(path):
    assert cases.diagnosed(path) == []


@pytest.mark.parametrize("path", cases.MODELS[:30], ids=cases.said)
def test_for_torch_nothing_of_keras_matters(path):
    assert [finding for finding in gw.diagnose(path, target="torch==2.13") if finding.severity != "note"] == []


@pytest.mark.framework("keras")
@pytest.mark.parametrize("path", cases.BARE, ids=cases.said)
def test_bare_weights_that_are_said_not_to_fit_do_not(path, tmp_path):
    """Against a model of Keras 3's defaults with the file's own units."""
    import keras

    outcome = told(path)
    layers = gw.open(path).layers
    if not layers or path.name.startswith(("nested", "rnn_stacked")):
        pytest.skip("no model of plain layers")
    [layer] = layers
    plain = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[layer.cell](
        layer.spec.hidden_size, return_sequences=True
    )
    whole = keras.layers.Bidirectional(plain) if layer.spec.directions == 2 else plain
    model = keras.Sequential([keras.Input((4, layer.spec.input_size)), whole])
    copy = tmp_path / "w.h5"
    copy.write_bytes(path.read_bytes())
    if outcome.stage == "load":
        with pytest.raises(ValueError) as refused:
            model.load_weights(copy)
        assert f"ValueError: {refused.value}".startswith(outcome.error)
    else:
        model.load_weights(copy)
        gap = cases.difference(model, path)
        assert (gap < 1e-6) == (outcome.stage == ""), gap
