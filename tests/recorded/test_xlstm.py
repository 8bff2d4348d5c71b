"""xLSTM's sLSTM cells: heads put in their places, the exponential step, and what a state dict does not tell."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.errors import NotRepresentable

FOLDER = FIXTURES / "xlstm" / "2.0.6"
FILES = recorded("xlstm", ".pt")
UNITS = {"slstm": 6, "slstm_one_head": 4, "slstm_heads_of_one": 3, "cuda_slstm": 6, "lstm": 6, "cuda_lstm": 4}


def layout_of(case: str) -> str:
    """``function`` and backend are the maker's choice; the first is not in the file."""
    name = "xlstm.sLSTM" if "slstm" in case else "xlstm.LSTM"
    return f"{name}-cuda" if case.startswith("cuda") else name


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what xlstm recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path, layout=layout_of(path.stem)).only()
    units = UNITS[path.stem]
    assert (layer.spec.input_size, layer.spec.hidden_size, layer.spec.bias) == (4 * units, units, "single")
    figure = claimed(layer) if gw.layout(layer.layout).proven else 1e-6
    assert error(layer, record_of(path)) <= figure


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == UNITS.keys()


@pytest.mark.parametrize("case", UNITS)
def test_unasked_a_cell_is_an_slstm_with_a_doubt(case):
    layer = gw.open(FOLDER / f"{case}.pt").only()
    assert layer.layout == ("xlstm.sLSTM-cuda" if case.startswith("cuda") else "xlstm.sLSTM")
    assert not layer.sure
    assert "function='lstm' has the same tensors" in layer.match.doubts[0][1]


def test_the_order_of_the_bias_is_told_by_the_kernels_shape():
    vanilla, cuda = (gw.open(FOLDER / f"{name}.pt", layout=layout_of(name)) for name in ("slstm", "cuda_slstm"))
    assert vanilla.tensors["_bias_"].shape == cuda.tensors["_bias_"].shape
    assert vanilla.tensors["_recurrent_kernel_"].shape == (2, 12, 3)
    assert cuda.tensors["_recurrent_kernel_"].shape == (2, 3, 12)
    stored = cuda.tensors["_bias_"].array()
    by_gate = np.concatenate([cuda.only()[0, "forward"].bias[gate] for gate in "ifgo"])
    assert not np.array_equal(stored, by_gate)
    np.testing.assert_array_equal(np.sort(stored), np.sort(by_gate))


def test_a_head_does_not_see_another_heads_units():
    matrix = gw.open(FOLDER / "slstm.pt").only()[0, "forward"].recurrent_kernel["i"]
    assert not matrix[:3, 3:].any()
    assert not matrix[3:, :3].any()
    assert matrix[:3, :3].all()


def test_a_block_stack_has_its_slstm_read_and_its_mlstm_named():
    checkpoint = gw.open(FOLDER / "block.pt")
    assert [(layer.name, layer.layout) for layer in checkpoint.layers] == [("blocks.1.xlstm.slstm_cell", "xlstm.sLSTM")]
    assert [(look.name, look.kind) for look in checkpoint.recognised.outside] == [("blocks.0.xlstm", "xlstm.mLSTM")]
    rows = checkpoint.layers[0].as_dict()["tensors"]
    assert any("zeros between its heads" in row.get("made_from", "") for row in rows)


def test_an_slstm_becomes_nothing_but_an_slstm(tmp_path):
    with pytest.raises(NotRepresentable, match="slstm"):
        gw.convert(FOLDER / "slstm.pt", tmp_path / "no.safetensors", to="torch.LSTM", layout="xlstm.sLSTM")
    done = gw.convert(FOLDER / "slstm.pt", tmp_path / "own.safetensors", to="xlstm.sLSTM", layout="xlstm.sLSTM")
    assert done.proof.same


def test_tensors_of_these_names_with_other_shapes_are_left_alone(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, _recurrent_kernel_=np.ones((2, 5, 3), "f4"), _bias_=np.ones(30, "f4"))
    checkpoint = gw.open(path)
    assert not checkpoint.layers
    assert list(checkpoint.tensors) == ["_recurrent_kernel_", "_bias_"]
