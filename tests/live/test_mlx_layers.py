"""MLX in memory: modules written in place, trees of parameters, gradients, freezing, files, layers of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import mlx as makers

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError
from gatewise.layouts import Layout, Part
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

pytestmark = pytest.mark.framework("mlx")
UNIT = makers.UNIT


def test_writing_to_a_module_is_in_place_and_to_its_parameters_a_new_tree() -> None:
    model = makers.model()
    tree = model.parameters()
    made = gw.set_forget_bias(tree, 1.5)
    assert np.array(made["layers"][0]["bias"])[UNIT : 2 * UNIT].tolist() == [1.5] * UNIT
    assert abs(np.array(model.layers[0].bias)).max() < 1
    assert made["out"]["weight"] is tree["out"]["weight"]
    assert gw.set_forget_bias(model, 1.5) is model
    assert np.array(model.layers[0].bias)[UNIT : 2 * UNIT].tolist() == [1.5] * UNIT


def test_the_gradient_of_a_penalty_hits_exactly_the_selected_elements() -> None:
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten

    model = makers.model()

    def penalty(subject: Any) -> Any:
        return gw.select(subject, role="recurrent_kernel", gate="f").l2()

    kernel = np.array(model.layers[0].Wh)
    wanted = np.zeros_like(kernel)
    wanted[UNIT : 2 * UNIT] = 2 * kernel[UNIT : 2 * UNIT]
    for found in (nn.value_and_grad(model, penalty)(model)[1], mx.grad(penalty)(model.parameters())):
        leaves = {name: np.array(leaf) for name, leaf in tree_flatten(found)}
        np.testing.assert_allclose(leaves.pop("layers.0.Wh"), wanted, rtol=1e-6)
        assert not any(leaf.any() for leaf in leaves.values())


def test_freezing_is_mlxs_own_switch_and_training_leaves_it_alone() -> None:
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx import nn

    model = makers.layer("LSTM")
    gw.freeze(model, role="recurrent_kernel")
    assert set(model.trainable_parameters()) == {"Wx", "bias"}
    before = {name: np.array(value) for name, value in model.parameters().items()}
    x = mx.random.normal((2, 7, makers.FEATURE))
    _, grads = nn.value_and_grad(model, lambda each: (each(x)[0] ** 2).sum())(model)
    optim.SGD(0.1).update(model, grads)
    moved = {name for name, value in model.parameters().items() if not np.array_equal(np.array(value), before[name])}
    assert moved == {"Wx", "bias"}
    gw.unfreeze(model, role="recurrent_kernel")
    assert set(model.trainable_parameters()) == {"Wx", "Wh", "bias"}


def test_a_tree_of_masks_has_the_shape_of_the_parameters() -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_map

    model = makers.model()
    masks = gw.select(model, role="recurrent_kernel", gate="f").mask_tree()
    masked = dict(tree_flatten(tree_map(lambda mask, value: mx.where(mask, value, 0), masks, model.parameters())))
    kernel = np.array(masked.pop("layers.0.Wh"))
    assert kernel[UNIT : 2 * UNIT].all()
    assert int((kernel != 0).sum()) == UNIT * UNIT
    assert not any(np.array(value).any() for value in masked.values())


def test_a_module_and_the_file_that_mlx_writes_of_it_are_the_same_layers(tmp_path: Path) -> None:
    model = makers.model()
    gw.set_forget_bias(model, 2.0)
    model.save_weights(str(tmp_path / "model.safetensors"))
    ours, theirs = gw.of(model), gw.open(tmp_path / "model.safetensors")
    assert [layer.name for layer in theirs.layers] == [layer.name for layer in ours] == ["layers.0", "layers.1"]
    for layer in theirs.layers:
        for role, gates in layer[0, "forward"].roles.items():
            for gate in gates:
                np.testing.assert_array_equal(gates[gate], ours[layer.name][0, "forward"].roles[role][gate])


def mine(gates: str) -> Layout:
    return Layout(
        "mine.LSTM", "lstm", gates,
        (Part("wx", KERNEL, "(gate unit) feature"), Part("wh", RECURRENT_KERNEL, "(gate unit) hidden"), Part("b", BIAS, "(gate unit)")),
        "tests",
    )  # fmt: skip


def _own() -> Any:
    import mlx.core as mx
    from mlx import nn

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            mx.random.seed(4)
            self.wx, self.wh, self.b = (0.3 * mx.random.normal(shape) for shape in ((20, 3), (20, 5), (20,)))

        def __call__(self, x: Any, state: Any) -> Any:
            h, c = state
            outputs = []
            for step in range(x.shape[1]):
                o, g, f, i = mx.split(x[:, step] @ self.wx.T + h @ self.wh.T + self.b, 4, axis=-1)
                c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
                h = mx.sigmoid(o) * mx.tanh(c)
                outputs.append(h)
            return mx.stack(outputs, axis=1), (h, c)

    return Own()


def test_a_module_of_ones_own_is_believed_when_its_own_run_agrees() -> None:
    live = gw.of(_own(), layout=mine("ogfi"))
    proof = live.prove()
    assert proof.max_abs_error < 1e-6
    assert proof.compared == ("y", "h_n", "c_n")
    with pytest.raises(ProofFailed, match="computes something else"):
        gw.of(_own(), layout=mine("ogif"))
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.of(_own())


def test_a_described_class_is_found_in_a_model_and_written_through() -> None:
    from mlx import nn

    own = _own()
    gw.described_by(mine("ogfi"))(type(own))
    model = nn.Module()
    model.own, model.gru = own, makers.layer("GRU", 5)
    live = gw.of(model)
    assert [layer.layout for layer in live] == ["mlx.GRU", "mine.LSTM"]
    live["own"][0, "forward"].bias["f"] = 1.0
    assert np.array(model.own.b)[10:15].tolist() == [1.0] * 5
