"""Repairing torch files: the new file runs in today's torch with the old numbers, and the old one is never touched."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "ailments"))
from doctor_help import FIXTURES, MODULES, difference, load, named, recorded

import gatewise as gw
from gatewise.cli import main
from gatewise.containers import open_tensors
from gatewise.errors import NotRepresentable, UsageError, WriteRefused

FLOAT = [path for path in MODULES if "qdyn" not in path.name]
ILL = FIXTURES / "1.0.1/lstm_bi2.module.pt"
WELL = FIXTURES / "2.13.0/lstm_bi2.module.pt"
STATE = FIXTURES / "2.13.0/rnn_tanh.state.pt"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.framework("torch")
@pytest.mark.parametrize("path", FLOAT, ids=named)
def test_as_module_it_runs_and_computes_what_was_recorded(path, tmp_path):
    before = digest(path)
    gw.repair(path, tmp_path / "new.pt", "module")
    assert difference(load(tmp_path / "new.pt"), recorded(path)) < 1e-6
    assert digest(path) == before
    assert gw.repair(tmp_path / "new.pt", tmp_path / "again.pt").healthy, "healing twice is healing once"
    assert digest(tmp_path / "again.pt") == digest(tmp_path / "new.pt")


@pytest.mark.framework("torch")
@pytest.mark.parametrize("path", FLOAT, ids=named)
def test_as_state_dict_it_is_the_modules_own(path, tmp_path):
    import torch

    gw.repair(path, tmp_path / "whole.pt", "module")
    gw.repair(path, tmp_path / "state.pt", "state-dict")
    state, wanted = torch.load(tmp_path / "state.pt", weights_only=True), load(tmp_path / "whole.pt").state_dict()
    assert list(state) == list(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


@pytest.mark.framework("torch")
@pytest.mark.parametrize("path", [path for path in FLOAT if "cell" not in path.name], ids=named)
def test_scripting_works_where_it_works_for_todays_own(path, tmp_path):
    import torch

    gw.repair(path, tmp_path / "new.pt")
    module = load(tmp_path / "new.pt")
    if any(name in path.name for name in ("weightnorm", "pruned")):
        pytest.skip("torch cannot script these hooks, today's own neither")
    torch.jit.script(torch.nn.Sequential(module) if isinstance(module, torch.nn.RNNBase) else module)


@pytest.mark.framework("torch")
def test_the_flat_weights_are_the_parameters_themselves(tmp_path):
    gw.repair(ILL, tmp_path / "new.pt")
    module = load(tmp_path / "new.pt")
    assert all(
        getattr(module, name) is flat
        for name, flat in zip(module._flat_weights_names, module._flat_weights, strict=True)
    )
    module.double()
    assert module.flatten_parameters() is None
    gw.repair(FIXTURES / "1.3.1/lstm_weightnorm.module.pt", tmp_path / "normed.pt")
    normed = load(tmp_path / "normed.pt")
    flat = dict(zip(normed._flat_weights_names, normed._flat_weights, strict=True))
    assert flat["weight_hh_l0"] is normed.weight_hh_l0


@pytest.mark.framework("torch")
def test_shared_storages_stay_shared(tmp_path):
    import torch

    linear = torch.nn.Linear(3, 3)
    model = torch.nn.ModuleList([linear, linear, torch.nn.Linear(3, 3)])
    model[2].weight = linear.weight
    lstm = torch.nn.LSTM(2, 2)
    del lstm.proj_size  # as of torch 1.7
    model.append(lstm)
    torch.save(model, tmp_path / "old.pt")
    gw.repair(tmp_path / "old.pt", tmp_path / "new.pt")
    new = load(tmp_path / "new.pt")
    assert new[0] is new[1]
    assert new[2].weight is new[0].weight
    assert (tmp_path / "new.pt").stat().st_size < (tmp_path / "old.pt").stat().st_size + 2000


# A healthy file, and what is not done.


@pytest.mark.parametrize("path", [WELL, STATE, FIXTURES / "2.13.0/lstm_bi2.module.legacyfmt.pt"], ids=named)
def test_a_healthy_file_comes_back_as_it_was(path, tmp_path, capsys):
    assert main(["repair", str(path), "-o", str(tmp_path / "same.pt")]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert digest(tmp_path / "same.pt") == digest(path)


def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path, capsys):
    out = tmp_path / "new.pt"
    assert main(["repair", str(ILL), "-o", str(out), "--dry-run", "--json"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert not out.exists()
    assert main(["repair", str(ILL), "-o", str(out), "--json"]) == 0
    wet = json.loads(capsys.readouterr().out)
    assert dry["remedies"] == wet["remedies"]
    assert [each["code"] for each in wet["remedies"]] == ["GW104", "GW114", "GW107", None, None]
    assert all(each["exactness"] for each in wet["remedies"])


def test_nothing_is_overwritten_unasked(tmp_path):
    out = tmp_path / "new.pt"
    out.write_bytes(b"mine")
    with pytest.raises(WriteRefused):
        gw.repair(ILL, out)
    assert out.read_bytes() == b"mine"
    gw.repair(ILL, out, force=True)
    assert len(out.read_bytes()) > 1000


def test_the_input_is_never_the_output(tmp_path):
    mine = tmp_path / "mine.pt"
    mine.write_bytes(ILL.read_bytes())
    with pytest.raises(WriteRefused, match="never touched"):
        gw.repair(mine, mine, force=True)
    assert digest(mine) == digest(ILL)


def test_a_repair_needs_a_name_and_a_form_that_there_is(tmp_path):
    with pytest.raises(UsageError, match="new file"):
        gw.repair(ILL)
    with pytest.raises(UsageError, match="state-dict"):
        gw.repair(ILL, tmp_path / "new.pt", "onnx")
    with pytest.raises(NotRepresentable):
        gw.repair(STATE, tmp_path / "new.pt", "module")


def test_quantised_weights_are_no_plain_state_dict(tmp_path):
    with pytest.raises(NotRepresentable, match="quantised"):
        gw.repair(FIXTURES / "1.8.1/tagger.qdyn_qint8.module.pt", tmp_path / "new.pt", "state-dict")
    assert list(tmp_path.iterdir()) == []


# Other formats.


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_the_tensors_of_any_readable_file_go_into_other_formats(suffix, tmp_path):
    done = gw.repair(ILL, tmp_path / f"new{suffix}")
    assert done.form == "state-dict"
    before, after = open_tensors(ILL), open_tensors(tmp_path / f"new{suffix}")
    assert all(np.array_equal(before[name].array(), after[name].array()) for name in before)
    assert gw.open(tmp_path / f"new{suffix}").only().spec == gw.open(ILL).only().spec


def test_a_checkpoint_gives_its_state_dict(tmp_path):
    path = FIXTURES / "1.6.0/tagger.checkpoint.pth.tar"
    done = gw.repair(path, tmp_path / "state.pt", "state-dict")
    assert "without epoch, arch, args, optimizer, best_acc" in done.applied[0].what
    assert "lstm.weight_ih_l0" in open_tensors(tmp_path / "state.pt")
    with pytest.raises(NotRepresentable, match="GW601"):
        gw.repair(path, tmp_path / "again.pt")


def test_torchscript_that_no_torch_opens_gives_its_weights(tmp_path):
    path = FIXTURES / "1.0.1/lstm_bi2.trace.ts"
    assert [each.code for each in gw.diagnose(path)] == ["GW611"]
    with pytest.raises(NotRepresentable, match="GW611"):
        gw.repair(path, tmp_path / "new.pt")
    gw.repair(path, tmp_path / "new.pt", "state-dict")
    assert len(open_tensors(tmp_path / "new.pt")) == len(open_tensors(path))
