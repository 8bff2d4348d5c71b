"""The matrix a layer really uses: against what the real torch computes, and what must be left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from random_layers import stored

from gatewise.effective import RULES, resolve
from gatewise.layouts import layouts, recognise
from gatewise.tensors import Tensors

RANDOM = np.random.default_rng(0)


def some(*shape: int, dtype: str = "f4") -> Any:
    return RANDOM.standard_normal(shape).astype(dtype)


def made(tensors: Tensors) -> dict[str, Any]:
    return {name: tensor.array() for name, tensor in resolve(tensors).items() if tensor.made_from}


def state(module: Any) -> Tensors:
    return stored({name: value.detach().numpy() for name, value in module.state_dict().items()})


# Against torch's own effective matrices.


def weight_norm(dim: int | None) -> Callable[[Any, str], Any]:
    def old(module: Any, name: str) -> Any:
        from torch.nn.utils import weight_norm

        return weight_norm(module, name, dim=dim)

    return old


def new_weight_norm(dim: int | None) -> Callable[[Any, str], Any]:
    def new(module: Any, name: str) -> Any:
        from torch.nn.utils.parametrizations import weight_norm

        return weight_norm(module, name, dim=dim)

    return new


def spectral_norm(dim: int | None, how: str) -> Callable[[Any, str], Any]:
    def norm(module: Any, name: str) -> Any:
        from torch.nn.utils import parametrizations, spectral_norm

        return {"old": spectral_norm, "new": parametrizations.spectral_norm}[how](module, name, dim=dim)

    return norm


def pruned(module: Any, name: str) -> Any:
    from torch.nn.utils.prune import l1_unstructured

    return l1_unstructured(module, name, amount=0.4)


def held(module: Any, name: str) -> Any:
    """Its first row, as gw.freeze holds a gate."""
    import torch

    from gatewise.live._torch_frozen import hold

    frozen = torch.zeros_like(getattr(module, name), dtype=torch.bool)
    frozen[0] = True
    hold(module, name, frozen)
    return module


WAYS = {
    "weight norm over rows": weight_norm(0),
    "weight norm over columns": weight_norm(1),
    "weight norm of the whole matrix": weight_norm(None),
    "weight norm over rows, as a parametrization": new_weight_norm(0),
    "weight norm over columns, as a parametrization": new_weight_norm(1),
    "weight norm of the whole matrix, as a parametrization": new_weight_norm(None),
    "spectral norm": spectral_norm(0, "old"),
    "spectral norm of the transpose": spectral_norm(1, "old"),
    "spectral norm, as a parametrization": spectral_norm(0, "new"),
    "spectral norm of the transpose, as a parametrization": spectral_norm(1, "new"),
    "pruning": pruned,
    "a frozen part": held,
}
LAYERS = {
    "an LSTM": lambda torch: torch.nn.LSTM(5, 4),
    "an RNN, whose matrix is square": lambda torch: torch.nn.RNN(5, 4),
    "a GRU of one unit": lambda torch: torch.nn.GRU(5, 1),
    "an LSTM cell": lambda torch: torch.nn.LSTMCell(5, 4),
}


@pytest.mark.framework("torch")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_true_matrix_is_the_one_that_torch_uses(way: Callable, layer: Callable) -> None:
    import torch

    torch.manual_seed(1)
    module = layer(torch)
    name = "weight_hh" if "Cell" in type(module).__name__ else "weight_hh_l0"
    kept = getattr(module, name).detach().clone()
    module = way(module, name)
    with torch.no_grad():
        for parameter in module.parameters():  # what training would do: the stored parts are not those it began with
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(5):  # in training a spectral norm improves its vectors at each use
            getattr(module.train(), name)
            for hook in module._forward_pre_hooks.values():
                hook(module, None)
    module.eval()
    for hook in module._forward_pre_hooks.values():
        hook(module, None)
    true = getattr(module, name).detach().numpy()
    assert np.abs(true - kept.numpy()).max() > 1e-3
    tensors = state(module)
    assert name not in tensors
    ours = made(tensors)
    assert set(ours) == {name}
    np.testing.assert_allclose(ours[name], true, rtol=2e-6, atol=1e-7)
    (match,) = recognise(resolve(tensors), layouts()).matches
    assert match.layout.name == f"torch.{type(module).__name__.removeprefix('Parametrized')}"
    assert name in match.tensors


@pytest.mark.framework("torch")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_matrix_and_bias_of_a_stack_may_stand_behind_a_weight_norm() -> None:
    import torch

    module = torch.nn.GRU(5, 4, num_layers=2, bidirectional=True)
    names = [name for name, _ in module.named_parameters()]
    for name in names:
        torch.nn.utils.weight_norm(module, name)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.1)
    for hook in module._forward_pre_hooks.values():
        hook(module, None)
    ours = made(state(module))
    assert set(ours) == set(names)
    for name in names:
        np.testing.assert_allclose(ours[name], getattr(module, name).detach().numpy(), rtol=1e-6)
    (match,) = recognise(resolve(state(module)), layouts()).matches
    assert len(match.tensors) == 16


@pytest.mark.framework("torch")
def test_a_removed_parametrization_leaves_nothing_to_resolve() -> None:
    import torch
    from torch.nn.utils import parametrize

    module = new_weight_norm(0)(torch.nn.LSTM(5, 4), "weight_hh_l0")
    parametrize.remove_parametrizations(module, "weight_hh_l0")
    tensors = state(module)
    assert resolve(tensors) is tensors


# Weight drop.


def lstm(prefix: str, raw: str, stale: bool = False) -> dict[str, Any]:
    arrays = {f"{prefix}weight_ih_l0": some(16, 5), f"{prefix}bias_ih_l0": some(16), f"{prefix}bias_hh_l0": some(16)}
    return {**arrays, raw: some(16, 4)} | ({f"{prefix}weight_hh_l0": some(16, 4)} if stale else {})


@pytest.mark.parametrize("stale", [False, True], ids=["alone", "beside a stale copy"])
@pytest.mark.parametrize(
    ("prefix", "raw"),
    {
        "AWD-LSTM": ("rnns.0.module.", "rnns.0.module.weight_hh_l0_raw"),
        "fastai": ("0.rnns.0.module.", "0.rnns.0.weight_hh_l0_raw"),
        "a bare wrapper": ("module.", "weight_hh_l0_raw"),
        "on the layer itself": ("", "weight_hh_l0_raw"),
        "below DataParallel's module": ("module.rnn.", "module.rnn.weight_hh_l0_raw"),
    }.values(),
    ids=["AWD-LSTM", "fastai", "a bare wrapper", "on the layer itself", "below DataParallel's module"],
)
def test_weight_drop_uses_the_raw_matrix_itself(prefix: str, raw: str, stale: bool) -> None:
    arrays = lstm(prefix, raw, stale)
    tensors = resolve(stored(arrays))
    (match,) = recognise(tensors, layouts()).matches
    assert set(match.tensors) == {f"{prefix}{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    true = tensors[f"{prefix}weight_hh_l0"]
    np.testing.assert_array_equal(true.array(), arrays[raw])
    assert np.shares_memory(true.array(), arrays[raw]), "the raw matrix is the matrix: no copy"
    assert true.made_from == "weight drop: weight_hh_l0_raw"
    assert true.sources == (raw,)


# What is said, and when it is computed.


def test_what_was_resolved_is_said_and_stands_where_its_source_stood() -> None:
    arrays = {"a": some(1), "rnn.weight_hh_l0_g": some(16, 1), "rnn.weight_hh_l0_v": some(16, 4), "z": some(1)}
    tensors = resolve(stored(arrays))
    assert list(tensors) == ["a", "rnn.weight_hh_l0_g", "rnn.weight_hh_l0", "rnn.weight_hh_l0_v", "z"]
    assert tensors.notes == ("weight norm: the true matrix was computed for rnn.weight_hh_l0",)
    true = tensors["rnn.weight_hh_l0"]
    assert true.made_from == "weight norm: weight_hh_l0_g * weight_hh_l0_v / |weight_hh_l0_v|"
    assert true.sources == ("rnn.weight_hh_l0_g", "rnn.weight_hh_l0_v")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_true_matrix_is_rounded_once_to_the_stored_dtype(dtype: str) -> None:
    from gatewise.tensors import numpy_dtype

    g, v = (some(*shape).astype(numpy_dtype(dtype)) for shape in ((16, 1), (16, 4)))
    ours = made(stored({"weight_hh_l0_g": g, "weight_hh_l0_v": v}))["weight_hh_l0"]
    wide = v.astype("f8") * (g.astype("f8") / np.linalg.norm(v.astype("f8"), axis=1, keepdims=True))
    assert ours.dtype == numpy_dtype(dtype)
    np.testing.assert_array_equal(ours, wide.astype(ours.dtype))


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    def never() -> Any:
        raise AssertionError("read too early")

    from gatewise.tensors import StoredTensor

    lazy = [StoredTensor("weight_g", "float32", (16, 1), never), StoredTensor("weight_v", "float32", (16, 4), never)]
    assert resolve(Tensors(lazy))["weight"].shape == (16, 4)


# What must be left alone.

ORDINARY: Mapping[str, dict[str, Any]] = {
    "a plain layer": {"rnn.weight_ih_l0": some(16, 5), "rnn.weight_hh_l0": some(16, 4)},
    "a name that ends in _g": {"kernel_g": some(3, 3), "kernel_v": some(3, 3)},
    "a length without its direction": {"weight_g": some(3, 1)},
    "a direction without its length": {"weight_v": some(3, 4)},
    "queries, keys, values and gates": {"weight_q": some(8, 8), "weight_k": some(8, 8), "weight_v": some(8, 8), "weight_g": some(5, 8)},
    "_orig alone": {"foo_orig": some(3), "weight_orig": some(3, 3)},
    "_mask alone": {"weight_mask": some(3, 3)},
    "a mask of another shape": {"weight_orig": some(3, 3), "weight_mask": some(3)},
    "vectors of another length": {"weight_orig": some(3, 4), "weight_u": some(5), "weight_v": some(4)},
    "raw data": {"raw": some(3), "image_raw": some(3, 3)},
    "a raw matrix that is no recurrent layer's": {"conv.weight_raw": some(3, 3), "conv.weight": some(3, 3)},
    "raw weights of attention": {"attention.weights_raw": some(3, 3)},
}  # fmt: skip


@pytest.mark.parametrize("arrays", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_names_are_left_alone(arrays: dict[str, Any]) -> None:
    tensors = stored(arrays)
    after = resolve(tensors)
    assert list(after) == list(tensors)
    assert all(after[name] is tensors[name] for name in tensors)
    assert after.notes == ()


def test_resolving_twice_is_resolving_once() -> None:
    tensors = resolve(stored(lstm("rnn.module.", "rnn.weight_hh_l0_raw")))
    assert list(resolve(tensors)) == list(tensors)


UNKNOWN = {
    "an orthogonal matrix": {".original": some(16, 4), ".0.base": some(16, 16)},
    "a function of the user's own": {".original": some(16, 4)},
    "a spectral norm with another on top": {
        ".original": some(16, 4), ".0._u": some(16), ".0._v": some(4), ".1.scale": some(1),
    },
    "a weight norm with another on top": {".original0": some(16, 1), ".original1": some(16, 4), ".1.scale": some(1)},
}  # fmt: skip


@pytest.mark.parametrize("parts", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_parametrization_that_the_file_does_not_tell_is_named_and_not_guessed(parts: dict[str, Any]) -> None:
    arrays = {f"rnn.parametrizations.weight_hh_l0{tail}": array for tail, array in parts.items()}
    after = resolve(stored(arrays))
    assert list(after) == list(arrays)
    assert len(after.notes) == 1
    assert after.notes[0].startswith(
        "rnn.weight_hh_l0 is made by a parametrization whose function the file does not tell"
    )


def test_torch_1_9_spelled_the_buffers_of_a_spectral_norm_without_the_underscore() -> None:
    weight, u, v = some(16, 4), some(16), some(4)
    names = [f"rnn.parametrizations.weight_hh_l0.{tail}" for tail in ("original", "0.u", "0.v")]
    ours = made(stored(dict(zip(names, (weight, u, v), strict=True))))["rnn.weight_hh_l0"]
    np.testing.assert_allclose(ours, weight / (u @ weight @ v), rtol=1e-5)


def test_every_rule_is_tried_here() -> None:
    """A rule added to the table needs a way above that meets it."""
    own = [rule for rule in RULES if not rule.target]  # sLSTM's, which make new tensors: tests/recorded/test_xlstm.py
    assert {rule.what for rule in own} == {"weight norm", "spectral norm", "pruning", "weight drop", "frozen part"}
    assert len(own) == 8
