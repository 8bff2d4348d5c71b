"""Plain pickles of arrays: read under every protocol and by every library's spelling, and never run."""

from __future__ import annotations

import hashlib
import mmap
import os
import pickle
import random
from collections import OrderedDict

import numpy as np
import pytest

import gatewise as gw
from gatewise.containers import open_tensors
from gatewise.containers._pickle_write import dumps
from gatewise.containers._pickled import MISSING, Global, Stub
from gatewise.errors import GatewiseError, LimitExceeded

TREE = {
    "params": {"lstm/linear": {"w": np.arange(12, dtype="f4").reshape(3, 4), "b": np.ones(4, "f2")}},
    "many": [np.zeros((2, 0)), (np.asfortranarray(np.arange(6).reshape(2, 3)), 7)],
    3: np.array(True),
    "note": "not an array",
}
NAMES = ["params/lstm/linear/w", "params/lstm/linear/b", "many/0", "many/1/0", "3"]


def opened(tmp_path, data, **more):
    (tmp_path / "x.pkl").write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, **more))
    return open_tensors(tmp_path / "x.pkl")


def same(tensors, arrays):
    return list(tensors) == list(arrays) and all(
        tensors[name].shape == array.shape
        and tensors[name].dtype == array.dtype.name
        and np.array_equal(tensors[name].array(), array)
        for name, array in arrays.items()
    )


@pytest.mark.parametrize("protocol", range(6))
def test_a_tree_of_arrays_is_read_under_every_protocol(tmp_path, protocol):
    tensors = opened(tmp_path, TREE, protocol=protocol)
    inner = TREE["params"]["lstm/linear"]
    wanted = [inner["w"], inner["b"], TREE["many"][0], TREE["many"][1][0], TREE[3]]
    assert tensors.container == "pickle"
    assert same(tensors, dict(zip(NAMES, wanted, strict=True)))


def test_a_flattened_tree_has_its_keys_joined(tmp_path):
    tensors = opened(tmp_path, {("params", "cell", "kernel"): np.ones(2), b"old": np.ones(1), frozenset(): np.ones(3)})
    assert list(tensors) == ["params/cell/kernel", "old", "<2>"]


def test_bfloat16_is_read(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3)
    tensors = opened(tmp_path, {"a": array})
    assert tensors["a"].dtype == "bfloat16"
    assert np.array_equal(tensors["a"].array(), array)


def stub(cls, *args, state=MISSING):
    """An object of a library that need not be there, for gatewise's own pickle writer."""
    module, _, name = cls.rpartition(".")
    made = Stub(Global(module, name), args)
    made.state = state
    return made


def array_parts(array):
    """What numpy's arrays pickle as: the function, its arguments, the state."""
    dtype = stub("numpy.dtype", array.dtype.str[1:], False, True, state=(3, "<", None, None, None, -1, -1, 0))
    function, args = Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (0,), b"b")
    return function, args, (1, array.shape, dtype, False, array.tobytes())


def array_stub(array):
    function, args, state = array_parts(array)
    return stub(str(function), *args, state=state)


class Reduced:
    """Pickles as a call of a function with arguments."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "cls",
    ["jax._src.array._reconstruct_array", "jax._src.device_array.reconstruct_device_array"],
    ids=["as jax pickles its arrays today", "as jax before 0.4 did"],
)
def test_a_jax_array_is_the_numpy_array_inside(tmp_path, cls):
    array = np.arange(6, dtype="f4").reshape(2, 3)
    tensors = opened(tmp_path, dumps({"w": stub(cls, *array_parts(array), {"weak_type": False})}))
    assert same(tensors, {"w": array})
    assert "jax" in [writer.framework for writer in tensors.written_by]


def test_a_class_around_a_dict_adds_nothing_to_the_path(tmp_path):
    tree = {"params": stub("flax.core.frozen_dict.FrozenDict", {"a": array_stub(np.ones(2))})}
    assert list(opened(tmp_path, dumps(tree))) == ["params/a"]


def test_optax_s_states_have_the_names_of_their_fields(tmp_path):
    count, mu, nu = (array_stub(np.ones(2)) for _ in range(3))
    state = stub("optax._src.transform.ScaleByAdamState", count, {"a": mu}, {"a": nu})
    tensors = opened(tmp_path, dumps({"opt_state": (stub("optax._src.base.EmptyState"), state)}))
    assert list(tensors) == ["opt_state/1/count", "opt_state/1/mu/a", "opt_state/1/nu/a"]


def test_one_array_under_two_names_is_one_storage(tmp_path):
    array = np.ones((2, 3))
    tensors = opened(tmp_path, {"a": array, "b": array, "c": array.copy()})
    assert tensors["a"].identity == tensors["b"].identity != tensors["c"].identity


def test_several_pickles_in_one_file_are_read_as_a_list(tmp_path):
    data = pickle.dumps({"a": np.ones(1)}) + pickle.dumps([np.ones(2)], protocol=2)
    assert list(opened(tmp_path, data)) == ["0/a", "1/0"]


def test_what_follows_the_last_pickle_is_told_and_jittor_s_checksum_tells_who_wrote_it(tmp_path):
    data = pickle.dumps({"weight": np.ones(3)})
    assert "5 bytes behind the last pickle are not read." in opened(tmp_path, data + b"12345").notes
    tensors = opened(tmp_path, data + hashlib.sha1(data).digest() + b"HCAJSLHD")
    assert tensors.notes == ()
    assert [writer.framework for writer in tensors.written_by if writer.framework != "numpy"] == ["jittor"]


def test_paddle_s_name_table_is_kept_and_tells_who_wrote_it(tmp_path):
    table = {"weight_ih_l0": "lstm_0.w_0"}
    tensors = opened(tmp_path, {"weight_ih_l0": np.ones((4, 3)), "StructuredToParameterName@@": table}, protocol=0)
    assert list(tensors) == ["weight_ih_l0"]
    assert tensors.metadata["tree"]["StructuredToParameterName@@"] == table
    assert "paddle" in [writer.framework for writer in tensors.written_by]


def test_nothing_in_a_pickle_runs(tmp_path):
    fatal = Reduced(os.system, (f"touch {tmp_path / 'ran'}",))
    assert list(opened(tmp_path, {"a": np.ones(2), "b": fatal, "c": fatal})) == ["a"]
    assert not (tmp_path / "ran").exists()


def test_a_cycle_ends_and_depth_is_bounded(tmp_path):
    tree = {"a": np.ones(2)}
    tree["self"] = [tree]
    assert list(opened(tmp_path, tree)) == ["a"]
    deep = np.ones(1)
    for _ in range(400):
        deep = [deep]
    with pytest.raises(LimitExceeded, match="nesting"):
        opened(tmp_path, deep)


def test_two_paths_that_spell_alike_lose_no_array(tmp_path):
    tensors = opened(tmp_path, {"a/b": np.zeros(1), "a": {"b": np.ones(1)}})
    assert [(name, tensor.array()[0]) for name, tensor in tensors.items()] == [("a/b", 0), ("a/b#2", 1)]


def test_an_ordered_dict_of_torch_s_names_is_a_torch_layer(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (16, 5), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}
    arrays = OrderedDict((f"lstm.{name}", rng.normal(size=shape).astype("f4")) for name, shape in shapes.items())
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(arrays, protocol=3))
    (layer,) = gw.open(tmp_path / "x.pkl").layers
    assert (layer.name, layer.layout, layer.spec.input_size, layer.spec.hidden_size) == ("lstm", "torch.LSTM", 5, 4)


@pytest.mark.framework("torch")
@pytest.mark.parametrize("whole", [False, True], ids=["a state dict", "a whole module"])
def test_torch_objects_pickled_without_torch_save_are_read(tmp_path, whole):
    import torch

    module = torch.nn.LSTM(5, 4, 2)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(module if whole else module.state_dict()))
    (layer,) = gw.open(tmp_path / "x.pkl").layers
    assert (layer.layout, layer.num_layers) == ("torch.LSTM", 2)
    for name, value in module.state_dict().items():
        assert np.array_equal(layer.tensors[name].array(), value.numpy())


def refusal(tmp_path, data):
    """Why a file is refused, or None."""
    try:
        for tensor in opened(tmp_path, data).values():
            tensor.array()
    except GatewiseError as error:
        return error
    return None


@pytest.mark.slow
def test_cut_anywhere_or_with_a_bit_flipped_it_is_refused_in_words_or_harmless(tmp_path):
    data = pickle.dumps(TREE, protocol=4)
    dice = random.Random(0)
    trials = [data[:end] for end in range(1, len(data))]
    for _ in range(500):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        trials.append(bytes(flipped))
    refused = [str(error) for error in map(refusal, [tmp_path] * len(trials), trials) if error]
    assert len(refused) > len(data)
    assert not [text for text in refused if "not a well-formed" in text]


def findings(tmp_path, data):
    (tmp_path / "x.pkl").write_bytes(data)
    found = gw.diagnose(tmp_path / "x.pkl")
    return [(finding.code, finding.why) for finding in found if finding.code.startswith("GW6")]


def test_an_honest_pickle_is_healthy_and_one_that_runs_something_is_unsafe(tmp_path):
    array = np.arange(6, dtype="f4").reshape(2, 3)
    jax = stub("jax._src.array._reconstruct_array", *array_parts(array), {"weak_type": False})
    assert findings(tmp_path, dumps({"params": {"w": jax}, "b": array_stub(array)})) == []
    assert findings(tmp_path, pickle.dumps(TREE)) == []
    ((code, why),) = findings(tmp_path, pickle.dumps({"a": array, "b": Reduced(os.system, ("true",))}))
    assert code == "GW602"
    assert "pickle.load runs" in why


def test_the_elements_of_an_array_stay_where_they_lie_in_the_file(tmp_path):
    tensors = opened(tmp_path, {"large": np.ones((64, 64)), "small": np.ones(2)}, protocol=4)
    assert isinstance(tensors["large"].data.buffer.obj, mmap.mmap)
    assert not tensors["large"].array().flags.writeable
