"""Models that nobody of this project made, out of ordinary packages: fetched at test time, never kept here.

GATEWISE_CORPUS names the folder that the corpus fetch filled (``<package>-<version>/…``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import NotRepresentable

pytestmark = pytest.mark.corpus
CORPUS = os.environ.get("GATEWISE_CORPUS")


def fetched(package: str, name: str) -> Path:
    """A file of the corpus; a loud skip where there is none."""
    if not CORPUS:
        pytest.skip("NO CORPUS: GATEWISE_CORPUS names no folder, so real models are not opened here")
    root = Path(CORPUS)
    path = (root / "files" if (root / "files").is_dir() else root) / package / name
    if not path.exists():
        pytest.skip(f"NOT IN THE CORPUS: {path} is missing; run its fetch.sh again")
    return path


def facts(layer: Any) -> dict[str, Any]:
    spec = layer.spec
    return {
        "name": layer.name, "layout": layer.layout, "in": spec.input_size, "hidden": spec.hidden_size,
        "layers": spec.num_layers, "directions": spec.directions, "bias": spec.bias, "dtype": spec.dtype,
    }  # fmt: skip


def plain(name: str, layout: str, features: int, hidden: int, layers: int = 1, directions: int = 1) -> dict[str, Any]:
    return {
        "name": name, "layout": layout, "in": features, "hidden": hidden, "layers": layers, "directions": directions,
        "bias": "double", "dtype": "float32",
    }  # fmt: skip


RESEMBLYZER = ("resemblyzer-0.1.4", "resemblyzer/pretrained.pt")
NAME2NAT = ("name2nat-0.5.1", "name2nat/best-model.pt")
SILERO = ("silero-vad-6.2.3", "silero_vad/data/silero_vad.jit")
SILERO_SAFE = ("silero-vad-6.2.3", "silero_vad/data/silero_vad_16k.safetensors")
SILERO_ONNX, SILERO_OP15, SILERO_SEQUENCE, SILERO_IFLESS, SILERO_OPENVINO = (
    ("silero-vad-6.2.3", f"silero_vad/data/silero_vad{tail}.onnx")
    for tail in ("", "_16k_op15", "_16k_sequence", "_op18_ifless", "_openvino_16k")
)
DDDDOCR = ("ddddocr-1.6.1", "ddddocr/common.onnx")
DDDDOCR_OLD = ("ddddocr-1.6.1", "ddddocr/common_old.onnx")
CHIRON = ("chiron-0.6.1.1", "chiron/model")
G2P = ("g2p-en-2.1.0", "g2p_en/checkpoint20.npz")

MODELS: dict[str, tuple[tuple[str, str], str, list[dict[str, Any]]]] = {
    "resemblyzer: three layers in one flat CUDA storage": (
        RESEMBLYZER, "torch-legacy", [plain("model_state.lstm", "torch.LSTM", 40, 256, 3)],
    ),
    "name2nat: a GRU beside the module that it came from": (
        NAME2NAT, "torch-legacy", [plain("state_dict.document_embeddings.rnn", "torch.GRU", 300, 256, 1, 2)],
    ),
    "silero-vad: two nets in one TorchScript archive": (
        SILERO, "torchscript",
        [plain("_model.decoder.rnn", "torch.LSTMCell", 128, 128), plain("_model_8k.decoder.rnn", "torch.LSTMCell", 128, 128)],
    ),
    "silero-vad: a safetensors export by hand": (
        SILERO_SAFE, "safetensors", [plain("lstm_cell", "torch.LSTMCell", 128, 128)],
    ),
    "silero-vad: two nets with their LSTMs in branches, no initializer": (
        SILERO_ONNX, "onnx",
        [plain(f"If_0_{branch}_branch__Inline_0__/decoder/rnn/LSTM", "onnx.LSTM", 128, 128) for branch in ("else", "then")],
    ),
    "silero-vad: torch's weights turned round by the graph": (
        SILERO_OP15, "onnx", [plain("/model/decoder/rnn/LSTM", "onnx.LSTM", 128, 128)],
    ),
    "silero-vad: one plain operator": (SILERO_SEQUENCE, "onnx", [plain("/recurrent/LSTM", "onnx.LSTM", 128, 128)]),
    "silero-vad: cells that the exporter took apart": (
        SILERO_IFLESS, "onnx",
        [plain("model.decoder.rnn", "torch.LSTMCell", 128, 128), plain("model_8k.decoder.rnn", "torch.LSTMCell", 128, 128)],
    ),
    "silero-vad: without branches, for OpenVINO": (
        SILERO_OPENVINO, "onnx", [plain("F2::If_0_then_branch__Inline_0__/decoder/rnn/LSTM", "onnx.LSTM", 128, 128)],
    ),
    "ddddocr: anonymous names": (DDDDOCR, "onnx", [plain("LSTM_79", "onnx.LSTM", 512, 512, 1, 2)]),
    "ddddocr: quantised": (DDDDOCR_OLD, "onnx", []),
    "g2p-en: arrays under names of its own": (
        G2P, "npz", [plain("enc", "torch.GRUCell", 256, 256), plain("dec", "torch.GRUCell", 256, 256)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("where", "container", "layers"), MODELS.values(), ids=MODELS)
def test_a_real_model_shows_its_layers(where: tuple[str, str], container: str, layers: list[dict[str, Any]]) -> None:
    path = fetched(*where)
    checkpoint = gw.open(path)
    assert checkpoint.tensors.container == container
    assert [facts(layer) for layer in checkpoint.layers] == layers
    ran = subprocess.run(
        [sys.executable, "-m", "gatewise", "inspect", str(path), "--json"], capture_output=True, text=True, check=True
    )
    assert [layer["name"] for layer in json.loads(ran.stdout)["layers"]] == [layer["name"] for layer in layers]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".keras"])
@pytest.mark.parametrize("where", [where for where, _, _ in list(MODELS.values())[:10]], ids=list(MODELS)[:10])
def test_a_real_model_converts_with_a_proof(tmp_path: Path, where: tuple[str, str], suffix: str) -> None:
    conversion = gw.convert(fetched(*where), tmp_path / f"out{suffix}")
    assert conversion.proof is not None
    assert conversion.proof.max_abs_error < 1e-6


def test_resemblyzer_s_optimizer_is_no_layer_and_its_weights_are_views_of_one_storage() -> None:
    checkpoint = gw.open(fetched(*RESEMBLYZER))
    assert checkpoint.layers[0].parameters == 1_357_824
    storages = {checkpoint.tensors[name].identity[0] for name in checkpoint.layers[0].match.tensors}  # type: ignore[index]
    assert len(storages) == 1
    left = [name for name in checkpoint.tensors if name.startswith("optimizer_state")]
    assert len(left) > 20
    assert not set(checkpoint.layers[0].match.tensors) & set(left)


def test_name2nat_s_second_copy_is_told_as_the_same_layer() -> None:
    (layer,) = gw.open(fetched(*NAME2NAT)).layers
    assert layer.also_at == ("document_embeddings.rnn",)
    (writer,) = gw.open(fetched(*NAME2NAT)).written_by
    assert writer.framework == "torch"
    assert "<1." in writer.version


def test_silero_s_two_files_are_different_training_snapshots() -> None:
    script, safe = fetched(*SILERO), fetched(*SILERO_SAFE)
    one, other = gw.open(script)["_model.decoder.rnn"], gw.open(safe)["lstm_cell"]
    mine, theirs = (layer[0, "forward"].kernel for layer in (one, other))
    both = [np.concatenate([gates[gate].ravel() for gate in "ifgo"]) for gates in (mine, theirs)]
    assert np.corrcoef(*both)[0, 1] == pytest.approx(0.957, abs=0.001)
    assert np.abs(both[0] - both[1]).max() == pytest.approx(1.01, abs=0.01)


def all_of(layer: gw.Stack) -> dict[tuple[str, str], np.ndarray]:
    roles = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    return {(role, gate): array for role in roles for gate, array in layer[0, "forward"].role(role).items()}


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (SILERO_ONNX, "If_0_then_branch__Inline_0__/decoder/rnn/LSTM"), (SILERO_OP15, "/model/decoder/rnn/LSTM"),
        (SILERO_SEQUENCE, "/recurrent/LSTM"), (SILERO_IFLESS, "model.decoder.rnn"),
        (SILERO_OPENVINO, "F2::If_0_then_branch__Inline_0__/decoder/rnn/LSTM"),
    ],
    ids=["branches", "turned round", "one operator", "taken apart", "for OpenVINO"],
)  # fmt: skip
def test_silero_s_lstm_is_bit_for_bit_the_same_in_all_its_formats(where: tuple[str, str], name: str) -> None:
    wanted, found = all_of(gw.open(fetched(*SILERO))["_model.decoder.rnn"]), all_of(gw.open(fetched(*where))[name])
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(found[key], array)


def test_silero_s_lstm_stands_twice_on_one_set_of_weights() -> None:
    for where in (SILERO_ONNX, SILERO_OP15):
        for layer in gw.open(fetched(*where)).layers:
            assert layer.also_at == (layer.name.replace("/rnn/", "/rnn_1/"),)


def test_silero_s_half_is_float32_and_another_net() -> None:
    (layer,) = gw.open(fetched("silero-vad-6.2.3", "silero_vad/data/silero_vad_half.onnx")).layers
    assert layer.spec.dtype == "float32"
    wanted, found = all_of(gw.open(fetched(*SILERO))["_model.decoder.rnn"]), all_of(layer)
    both = [np.concatenate([arrays["kernel", gate].ravel() for gate in "ifgo"]) for arrays in (wanted, found)]
    assert abs(np.corrcoef(*both)[0, 1]) < 0.02


def test_ddddocr_s_old_model_is_named_as_quantised_with_its_sizes() -> None:
    (row,) = gw.open(fetched(*DDDDOCR_OLD)).inspect()["outside"]
    assert (row["layout"], row["dtype"]) == ("onnx.DynamicQuantizeLSTM", "int8")
    assert (row["input_size"], row["hidden_size"]) == (512, 512)
    assert "int8" in row["why"]


def test_g2p_s_layers_are_said_to_be_unsure_and_are_converted_only_when_told(tmp_path: Path) -> None:
    path = fetched(*G2P)
    for layer in gw.open(path).layers:
        assert not layer.sure
        assert any("assumed" in text for text in layer.as_dict()["evidence"])
    with pytest.raises(NotRepresentable, match="cannot be converted unasked") as told:
        gw.convert(path, tmp_path / "out.safetensors")
    assert 'layout="torch.GRUCell"' in str(told.value)
    conversion = gw.convert(path, tmp_path / "out.safetensors", layout="torch.GRUCell")
    assert conversion.proof is not None
    assert conversion.proof.max_abs_error == 0


def test_g2p_s_cell_computes_what_its_own_source_does() -> None:
    """g2p_en/g2p.py, grucell: r, z, n in this order; n = tanh(x·W + b + r·(h·U + c)); h' = (1 - z)·n + z·h."""
    path = fetched(*G2P)
    arrays = np.load(path)
    random = np.random.default_rng(0)
    x, h = random.standard_normal((3, 256)), random.standard_normal((3, 256))
    rzn_ih = x @ arrays["enc_w_ih"].T + arrays["enc_b_ih"]
    rzn_hh = h @ arrays["enc_w_hh"].T + arrays["enc_b_hh"]
    r, z = np.split(1 / (1 + np.exp(-(rzn_ih[:, :512] + rzn_hh[:, :512]))), 2, -1)
    n = np.tanh(rzn_ih[:, 512:] + r * rzn_hh[:, 512:])
    y, _ = gw.run(gw.open(path)["enc"], x[:, None], h[None])
    assert np.abs(y[:, 0] - ((1 - z) * n + z * h)).max() < 1e-12


def chiron(model: str, name: str) -> gw.Checkpoint:
    return gw.open(fetched(CHIRON[0], f"{CHIRON[1]}/{model}/{name}"))


def lstm(name: str, features: int, directions: int) -> dict[str, Any]:
    return plain(name, "tf1.LSTMCell", features, 100, 1, directions) | {"bias": "single"}


def test_chiron_s_dna_model_is_three_bidirectional_layers() -> None:
    checkpoint = chiron("DNA_default", "final.ckpt-158301.index")
    assert [facts(layer) for layer in checkpoint.layers] == [
        lstm(f"BDLSTM_rnn/cell_{n}/bidirectional_rnn", 200 if n else 256, 2) for n in range(3)
    ]
    assert [(writer.framework, writer.version) for writer in checkpoint.written_by] == [("tensorflow", "1.13.1")]
    assert len(checkpoint.chains()) == 1  # each takes the output of the one below


def test_chiron_s_rna_model_is_two_towers_and_lstm_cells_whatever_its_scope_is_called() -> None:
    checkpoint = chiron("RNA_default", "final.ckpt-80000.index")
    towers = [
        lstm(f"BDGRU_rnn/{way}/multi_rnn_cell/cell_{n}/lstm_cell", 100 if n else 256, 1)
        for way in ("fw", "bw")
        for n in range(3)
    ]
    assert sorted(map(repr, map(facts, checkpoint.layers))) == sorted(map(repr, towers))
    assert {layer.cell for layer in checkpoint.layers} == {"lstm"}


@pytest.mark.parametrize(
    ("model", "name"), [("DNA_default", "final.ckpt-158301.index"), ("RNA_default", "final.ckpt-80000.index")]
)
def test_chiron_s_slots_are_no_layers_and_its_graph_tells_the_forget_bias(model: str, name: str) -> None:
    checkpoint = chiron(model, name)
    used = {tensor for layer in checkpoint.layers for tensor in layer.match.tensors}
    assert len(used) == 12
    assert not [tensor for tensor in used if "Adam" in tensor]
    assert sum("Adam" in tensor for tensor in checkpoint.tensors) == 96
    for layer in checkpoint.layers:
        assert layer.dialect.forget_bias == 1.0
        assert not [text for text in layer.assumed if text.startswith("forget_bias")]


def test_chiron_s_folder_is_opened_though_its_settings_are_called_model_json() -> None:
    folder = fetched(CHIRON[0], f"{CHIRON[1]}/DNA_default/model.json").parent
    assert len(gw.open(folder).layers) == 3
