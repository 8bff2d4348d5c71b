"""Every real torch file: its tensors bit for bit, mapped and not copied, listed without numpy, its modules named."""

import subprocess
import sys

import numpy as np
import pytest
from together import folder, together
from torch_help import FILES, named, prefix, recorded

from gatewise.containers import open_tensors
from gatewise.tensors import Strided

RECORDED = [path for path in FILES if recorded(path) is not None]


def opened(name):
    return open_tensors(next(path for path in FILES if named(path) == name))


@together("path", RECORDED, of=folder, said=named)
def test_tensors_are_what_the_framework_held_bit_for_bit(path):
    tensors, expected = open_tensors(path), recorded(path)
    before = prefix(path)
    names = [name for name in tensors if not name.startswith("optimizer")]
    ours = {name[len(before) :].removeprefix("module."): tensors[name] for name in names}
    assert ours.keys() == expected.keys()
    for name, array in expected.items():
        found = ours[name].array()
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


@together("path", FILES, of=folder, said=named)
def test_tensors_are_views_of_the_mapped_file(path):
    for tensor in open_tensors(path).values():
        assert isinstance(tensor.data, Strided)
        mapped = np.frombuffer(tensor.data.ground, "u1")
        assert np.shares_memory(tensor.array(), mapped)
        assert len(mapped) == path.stat().st_size
        assert not tensor.array().flags.writeable


def test_listing_imports_neither_numpy_nor_torch_nor_pickle():
    program = (
        "import sys\n"
        "from gatewise.containers import open_tensors\n"
        "for path in sys.argv[1:]:\n"
        "    tensors = open_tensors(path)\n"
        "    [(t.name, t.shape, t.nbytes, t.where, t.identity) for t in tensors.values()], tensors.declared\n"
        "print(sorted({'numpy', 'torch', 'pickle', 'pickletools'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, FILES)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_file_says_its_container():
    for path in FILES:
        container = open_tensors(path).container
        if path.suffix == ".ts":
            assert container == "torchscript"
        elif path.read_bytes()[:2] == b"PK":
            assert container == "torch-zip"
        else:
            assert container == "torch-legacy"


# What the files say of their modules.


@pytest.mark.parametrize("version", ["1.0.1", "1.3.1", "1.13.1", "2.13.0"])
def test_a_module_is_declared_with_its_class_and_settings(version):
    (lstm,) = opened(f"{version}/lstm_bi2.module.pt").declared
    assert (lstm.path, lstm.kind) == ("", "torch.nn.modules.rnn.LSTM")
    wanted = {"mode": "LSTM", "input_size": 5, "hidden_size": 4, "num_layers": 2, "bidirectional": True}
    wanted |= {"bias": True, "batch_first": False, "training": False, "dropout": 0.0}
    assert {name: lstm.settings[name] for name in wanted} == wanted
    assert not any(name.endswith("_hooks") for name in lstm.settings)


def test_the_modules_of_a_users_class_are_declared_by_their_paths():
    declared = {d.path: d.kind for d in opened("1.8.1/tagger.module.pt").declared}
    assert declared == {
        "": "legacy_tagger.Tagger",
        "embed": "torch.nn.modules.sparse.Embedding",
        "lstm": "torch.nn.modules.rnn.LSTM",
        "out": "torch.nn.modules.linear.Linear",
    }


@pytest.mark.parametrize("version", ["1.0.1", "1.3.1", "1.13.1", "2.13.0"])
def test_weight_norm_is_told_by_its_hook_and_its_stale_weight_is_not_listed(version):
    tensors = opened(f"{version}/lstm_weightnorm.module.pt")
    (lstm,) = tensors.declared
    assert lstm.settings["hooks"] == [
        {"kind": "torch.nn.utils.weight_norm.WeightNorm", "name": "weight_hh_l0", "dim": 0}
    ]
    assert "weight_hh_l0" not in tensors
    assert "weight_hh_l0" in tensors.metadata["tree"].attributes


@pytest.mark.parametrize("version", ["1.4.0", "2.13.0"])
def test_pruning_is_told_by_its_hook(version):
    (lstm,) = opened(f"{version}/lstm_pruned.module.pt").declared
    (hook,) = lstm.settings["hooks"]
    assert hook["kind"] == "torch.nn.utils.prune.L1Unstructured"
    assert (hook["_tensor_name"], hook["amount"]) == ("weight_ih_l0", 0.3)


@pytest.mark.parametrize("name", [named(p) for p in FILES if "qdyn" in p.name and "module" in p.name])
def test_a_quantised_module_is_named_and_its_weights_are_not_plain_tensors(name):
    tensors = opened(name)
    kinds = {d.path: d.kind for d in tensors.declared}
    assert "quantized.dynamic.modules.rnn.LSTM" in kinds["lstm"]
    assert "torch.quantized tensor" in kinds.values() or "float16" in name
    assert not any(tensor.startswith("lstm.weight") for tensor in tensors)


def test_packed_weights_of_a_quantised_state_dict_are_declared():
    kinds = {d.kind for d in opened("1.8.1/tagger.qdyn_qint8.state.pt").declared}
    assert {"torch._C.ScriptObject", "torch.quantized tensor"} <= kinds


def test_script_modules_lose_their_mangling_and_keep_their_names():
    declared = {d.path: d.kind for d in opened("1.3.1/lstm_bi2.wrapped.script.ts").declared}
    assert declared == {"": "__torch__.LSTMWrap", "rnn": "__torch__.torch.nn.modules.rnn.LSTM"}
    names = list(opened("1.0.1/lstm_bi2.trace.ts"))
    assert names[:2] == ["weight_ih_l0", "weight_hh_l0"]


def test_a_checkpoint_is_walked_through_its_dicts_and_its_namespace():
    tensors = opened("1.6.0/tagger.checkpoint.pth.tar")
    assert "state_dict.lstm.weight_ih_l0_reverse" in tensors
    assert "optimizer.state.0.exp_avg" in tensors
    tree = tensors.metadata["tree"]
    assert str(tree["args"].cls) == "argparse.Namespace"
    assert tree["args"].attributes["hidden"] == 4


def test_the_places_of_tensors_are_said():
    assert opened("1.0.1/rnn_tanh.state.pt")["weight_ih_l0"].where.startswith("byte ")
    assert opened("2.13.0/rnn_tanh.state.pt")["weight_ih_l0"].where == "member rnn_tanh.state/data/0"
