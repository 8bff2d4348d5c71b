"""Old pickled modules: what is predicted for a version is what that version does, and what is healthy is left alone."""

import json

import numpy as np
import pytest
from doctor_help import FIXTURES, MODULES, NN, OLD, difference, load, named, reality
from together import folder, together

import gatewise as gw
from gatewise.ailments import SEVERITIES
from gatewise.ailments.torch_upsample import value_for
from gatewise.doctor import prediction


def codes(path, target=None):
    return [finding.code for finding in gw.diagnose(path, target=target)]


# What must be left alone.

HEALTHY = sorted(
    path
    for path in FIXTURES.glob("*/*.state*.pt")
    if not any(word in path.name for word in ("qdyn", "checkpoint", "dataparallel"))  # whose names are a finding
)


@together("path", HEALTHY, of=folder, said=named)
def test_a_state_dict_is_healthy_whoever_wrote_it(path):
    assert codes(path) == []


TODAYS = [path for path in MODULES if path.parent.name == "2.13.0"]


@pytest.mark.parametrize("path", TODAYS, ids=named)
def test_a_module_of_today_has_nothing_worse_than_notes(path):
    assert {finding.severity for finding in gw.diagnose(path)} <= {"note"}
    assert set(codes(path)) <= {"GW601", "GW609"}, "that it is a whole module is all there is to say"


@pytest.mark.parametrize("path", [path for path in MODULES if "cell" in path.name], ids=named)
def test_cells_lack_nothing(path):
    assert {finding.severity for finding in gw.diagnose(path)} <= {"note"}


@pytest.mark.parametrize("version", ["1.4.0", "1.6.0", "1.8.1", "1.13.1"])
def test_recurrent_modules_since_1_4_run_today(version):
    for path in MODULES:
        if path.parent.name == version and "qint8" not in path.name:
            told = gw.diagnose(path, target="torch==2.13")
            assert {finding.severity for finding in told} <= {"note"}, named(path)


# What is found.


@pytest.mark.parametrize("path", OLD, ids=named)
def test_modules_before_1_4_lack_their_lists(path):
    assert "GW104" in codes(path)
    assert "GW107" in codes(path)
    (finding,) = [each for each in gw.diagnose(path, target="torch==2.13") if each.code == "GW104"]
    assert finding.severity == "breaks"
    assert finding.outcomes[0].error.endswith("object has no attribute '_flat_weights'")
    assert finding.remedy.exactness == "exact"


def test_dropout_as_an_int_is_told_of_1_0_alone():
    assert "GW114" in codes(FIXTURES / "1.0.1/lstm_bi2.module.pt")
    assert "GW114" not in codes(FIXTURES / "1.3.1/lstm_bi2.module.pt")


@pytest.mark.parametrize(("target", "stage", "error"), [
    ("torch==1.3", "", ""),
    ("torch==1.4", "call", "AttributeError: 'LSTM' object has no attribute '_flat_weights'"),
    ("torch==1.7.1", "call", "torch.nn.modules.module.ModuleAttributeError: 'LSTM' object has no attribute '_flat_weights'"),
    ("torch==1.8.1", "call", "AttributeError: 'LSTM' object has no attribute 'proj_size'"),
    ("torch==1.13", "call", "AttributeError: 'LSTM' object has no attribute '_flat_weights'"),
    ("torch==2.0", "load", "AttributeError: 'LSTM' object has no attribute '_flat_weights'"),
    ("torch", "load", "AttributeError: 'LSTM' object has no attribute '_flat_weights'"),
])  # fmt: skip
def test_the_table_over_versions(target, stage, error):
    path = FIXTURES / "1.3.1/lstm_bi2.module.pt"
    told = prediction(gw.diagnose(path), target, gw.open(path))
    assert (told.stage, told.error) == (stage, error)


def test_what_an_older_torch_does_with_a_newer_file_is_not_known():
    path = FIXTURES / "2.13.0/lstm_bi2.module.pt"
    assert prediction(gw.diagnose(path), "torch==1.5", gw.open(path)).what.startswith("not known")


def test_findings_are_plain_data_and_the_worst_comes_first():
    told = gw.diagnose(FIXTURES / "1.0.1/lstm_bi2.module.pt")
    ranks = [SEVERITIES.index(finding.severity) for finding in told]
    assert ranks == sorted(ranks, reverse=True)
    for finding in told:
        document = json.loads(json.dumps(finding.as_dict()))
        assert {"code", "severity", "where", "what", "why", "remedy", "affects"} <= document.keys()


@pytest.mark.framework("torch")
@pytest.mark.parametrize("path", MODULES, ids=named)
def test_what_is_predicted_for_today_is_what_torch_does(path):
    if "qdyn" in path.name and "qint8" not in path.name:
        pytest.skip("float16 kernels are not on every machine")
    told = prediction(gw.diagnose(path), "torch==2.13", gw.open(path))
    if "qdyn" in path.name:
        with pytest.raises(ValueError) as raised:
            load(path)
        assert (told.stage, told.error) == ("load", f"ValueError: {raised.value}")
    else:
        assert (told.stage, told.error) == reality(path)


# Other classes of torch.nn.


@pytest.mark.framework("torch")
@pytest.mark.parametrize("npz", NN, ids=named)
def test_what_is_predicted_of_other_classes_is_what_torch_does(npz):
    import torch

    path = npz.with_name(f"{npz.stem}.module.pt")
    told = gw.diagnose(path, target="torch==2.13")
    zoo, error = attempt(lambda: load(path))
    first = prediction(told, "torch==2.13")
    assert (first.stage == "load") == (zoo is None)
    if zoo is None:
        assert error.startswith(first.error)
        return
    arrays = np.load(npz)
    for name, module in zoo.items():
        mine = prediction([f for f in told if f.where == name or f.where.startswith(f"{name}.")], "torch==2.13")
        apart, error = attempt(lambda module=module, name=name: member_difference(module, name, arrays, torch))
        assert mine.error == error, name
        if not error:
            assert mine.stage == ("" if apart < 1e-5 else "numbers"), name


def attempt(act):
    """(what it gives, "") or (None, the error as torch would print it)."""
    try:
        return act(), ""
    except (AttributeError, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"


def member_difference(module, name, arrays, torch):
    inputs = [torch.from_numpy(arrays[key]) for key in sorted(arrays.files) if key.startswith(f"{name}.in.")]
    with torch.no_grad():
        out = module(*inputs)
    out = (out[0] if isinstance(out, tuple) else out).numpy()
    want = arrays[f"{name}.out"]
    return float(np.abs(out - want).max() / max(1.0, np.abs(want).max())) if out.shape == want.shape else float("inf")


@pytest.mark.framework("torch")
@pytest.mark.parametrize("npz", NN, ids=named)
def test_repaired_other_classes_compute_what_the_old_version_did(npz, tmp_path):
    import torch

    done = gw.repair(npz.with_name(f"{npz.stem}.module.pt"), tmp_path / "new.pt")
    assert done.applied
    arrays = np.load(npz)
    for name, module in load(tmp_path / "new.pt").items():
        assert member_difference(module, name, arrays, torch) < 2e-6, name  # a Transformer is a dozen layers deep


@pytest.mark.framework("torch")
@pytest.mark.parametrize("version", ["1.1.0", "1.5.1", "1.9.1"])
def test_lists_of_parameters_are_indexed_and_shown_again(version, tmp_path):
    path = FIXTURES / version / "nn/parameters.module.pt"
    with pytest.raises(AttributeError):
        load(path)["list"][0]
    gw.repair(path, tmp_path / "new.pt")
    both = load(tmp_path / "new.pt")
    assert both["list"][2].shape == (2, 3)
    assert "a" in both["dict"]
    assert "Parameter" in repr(both)


@pytest.mark.parametrize(("attributes", "value"), [
    ({"size": None, "scale_factor": 1.5}, True),
    ({"size": None, "scale_factor": 1.5, "_non_persistent_buffers_set": set()}, None),
    ({"size": (9, 9), "scale_factor": None}, None),
])  # fmt: skip
def test_upsample_gets_what_its_writer_did(attributes, value):
    assert value_for(attributes) is value


def test_upsample_of_1_7_is_silently_wrong_today_and_loud_in_2_0():
    path = FIXTURES / "1.7.1/nn/zoo.module.pt"
    (now,) = [each for each in gw.diagnose(path, target="torch==2.13") if each.where == "up_part"]
    assert (now.severity, now.outcomes[0].stage) == ("wrong-results", "numbers")
    (then,) = [each for each in gw.diagnose(path, target="torch==2.0") if each.where == "up_part"]
    assert then.outcomes[0].error == "AttributeError: 'Upsample' object has no attribute 'recompute_scale_factor'"


@pytest.mark.framework("torch")
@pytest.mark.parametrize("version", ["1.6.0", "1.8.1"])
def test_quantised_modules_load_and_compute_again(version, tmp_path):
    path = FIXTURES / version / "tagger.qdyn_qint8.module.pt"
    assert "GW129" in codes(path)
    gw.repair(path, tmp_path / "new.pt")
    assert difference(load(tmp_path / "new.pt"), np.load(path.with_name("tagger.qdyn_qint8.npz"))) < 1e-6
