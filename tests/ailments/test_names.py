"""Names of state dicts: what is left alone, what is renamed, and that the renamed file loads strictly."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw
from gatewise.ailments.state_dict_names import _prefix, _renames
from gatewise.containers import container
from gatewise.errors import NotRepresentable
from gatewise.tensors import StoredTensor, Tensors

LAYERS = [
    f"{kind}_{way}_l{layer}{side}"
    for layer in (0, 1)
    for side in ("", "_reverse")
    for kind in ("weight", "bias")
    for way in ("ih", "hh")
]


def shape(name, unit=4, feature=3):
    if "bias" in name:
        return (4 * unit,)
    return (4 * unit, unit if "_hh" in name else feature if "_l0" in name else 2 * unit)


def arrays(names):
    random = np.random.default_rng(0)
    return {name: random.uniform(-0.5, 0.5, shape(name)).astype(np.float32) for name in names}


def written(tmp_path, named, kind="torch-zip"):
    path = tmp_path / {"torch-zip": "state.pt", "safetensors": "state.safetensors"}[kind]
    tensors = [StoredTensor(name, "float32", value.shape, lambda value=value: value) for name, value in named.items()]
    container(kind).write(path, Tensors(tensors))
    return path


def codes(path):
    return [finding.code for finding in gw.diagnose(path)]


HEALTHY = {
    "a bare layer": LAYERS,
    "a layer in a model": [f"encoder.rnn.{name}" for name in LAYERS],
    "a model with a part called module": [
        *(f"module.rnn.{name}" for name in LAYERS),
        "head.weight_ih",
        "head.weight_hh",
    ],
    "a one-way layer": [name for name in LAYERS if "reverse" not in name],
    "a cell": ["weight_ih", "weight_hh", "bias_ih", "bias_hh"],
}


@pytest.mark.parametrize("names", HEALTHY.values(), ids=HEALTHY)
@pytest.mark.parametrize("kind", ["torch-zip", "safetensors"])
def test_ordinary_names_are_left_alone(tmp_path, names, kind):
    assert [code for code in codes(written(tmp_path, arrays(names), kind)) if code.startswith("GW3")] == []


WRAPPED = {
    "DataParallel's": ("module.", "GW303"),
    "compile's": ("_orig_mod.", "GW304"),
    "both": ("_orig_mod.module.", "GW304"),
}


@pytest.mark.parametrize(("prefix", "code"), WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("kind", ["torch-zip", "safetensors"])
def test_a_wrappers_prefix_is_found_and_taken_off(tmp_path, prefix, code, kind):
    named = arrays(LAYERS)
    path = written(tmp_path, {prefix + name: value for name, value in named.items()}, kind)
    assert codes(path) == [code]
    out = path.with_name(f"fixed{path.suffix}")
    gw.repair(path, out)
    fixed = gw.open(out).tensors
    assert set(fixed) == set(named)
    assert all(fixed[name].array().tobytes() == value.tobytes() for name, value in named.items())
    assert codes(out) == []


@pytest.mark.framework("torch")
def test_the_renamed_file_loads_strictly_in_torch(tmp_path):
    import torch

    path = written(tmp_path, {f"module.{name}": value for name, value in arrays(LAYERS).items()})
    lstm = torch.nn.LSTM(3, 4, 2, bidirectional=True)
    with pytest.raises(RuntimeError, match="Missing key"):
        lstm.load_state_dict(torch.load(path, weights_only=True))
    gw.repair(path, tmp_path / "fixed.pt")
    lstm.load_state_dict(torch.load(tmp_path / "fixed.pt", weights_only=True))


@pytest.mark.framework("torch")
def test_in_a_checkpoint_the_state_dict_alone_is_renamed(tmp_path):
    import torch

    state = {f"module.{name}": torch.from_numpy(value) for name, value in arrays(LAYERS).items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "ck.pt")
    assert codes(tmp_path / "ck.pt") == ["GW303"]
    gw.repair(tmp_path / "ck.pt", tmp_path / "fixed.pt")
    fixed = torch.load(tmp_path / "fixed.pt", weights_only=True)
    assert (fixed["epoch"], set(fixed["state_dict"])) == (3, set(LAYERS))


def test_the_raw_matrix_takes_the_plain_name_and_the_copy_goes(tmp_path):
    one_way = [name for name in LAYERS if "_l0" in name and "reverse" not in name]
    named = arrays([f"rnns.0.module.{name}" for name in one_way])
    raw = named["rnns.0.module.weight_hh_l0"] * 2
    path = written(tmp_path, named | {"rnns.0.weight_hh_l0_raw": raw})
    assert "GW306" in codes(path)
    gw.repair(path, tmp_path / "fixed.pt")
    fixed = gw.open(tmp_path / "fixed.pt").tensors
    assert set(fixed) == {f"rnns.0.{name}" for name in one_way}
    assert np.array_equal(fixed["rnns.0.weight_hh_l0"].array(), raw)


def test_a_missing_reverse_direction_is_told_and_has_no_cure(tmp_path):
    path = written(tmp_path, arrays([name for name in LAYERS if "l1_reverse" not in name]))
    found = gw.diagnose(path)
    assert [(finding.code, finding.remedy) for finding in found] == [("GW301", None)]
    assert "weight_ih_l1_reverse" in found[0].what
    with pytest.raises(NotRepresentable):
        gw.repair(path, tmp_path / "fixed.pt")


def test_healing_twice_is_healing_once(tmp_path):
    path = written(tmp_path, {f"module.{name}": value for name, value in arrays(LAYERS).items()})
    gw.repair(path, tmp_path / "once.pt")
    again = gw.repair(tmp_path / "once.pt", tmp_path / "twice.pt")
    assert again.healthy
    assert (tmp_path / "once.pt").read_bytes() == (tmp_path / "twice.pt").read_bytes()


@pytest.mark.parametrize(
    "names", [[], ["a"], ["module.a", "b"]], ids=["no names", "a plain name", "some with, some without"]
)
def test_a_prefix_is_one_only_where_all_names_have_it(names):
    assert _prefix(names) == ""
    assert _renames(names) == {}
