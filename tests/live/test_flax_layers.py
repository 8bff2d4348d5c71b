"""Flax in memory: what a module tells and what its variables alone do not, new trees of the same kind, gradients, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import flax as makers

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError
from gatewise.layouts import Layout, Part
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

pytestmark = pytest.mark.framework("flax")


def _trees() -> dict[str, Any]:
    """The same variables in every form that people keep them in."""
    from flax.core import freeze

    state = makers.train_state()
    variables = {"params": state.params}
    return {
        "variables": variables,
        "frozen variables": freeze(variables),
        "params": variables["params"],
        "below a key": {"model": [variables]},
        "a train state": state,
        "with its module": (state.apply_fn.__self__, variables),
    }


@pytest.mark.parametrize("form", ["variables", "frozen variables", "params", "below a key", "a train state", "with its module"])  # fmt: skip
def test_writing_gives_a_new_tree_of_the_same_structure_types_and_places(form: str) -> None:
    import jax

    tree = _trees()[form]
    live = gw.of(tree)
    assert (live.cell, live.parameters) == ("lstm", makers.UNIT * 4 * (makers.FEATURE + makers.UNIT + 1))
    made = gw.set_forget_bias(tree, 1.5)
    if form == "with its module":
        assert made[0] is tree[0]
        tree, made = tree[1], made[1]
    assert type(made) is type(tree)
    assert jax.tree.structure(made) == jax.tree.structure(tree)
    assert gw.of(made)[0, "forward"].bias["f"].tolist() == [1.5] * makers.UNIT
    assert abs(gw.of(tree)[0, "forward"].bias["f"]).max() < 1
    changed = 0
    for new, old in zip(jax.tree.leaves(made), jax.tree.leaves(tree), strict=True):
        if hasattr(old, "dtype"):
            assert (new.dtype, new.sharding, new.committed) == (old.dtype, old.sharding, old.committed)
        changed += new is not old
    assert changed == 1


def test_a_committed_array_stays_on_its_device_in_its_dtype() -> None:
    import jax

    device = jax.devices()[0]
    params = jax.tree.map(
        lambda leaf: jax.device_put(leaf.astype("bfloat16"), device), makers.linen_cell("LSTMCell")[1]
    )
    live = gw.of(params)
    view = live[0, "forward"].bias["f"]
    assert view.dtype.name == "bfloat16"
    leaf = params["params"]["hf"]["bias"]
    assert view.ctypes.data == leaf.unsafe_buffer_pointer()  # read where it lies
    live[0, "forward"].bias["f"] = 1.0
    made = live.result["params"]["hf"]["bias"]
    assert made.committed
    assert (made.dtype, made.sharding) == (leaf.dtype, leaf.sharding)


def test_a_module_tells_its_activations_and_variables_alone_do_not() -> None:
    module, variables = makers.linen_cell("GRUCell", gate_fn=_hard, activation_fn=_relu)
    told = gw.of((module, variables))
    assert (told.dialect.recurrent_activation, told.dialect.activation) == ("hard_sigmoid(1/6)", "relu")
    assert not told.assumed
    alone = gw.of(variables)
    assert (alone.dialect.recurrent_activation, alone.dialect.activation) == ("sigmoid", "tanh")
    assert [text.partition(" =")[0] for text in alone.assumed] == ["recurrent_activation", "activation"]
    said = gw.of(variables, activation="relu", recurrent_activation="hard_sigmoid(1/6)")
    assert said.dialect == told.dialect
    assert not said.assumed


def _hard(x: Any) -> Any:
    import jax

    return jax.nn.hard_sigmoid(x)


def _relu(x: Any) -> Any:
    return (x + abs(x)) / 2  # by no name that anybody knows


def test_an_activation_that_nobody_knows_is_named_and_not_guessed() -> None:
    import jax

    live = gw.of(makers.linen_cell("GRUCell", activation_fn=jax.numpy.sin))
    with pytest.raises(gw.GatewiseError, match="the activation 'sin' is not one"):
        live.prove()


def test_a_residual_cell_is_no_plain_one() -> None:
    for subject in (makers.linen_cell("SimpleCell", residual=True), makers.nnx_cell("SimpleCell", residual=True)):
        with pytest.raises(
            UsageError, match="holds no recurrent layer that gatewise can read: it is a SimpleCell, and no layout"
        ):
            gw.of(subject)


def test_a_residual_cell_beside_a_plain_one_is_not_left_out_unsaid() -> None:
    plain, residual = (makers.nnx_cell("SimpleCell", residual=each) for each in (False, True))
    with pytest.warns(UserWarning, match="left out: residual is a SimpleCell, and no layout"):
        assert gw.of({"plain": plain, "residual": residual}).name == "plain"


def test_a_linen_module_alone_has_no_weights_and_is_told_so() -> None:
    import flax.linen as nn

    with pytest.raises(UsageError, match=r"\(RNN\) holds no weights; its variables do\. Give both"):
        gw.of(nn.RNN(nn.LSTMCell(3)))


def test_cells_of_a_compact_method_are_known_by_name_and_their_activations_assumed() -> None:
    import flax.linen as nn
    import jax

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(2)(nn.RNN(nn.GRUCell(3))(nn.RNN(nn.LSTMCell(4))(x)))

    module = Model()
    variables = makers.randomised(jax.eval_shape(module.init, jax.random.key(0), jax.numpy.ones((2, 7, 5))))
    model = gw.of((module, variables))
    assert sorted(layer.name for layer in model) == ["params/GRUCell_0", "params/LSTMCell_0"]
    assert all(layer.assumed for layer in model)
    y = module.apply(variables, np.zeros((1, 2, 5), np.float32))
    assert not np.allclose(module.apply(gw.set_forget_bias((module, variables), 9.0)[1], np.zeros((1, 2, 5))), y)


def test_what_is_written_to_a_model_is_what_the_whole_model_computes() -> None:
    """The encoder's gates written by name, and the same numbers put into the tree by hand."""
    import jax

    module, variables = makers.linen_model()
    x = jax.random.normal(jax.random.key(1), (2, 7, makers.FEATURE))
    model = gw.of((module, variables))
    value = np.random.default_rng(1).uniform(-0.5, 0.5, (makers.UNIT, makers.FEATURE))
    model["encoder"][0, "reverse"].kernel["g"] = value
    by_hand = jax.tree.map(lambda leaf: leaf, variables)
    by_hand["params"]["encoder"]["backward_rnn"]["cell"]["ig"]["kernel"] = jax.numpy.asarray(value.T, "float32")
    np.testing.assert_array_equal(module.apply(model.result[1], x), module.apply(by_hand, x))


@pytest.mark.parametrize("jitted", [False, True], ids=["plain", "jitted"])
@pytest.mark.parametrize("paired", [False, True], ids=["the tree alone", "with its module"])
def test_the_gradient_of_a_penalty_hits_exactly_the_selected_elements(jitted: bool, paired: bool) -> None:
    import jax

    module, variables = makers.linen(makers._both, "LSTMCell")

    def penalty(tree: Any) -> Any:
        return gw.select((module, tree) if paired else tree, role="recurrent_kernel", gate="f").l2()

    gradient = jax.grad(penalty)
    found = (jax.jit(gradient) if jitted else gradient)(variables)
    for (path, got), leaf in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(variables), strict=True):
        chosen = [key.key for key in path][-2:] == ["hf", "kernel"]
        np.testing.assert_allclose(got, 2 * leaf if chosen else 0 * leaf, rtol=1e-6)


def test_the_gradient_of_a_penalty_in_nnx_hits_exactly_the_selected_elements() -> None:
    import jax
    from flax import nnx

    module = makers.nnx_rnn("OptimizedLSTMCell")
    found = nnx.grad(lambda model: gw.select(model, role="recurrent_kernel", gate="f").l2())(module)
    kernel = module.cell.dense_h.kernel[...]
    wanted = np.zeros(kernel.shape, np.float32)
    wanted[:, makers.UNIT : 2 * makers.UNIT] = 2 * kernel[:, makers.UNIT : 2 * makers.UNIT]
    np.testing.assert_allclose(found["cell"]["dense_h"]["kernel"][...], wanted, rtol=1e-6)
    rest = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(found) if "dense_h" not in str(path[1]) or "kernel" not in str(path[2])]  # fmt: skip
    assert not any(np.any(np.asarray(leaf)) for leaf in rest)


def test_traced_numbers_are_not_read_and_that_is_told() -> None:
    import jax

    def read(tree: Any) -> Any:
        return gw.of(tree)[0, "forward"].bias["f"].sum()

    with pytest.raises(UsageError, match="this array is traced by jax"):
        jax.jit(read)(makers.linen_cell("LSTMCell")[1])
    shapes = jax.eval_shape(lambda: makers.linen_cell("LSTMCell")[1])
    assert gw.of(shapes).spec.hidden_size == makers.UNIT


def test_an_nnx_state_gives_a_new_state_that_updates_the_module() -> None:
    import jax
    from flax import nnx

    module = makers.nnx_model()
    state = nnx.state(module, nnx.Param)
    made = gw.set_forget_bias(state, 2.0)
    assert type(made) is type(state)
    assert jax.tree.structure(made) == jax.tree.structure(state)
    encoder = gw.of(module)["encoder"]
    assert abs(encoder[0, "reverse"].bias["f"]).max() < 1
    nnx.update(module, made)
    assert encoder[0, "reverse"].bias["f"].tolist() == [2.0] * makers.UNIT


def test_writing_to_an_nnx_module_keeps_its_variables() -> None:
    from flax import nnx

    module = makers.nnx_cell("LSTMCell")
    variable = module.hf.bias
    assert gw.set_forget_bias(module, 1.0) is module
    assert module.hf.bias is variable
    assert isinstance(variable, nnx.Param)
    assert variable[...].tolist() == [1.0] * makers.UNIT


def _pure_nnx() -> Any:
    from flax import nnx

    return nnx.to_pure_dict(nnx.state(makers.nnx_model(), nnx.Param))


FILES = {"linen": lambda: makers.linen_model()[1], "train state": makers.train_state, "nnx": _pure_nnx}


@pytest.mark.parametrize("kind", FILES)
def test_a_tree_and_the_file_that_flax_writes_of_it_are_the_same_layers(kind: str, tmp_path: Path) -> None:
    import jax
    from flax import serialization

    tree = gw.set_forget_bias(FILES[kind](), 2.0)
    (tmp_path / "tree.msgpack").write_bytes(serialization.to_bytes(jax.tree.map(np.asarray, tree)))
    ours, theirs = gw.of(tree), gw.open(tmp_path / "tree.msgpack")
    layers = {layer.name: layer for layer in ours.layers}
    assert set(layers) == {layer.name for layer in theirs.layers}
    for layer in theirs.layers:
        assert layer.layout == layers[layer.name].layout
        for place, weights in layer:
            for role, gates in weights.roles.items():
                for gate in gates:
                    np.testing.assert_array_equal(gates[gate], layers[layer.name][place].roles[role][gate])


def mine(gates: str) -> Layout:
    return Layout(
        "mine.LSTM", "lstm", gates,
        (Part("wx", KERNEL, "feature (gate unit)"), Part("wh", RECURRENT_KERNEL, "hidden (gate unit)"), Part("b", BIAS, "(gate unit)")),
        "tests",
    )  # fmt: skip


def _step(weights: Any, carry: Any, x: Any) -> Any:
    import jax

    c, h = carry
    o, g, f, i = jax.numpy.split(x @ weights["wx"] + h @ weights["wh"] + weights["b"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
    return (c, h), h


_SHAPES = {"wx": (3, 20), "wh": (5, 20), "b": (20,)}


def _own_linen() -> Any:
    import flax.linen as nn
    import jax

    class Own(nn.Module):
        @nn.compact
        def __call__(self, carry: Any, x: Any) -> Any:
            make = nn.initializers.normal(0.3)
            return _step({name: self.param(name, make, shape) for name, shape in _SHAPES.items()}, carry, x)

    module, zeros = Own(), jax.numpy.zeros((2, 5))
    return module, module.init(jax.random.key(0), (zeros, zeros), jax.numpy.zeros((2, 3)))


def _own_nnx() -> Any:
    import jax
    from flax import nnx

    class Own(nnx.Module):
        def __init__(self) -> None:
            for number, (name, shape) in enumerate(_SHAPES.items()):
                setattr(self, name, nnx.Param(0.3 * jax.random.normal(jax.random.key(number), shape)))

        def __call__(self, carry: Any, x: Any) -> Any:
            return _step({name: getattr(self, name)[...] for name in _SHAPES}, carry, x)

    return Own()


@pytest.mark.parametrize("make", [_own_linen, _own_nnx], ids=["linen", "nnx"])
def test_a_cell_of_ones_own_is_believed_when_its_own_run_agrees(make: Any) -> None:
    live = gw.of(make(), layout=mine("ogfi"))
    assert live.prove().max_abs_error < 1e-6
    live[0, "forward"].bias["f"] = 1.0
    assert live.prove().max_abs_error < 1e-6
    assert gw.of(live.result, layout=mine("ogfi"))[0, "forward"].bias["f"].tolist() == [1.0] * 5
    with pytest.raises(ProofFailed, match="computes something else"):
        gw.of(make(), layout=mine("ifgo"))
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.of(make())


def test_a_described_class_is_found_in_a_model() -> None:
    from flax import nnx

    own = _own_nnx()
    gw.described_by(mine("ogfi"))(type(own))
    model = nnx.List([own, makers.nnx_rnn("GRUCell")])
    assert [layer.layout for layer in gw.of({"layers": model})] == ["mine.LSTM", "flax.nnx.GRUCell"]
