"""Files written for flax, haiku, Equinox, MLX and tinygrad: loaded by the lines that ``--code`` prints, run by the framework
itself, and held against the reference run of what they were made from."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import NotRepresentable

T, B = 7, 3
RNG = np.random.default_rng(11)


def torch_names(
    cell: str,
    features: int,
    units: int,
    layers: int = 1,
    both: bool = False,
    bias: bool = True,
):
    """Random weights under torch's names, as any torch file holds them."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    arrays = {}
    for layer in range(layers):
        wide = features if layer == 0 else units * (1 + both)
        for way in ("", "_reverse")[: 1 + both]:
            for name, shape in (
                ("weight_ih", (gates * units, wide)), ("weight_hh", (gates * units, units)),
                ("bias_ih", (gates * units,)), ("bias_hh", (gates * units,)),
            ):  # fmt: skip
                if bias or "weight" in name:
                    arrays[f"{name}_l{layer}{way}"] = (RNG.normal(size=shape) * 0.5).astype("f4")
    return arrays


def written(tmp_path, arrays, to, suffix, **said):
    """(the source's reference run, what the printed lines define)."""
    np.savez(tmp_path / "in.npz", **arrays)
    out = tmp_path / f"out{suffix}"
    conversion = gw.convert(tmp_path / "in.npz", out, to=to, **said)
    assert conversion.proof.max_abs_error < 1e-6
    space: dict = {}
    exec(conversion.code, space)
    return gw.open(tmp_path / "in.npz", **said).only(), space


def start(stack):
    """x and a state that is not zero, for one layer in one direction."""
    weights = stack[0, "forward"]
    x = RNG.normal(size=(B, T, weights.feature)).astype("f4")
    return x, RNG.normal(size=(B, weights.unit)).astype("f4"), RNG.normal(size=(B, weights.unit)).astype("f4")


def reference(stack, x, h0=None, c0=None):
    state = None if h0 is None else (h0[None], c0[None]) if stack.cell == "lstm" else (h0[None],)
    return gw.run(stack, x, state)[0]


def close(y, wanted):
    assert np.shape(y) == wanted.shape
    assert float(np.abs(np.asarray(y, np.float64) - wanted).max()) < 1e-6


def only(space, *words):
    return next(value for name, value in space.items() if name in words)


LINEN = [
    ("flax.LSTMCell", "lstm", {}), ("flax.GRUCell", "gru", {}), ("flax.SimpleCell", "rnn", {}),
    ("flax.LSTMCell", "lstm", {"both": True}), ("flax.GRUCell", "gru", {"both": True}),
    ("flax.nnx.LSTMCell", "lstm", {}), ("flax.nnx.OptimizedLSTMCell", "lstm", {"both": True}),
    ("flax.nnx.SimpleCell", "rnn", {}),
]  # fmt: skip


@pytest.mark.framework("flax")
@pytest.mark.parametrize("suffix", [".msgpack", ".npz", ".safetensors"])
@pytest.mark.parametrize(("to", "cell", "more"), LINEN)
def test_flax_computes_what_the_source_does(tmp_path, to, cell, more, suffix):
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    stack, space = written(tmp_path, torch_names(cell, 5, 4, **more), to, suffix)
    x = RNG.normal(size=(B, T, 5)).astype("f4")
    module = only(space, "lstm", "gru", "simple_rnn")
    y = module(x) if ".nnx." in to else module.apply(only(space, *(n for n in space if n.endswith("_variables"))), x)
    close(y, reference(stack, x))


@pytest.mark.framework("flax")
def test_flax_loads_a_stack_layer_by_layer_and_from_bytes_fills_a_tree(tmp_path):
    from flax import linen as nn
    from flax import serialization

    stack, space = written(tmp_path, torch_names("lstm", 5, 4, layers=3), "flax", ".msgpack")
    x = RNG.normal(size=(B, T, 5)).astype("f4")
    y = x
    for name in ("lstm", "lstm_1", "lstm_2"):
        y = space[name].apply(space[f"{name}_variables"], y)
    close(y, reference(stack, x))
    cell = nn.RNN(nn.OptimizedLSTMCell(4))
    import jax

    empty = {"lstm": cell.init(jax.random.key(0), x)["params"]["cell"]}
    whole = serialization.msgpack_restore((tmp_path / "out.msgpack").read_bytes())
    filled = serialization.from_state_dict(empty, {"lstm": whole["lstm"]})
    close(cell.apply({"params": {"cell": filled["lstm"]}}, x), reference(stack.layer(0), x))


@pytest.mark.framework("flax")
def test_an_activation_that_the_file_does_not_hold_is_in_the_lines(tmp_path):
    arrays = torch_names("rnn", 5, 4)
    stack, space = written(tmp_path, arrays, "flax", ".msgpack", activation="relu")
    x = RNG.normal(size=(B, T, 5)).astype("f4")
    close(space["simple_rnn"].apply(space["simple_rnn_variables"], x), reference(stack, x))


def test_nnx_s_gru_is_refused_where_the_second_bias_of_n_is_not_zero(tmp_path):
    arrays = torch_names("gru", 5, 4)
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(NotRepresentable, match="recurrent_bias for gate n"):
        gw.convert(tmp_path / "in.npz", tmp_path / "out.msgpack", to="flax.nnx.GRUCell")
    arrays["bias_hh_l0"][8:] = 0
    np.savez(tmp_path / "in.npz", **arrays)
    assert gw.convert(tmp_path / "in.npz", tmp_path / "out.msgpack", to="flax.nnx.GRUCell").proof.max_abs_error < 1e-6


@pytest.mark.framework("haiku")
@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_haiku_computes_what_the_source_does(tmp_path, suffix):
    """Its forget bias of 1 is not in the file: what is stored is one less than torch's."""
    import haiku as hk

    stack, space = written(tmp_path, torch_names("lstm", 5, 4), "haiku", suffix)
    x, h0, c0 = start(stack)
    state, ys = hk.LSTMState(h0, c0), []
    for step in range(T):
        y, state = space["lstm"].apply(space["params"], x[:, step], state)
        ys.append(y)
    close(np.stack(ys, 1), reference(stack, x, h0, c0))


@pytest.mark.framework("haiku")
def test_haiku_s_gru_and_relu_network_come_back_from_their_own_kind(tmp_path):
    arrays = {"w_i": RNG.normal(size=(5, 12)), "w_h": RNG.normal(size=(4, 12)), "b": RNG.normal(size=12)}
    stack, space = written(tmp_path, {f"core/{n}": a.astype("f4") for n, a in arrays.items()}, "haiku.GRU", ".pkl")
    x, h0, _ = start(stack)
    state, ys = h0, []
    for step in range(T):
        y, state = space["core"].apply(space["params"], x[:, step], state)
        ys.append(y)
    close(np.stack(ys, 1), reference(stack, x, h0))
    stack, space = written(tmp_path, torch_names("rnn", 5, 4), "haiku", ".pickle", activation="relu")
    x, h0, _ = start(stack)
    x, h0, state, ys = x * 0.1, h0 * 0.1, h0 * 0.1, []
    for step in range(T):
        y, state = space["simple_rnn"].apply(space["params"], x[:, step], state)
        ys.append(y)
    wanted = reference(stack, x, h0)
    assert float(np.abs(np.stack(ys, 1) - wanted).max()) < 1e-6 * max(1.0, float(np.abs(wanted).max()))


@pytest.mark.framework("equinox")
@pytest.mark.parametrize("suffix", [".eqx", ".npz"])
@pytest.mark.parametrize(("cell", "bias"), [("lstm", True), ("gru", True), ("gru", False), ("lstm", False)])
def test_equinox_computes_what_the_source_does(tmp_path, cell, bias, suffix):
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    stack, space = written(tmp_path, torch_names(cell, 5, 4, bias=bias), "equinox", suffix)
    x, h0, c0 = start(stack)
    state, ys = (h0, c0) if cell == "lstm" else h0, []
    for step in range(T):
        state = jax.vmap(space[cell])(x[:, step], state)
        ys.append(state[0] if cell == "lstm" else state)
    close(np.stack(ys, 1), reference(stack, x, h0, c0))


@pytest.mark.framework("equinox")
def test_equinox_loads_several_cells_from_one_stream(tmp_path):
    import jax

    stack, space = written(tmp_path, torch_names("gru", 5, 4, layers=2), "equinox", ".eqx")
    x = RNG.normal(size=(B, T, 5)).astype("f4")
    y = x
    for name in ("gru", "gru_1"):
        state, ys = np.zeros((B, 4), "f4"), []
        for step in range(T):
            state = jax.vmap(space[name])(y[:, step], state)
            ys.append(state)
        y = np.stack(ys, 1)
    close(y, reference(stack, x))


@pytest.mark.framework("mlx")
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    ("cell", "bias"), [("lstm", True), ("gru", True), ("rnn", True), ("lstm", False), ("gru", False)]
)
def test_mlx_computes_what_the_source_does(tmp_path, cell, bias, suffix):
    import mlx.core as mx

    mx.set_default_device(mx.cpu)
    stack, space = written(tmp_path, torch_names(cell, 5, 4, bias=bias), "mlx", suffix)
    x, h0, c0 = start(stack)
    module = only(space, "lstm", "gru", "rnn")
    found = module(mx.array(x), mx.array(h0), mx.array(c0)) if cell == "lstm" else module(mx.array(x), mx.array(h0))
    close(np.array(found[0] if cell == "lstm" else found), reference(stack, x, h0, c0))


@pytest.mark.framework("mlx")
def test_mlx_loads_a_stack_layer_by_layer(tmp_path):
    import mlx.core as mx

    mx.set_default_device(mx.cpu)
    stack, space = written(tmp_path, torch_names("lstm", 5, 4, layers=2), "mlx", ".safetensors")
    x = RNG.normal(size=(B, T, 5)).astype("f4")
    first, second = (value for name, value in space.items() if name.startswith("lstm"))
    close(np.array(second(first(mx.array(x))[0])[0]), reference(stack, x))


def test_both_directions_are_refused_where_a_cell_has_one(tmp_path):
    np.savez(tmp_path / "in.npz", **torch_names("lstm", 5, 4, both=True))
    for to, suffix in (("haiku", ".pkl"), ("equinox", ".eqx"), ("mlx", ".safetensors"), ("tinygrad", ".safetensors")):
        with pytest.raises(NotRepresentable, match="direction"):
            gw.convert(tmp_path / "in.npz", tmp_path / f"out{suffix}", to=to)
