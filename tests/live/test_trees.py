"""Trees of arrays that no class tells, read and written by their names; without any framework, and with torch's tensors."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError
from gatewise.layouts import Layout, Part
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

UNIT, FEATURE = 4, 3


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-0.5, 0.5, shape).astype(np.float32)


def state_dict(prefix: str = "") -> OrderedDict[str, np.ndarray]:
    """torch's own names."""
    return OrderedDict(
        (f"{prefix}{name}_l0", numbers(4 * UNIT, *more))
        for name, more in (("weight_ih", (FEATURE,)), ("weight_hh", (UNIT,)), ("bias_ih", ()), ("bias_hh", ()))
    )


Place = namedtuple("Place", "encoder rest")


def nested() -> dict[str, Any]:
    """A dict of tuples of lists, with what is no array beside."""
    return {"model": Place(state_dict(), [1, None, "text", {"other": np.arange(3)}]), "step": 7}


@pytest.mark.parametrize("make", [state_dict, lambda: state_dict("encoder.lstm."), nested], ids=["state dict", "with a prefix", "nested"])  # fmt: skip
def test_a_dict_of_arrays_is_a_layer_and_writing_gives_a_new_one_of_the_same_types(make: Any) -> None:
    tree = make()
    live = gw.of(tree)
    assert (live.layout, live.spec.hidden_size, live.parameters) == (
        "torch.LSTM",
        UNIT,
        4 * UNIT * (FEATURE + UNIT + 2),
    )
    kept = [array.copy() for array in arrays(tree)]
    live[0, "forward"].bias["f"] = 3.0
    for array, before in zip(arrays(tree), kept, strict=True):
        np.testing.assert_array_equal(array, before)
    made = live.result
    assert skeleton(made) == skeleton(tree)
    changed = [int((new != old).sum()) for new, old in zip(arrays(made), arrays(tree), strict=True)]
    assert sum(changed) == UNIT == max(changed)
    assert gw.of(made)[0, "forward"].bias["f"].tolist() == [3.0] * UNIT
    untouched = [new is old for new, old in zip(arrays(made), arrays(tree), strict=True)]
    assert untouched.count(False) == 1  # what was not written is the very same array


def arrays(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, np.ndarray):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [array for part in parts for array in arrays(part)]


def skeleton(tree: Any) -> Any:
    """The types and keys of a tree, with what is no array."""
    if isinstance(tree, np.ndarray):
        return tree.shape, tree.dtype
    if isinstance(tree, dict):
        return type(tree), [(key, skeleton(part)) for key, part in tree.items()]
    return (type(tree), [skeleton(part) for part in tree]) if isinstance(tree, (list, tuple)) else tree


def test_what_is_read_is_the_trees_own_memory_and_cannot_be_written() -> None:
    tree = state_dict()
    view = gw.of(tree)[0, "forward"].kernel["f"]
    assert np.shares_memory(view, tree["weight_ih_l0"])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1.0
    assert tree["weight_ih_l0"].flags.writeable


def test_no_framework_is_imported_for_a_dict_of_numpy_arrays() -> None:
    code = (
        "import numpy as np, sys, gatewise as gw\n"
        "names = {'weight_ih_l0': (16, 3), 'weight_hh_l0': (16, 4), 'bias_ih_l0': (16,), 'bias_hh_l0': (16,)}\n"
        "tree = {name: np.zeros(shape, 'f4') for name, shape in names.items()}\n"
        "gw.set_forget_bias(tree, 1.0)\n"
        "print([name for name in ('jax', 'torch', 'flax', 'haiku', 'equinox', 'mlx', 'keras') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def mine(gates: str) -> Layout:
    return Layout(
        "mine.LSTM", "lstm", gates,
        (Part("wx", KERNEL, "feature (gate unit)"), Part("wh", RECURRENT_KERNEL, "hidden (gate unit)"), Part("b", BIAS, "(gate unit)")),
        "tests",
    )  # fmt: skip


def my_tree() -> dict[str, Any]:
    return {"cell": {"wx": numbers(FEATURE, 4 * UNIT), "wh": numbers(UNIT, 4 * UNIT), "b": numbers(4 * UNIT)}}


def my_step(tree: Any, x: Any, h: Any, c: Any) -> Any:
    """Gates o, i, g, f; the output, then both states."""
    cell = tree["cell"]
    o, i, g, f = np.split(x @ cell["wx"] + h @ cell["wh"] + cell["b"], 4, -1)
    c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    h = np.tanh(c) / (1 + np.exp(-o))
    return h, h, c


def my_run(tree: Any, x: Any, state: Any) -> Any:
    h, c = (each[0] for each in state)
    outputs = []
    for now in x.swapaxes(0, 1):
        y, h, c = my_step(tree, now, h, c)
        outputs.append(y)
    return np.stack(outputs, 1), (h, c)


def test_a_function_and_its_parameters_are_a_layer_once_they_agree_with_the_layout() -> None:
    tree = my_tree()
    live = gw.of((my_step, tree), layout=mine("oigf"))
    assert live.prove().max_abs_error < 1e-6
    live[0, "forward"].bias["f"] = 2.5
    assert live.prove().max_abs_error < 1e-6
    function, made = live.result
    assert function is my_step
    assert made["cell"]["b"][-UNIT:].tolist() == [2.5] * UNIT
    assert set(live.to("torch.LSTM")) == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}


def test_a_wrong_gate_order_is_refused() -> None:
    for subject, said in (((my_step, my_tree()), {}), (my_tree(), {"run": my_run})):
        with pytest.raises(ProofFailed, match=r"computes something else than mine\.LSTM"):
            gw.of(subject, layout=mine("iogf"), **said)


def test_a_tree_alone_is_believed_and_called_as_the_user_says() -> None:
    live = gw.of(my_tree(), layout=mine("oigf"), run=my_run)
    assert live.prove().max_abs_error < 1e-6
    alone = gw.of(my_tree(), layout=mine("oigf"))
    with pytest.raises(UsageError, match="nothing to call"):
        alone.run(np.zeros((1, 2, FEATURE)))


def test_an_unknown_tree_is_told_what_it_holds() -> None:
    with pytest.raises(UsageError, match="an object of dict holds no recurrent layer"):
        gw.of({"kernel": numbers(3, 4), "bias": numbers(4)})
    with pytest.raises(
        UsageError, match=r"does not hold what mine.LSTM describes \(wx, wh, b\).* It holds kernel \[3, 4\]"
    ):
        gw.of({"kernel": numbers(3, 4)}, layout=mine("oigf"))
    for nothing in ({}, [], 3, "text", None, [1, 2, {"a": "b"}]):
        with pytest.raises(UsageError):
            gw.of(nothing)


def test_what_is_no_plain_layer_is_named_with_the_reason() -> None:
    stacked = {"cell": {"i": {"kernel": numbers(2, 3, 4), "bias": numbers(2, 4)}, "h": {"kernel": numbers(2, 4, 4)}}}
    with pytest.raises(UsageError, match=r"cell is a flax\.SimpleCell, several in one: .* copies that lie along it"):
        gw.of(stacked)


def test_what_is_assumed_is_said_of_the_object() -> None:
    tree = {"rnn": {"Wxh": numbers(4, 3), "Whh": numbers(4, 4), "bias": numbers(4)}}
    assert gw.of(tree).assumed == ("activation = tanh (the object does not hold it; mlx.nn.RNN's default)",)
    assert gw.of(tree, activation="relu").assumed == ()


def test_a_tree_that_holds_itself_is_refused() -> None:
    tree: dict[str, Any] = {"weight": numbers(3)}
    tree["again"] = tree
    with pytest.raises(UsageError, match="nested more than"):
        gw.of(tree)


def test_an_optimizers_moments_are_no_layers() -> None:
    tree = {"params": state_dict(), "opt_state": [{"mu": state_dict(), "nu": state_dict()}]}
    assert gw.of(tree).name == "params"


@pytest.mark.framework("flax")
def test_a_class_of_ones_own_that_jax_knows_as_a_tree_is_a_layer_once_it_agrees() -> None:
    import dataclasses

    import jax

    @dataclasses.dataclass
    class Own:
        wx: Any
        wh: Any
        b: Any

        def __call__(self, x: Any, state: Any) -> Any:
            h, c = state
            o, i, g, f = jax.numpy.split(x @ self.wx + h @ self.wh + self.b, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            return jax.nn.sigmoid(o) * jax.numpy.tanh(c), c

    jax.tree_util.register_dataclass(Own, data_fields=["wx", "wh", "b"], meta_fields=[])
    own = Own(**{name: jax.numpy.asarray(array) for name, array in my_tree()["cell"].items()})
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.of({"rnn": own})
    live = gw.of(own, layout=mine("oigf"))
    assert live.prove().max_abs_error < 1e-6
    with pytest.raises(ProofFailed):
        gw.of(own, layout=mine("iogf"))
    gw.described_by(mine("oigf"))(Own)
    made = gw.set_forget_bias({"rnn": [own]}, 2.0)
    assert type(made["rnn"][0]) is Own
    assert made["rnn"][0].b[-UNIT:].tolist() == [2.0] * UNIT
    assert gw.of(made)[0, "forward"].bias["f"].tolist() == [2.0] * UNIT


@pytest.mark.framework("torch")
def test_a_state_dict_of_torchs_tensors_gives_a_new_one_that_torch_loads() -> None:
    import torch

    module = torch.nn.GRU(FEATURE, UNIT, 2, bidirectional=True)
    kept = module.state_dict()
    live = gw.of(kept)
    live[1, "reverse"].bias["z"] = 4.0
    made = live.result
    assert type(made) is type(kept)
    assert list(made) == list(kept)
    other = torch.nn.GRU(FEATURE, UNIT, 2, bidirectional=True)
    other.load_state_dict(made)
    assert gw.of(other)[1, "reverse"].bias["z"].tolist() == [4.0] * UNIT
    assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())
    weights = {name: value.clone().requires_grad_() for name, value in kept.items()}
    gw.select(weights, role="recurrent_kernel", gate="r", layer=0, direction="forward").l2().backward()
    grads = {name for name, value in weights.items() if value.grad is not None and bool(value.grad.any())}
    assert grads == {"weight_hh_l0"}
    assert int((weights["weight_hh_l0"].grad != 0).sum()) == UNIT * UNIT


def test_weights_in_a_private_map_are_saved_and_kept(tmp_path: Path) -> None:
    """numpy's memmap with mode "c": what was changed in it is in this process's memory only."""
    np.zeros((400, 100), "f4").tofile(tmp_path / "own.bin")
    kernel = np.memmap(tmp_path / "own.bin", "f4", "c", shape=(400, 100))
    kernel[:] = np.random.default_rng(0).standard_normal((400, 100))
    before = np.array(kernel)
    arrays = {"weight_ih_l0": kernel, "weight_hh_l0": np.zeros((400, 100), "f4"), "bias_ih_l0": np.zeros(400, "f4"), "bias_hh_l0": np.zeros(400, "f4")}  # fmt: skip
    gw.save(gw.of(arrays), tmp_path / "saved.safetensors")
    assert np.array_equal(kernel, before)
    assert np.array_equal(gw.open(tmp_path / "saved.safetensors").tensors["weight_ih_l0"].array(), before)
