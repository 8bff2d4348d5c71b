"""The flat map of torch's modules: what torch itself lists and lays out, gradients through views, writing back."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import UsageError

pytestmark = pytest.mark.framework("torch")

MODULES = {
    f"{kind} of {layers} layer(s){' both ways' * both}{' without biases' * (not bias)}{' with a projection' * bool(proj)}": (
        kind, {"num_layers": layers, "bidirectional": both, "bias": bias} | ({"proj_size": proj} if proj else {})
    )
    for kind in ("LSTM", "GRU", "RNN") for layers in (1, 2) for both in (False, True) for bias in (True, False)
    for proj in ((0, 2) if kind == "LSTM" else (0,))
}  # fmt: skip
each_module = pytest.mark.parametrize(("kind", "options"), MODULES.values(), ids=MODULES)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """When the first of these tests runs: the quick part, which has none of them, collects this file too."""
    global torch
    import torch


def module_of(kind: str, options: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return getattr(torch.nn, kind)(3, 4, **options)


@each_module
def test_the_own_order_is_flat_weights_and_parameters_to_vector(kind: str, options: dict[str, Any]) -> None:
    module = module_of(kind, options)
    listed = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    weights = torch.cat([weight.detach().reshape(-1) for weight in module._flat_weights])
    for order in (None, "torch", "parameters_to_vector"):
        flat = gw.flat(module, order)
        assert flat.names == tuple(module._flat_weights_names)
        assert torch.equal(torch.from_numpy(flat.pack()), listed)
        assert torch.equal(listed, weights)


def laid_out(module: Any) -> Any:
    """cuDNN's buffer by torch's rule: for each layer and direction the matrices, then the biases likewise
    (aten/src/ATen/native/cudnn/RNN.cpp, get_parameters)."""
    cells = module.all_weights
    matrices = [weight for cell in cells for weight in cell if weight.ndim == 2]
    biases = [weight for cell in cells for weight in cell if weight.ndim == 1]
    return torch.cat([weight.detach().reshape(-1) for weight in (*matrices, *biases)])


@each_module
def test_cudnns_order_is_that_of_torchs_flattening(kind: str, options: dict[str, Any]) -> None:
    module = module_of(kind, options)
    assert torch.equal(torch.from_numpy(gw.flat(module, "cudnn").pack()), laid_out(module))


@each_module
def test_a_module_on_a_gpu_gives_exactly_cudnns_buffer(kind: str, options: dict[str, Any]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("cuDNN's OWN BUFFER IS NOT COMPARED: there is no GPU here")
    module = module_of(kind, options).cuda()
    module.flatten_parameters()
    first = module._flat_weights[0]
    assert len({weight.untyped_storage().data_ptr() for weight in module._flat_weights}) == 1
    buffer = torch.empty(0, dtype=first.dtype, device="cuda").set_(first.untyped_storage())
    flat = gw.flat(module, "cudnn")
    # Of a layer without biases the buffer has zeros in their place, behind the matrices.
    assert torch.equal(buffer[: flat.size].cpu(), torch.from_numpy(flat.pack()))
    assert not buffer[flat.size :].any()
    for tensor in flat.tensors:
        weight = getattr(module, tensor.name)
        assert (weight.storage_offset(), weight.numel()) == (tensor.offset, tensor.size)


def test_what_is_unpacked_carries_gradients_to_exactly_the_selected_elements() -> None:
    flat = gw.flat(module_of("LSTM", {"num_layers": 2}), "torch")
    vector = torch.from_numpy(flat.pack()).requires_grad_()
    unpacked = flat.unpack(vector)
    unpacked[1, "forward"].recurrent_kernel["f"].square().sum().backward()
    assert torch.equal(vector.grad != 0, flat.mask(role="recurrent_kernel", gate="f", layer=1, like=vector))
    where = flat.where(role="recurrent_kernel", gate="f", layer=1, like="torch")
    assert torch.equal(vector.grad[where], 2 * vector[where])
    assert unpacked["weight_ih_l0"]._base is vector


def test_what_is_unpacked_runs_in_functional_call() -> None:
    module = module_of("LSTM", {})
    flat = gw.flat(module)
    vector = torch.from_numpy(flat.pack()).requires_grad_()
    x = torch.randn(5, 2, 3)
    y, _ = torch.func.functional_call(module, dict(flat.unpack(vector)), (x,))
    assert torch.equal(y, module(x)[0])
    y.sum().backward()
    assert vector.grad is not None
    assert vector.grad.any()


def test_a_torch_buffer_is_filled_and_autograd_knows_that_it_changed() -> None:
    module = module_of("GRU", {})
    flat = gw.flat(module)
    out = torch.zeros(flat.size, dtype=torch.float64)
    before = out._version
    assert flat.pack(out) is out
    assert torch.equal(out, torch.nn.utils.parameters_to_vector(module.parameters()).double())
    assert out._version > before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_module_of_another_dtype(dtype: str) -> None:
    module = module_of("LSTM", {}).to(getattr(torch, dtype))
    flat = gw.flat(module)
    assert flat.dtype == dtype
    out = torch.zeros(flat.size, dtype=getattr(torch, dtype))
    assert torch.equal(flat.pack(out), torch.nn.utils.parameters_to_vector(module.parameters()))


@pytest.mark.parametrize("order", ["torch", "cudnn", "onnx", "mxnet", "keras"])
def test_a_vector_is_loaded_into_the_module_in_any_order(order: str) -> None:
    module = module_of("LSTM", {"num_layers": 2})
    flat = gw.flat(module, order)
    vector = np.random.default_rng(0).uniform(-1, 1, flat.size).astype("float32")
    assert flat.load(vector) is module
    np.testing.assert_allclose(gw.flat(module, order).pack(), vector, atol=1e-7)
    stack = flat.unpack(vector).stack
    x = np.random.default_rng(1).standard_normal((2, 7, 3))
    y, _ = gw.run(stack, x)
    seen, _ = module(torch.from_numpy(x).float().transpose(0, 1))
    np.testing.assert_allclose(seen.transpose(0, 1).detach(), y, atol=1e-6)


def test_parameters_in_one_storage_are_a_view_that_writes_through() -> None:
    module = module_of("LSTM", {})
    torch.nn.utils.vector_to_parameters(torch.nn.utils.parameters_to_vector(module.parameters()), module.parameters())
    flat = gw.flat(module)
    assert flat.is_view
    flat.vector[flat.where(role="bias", gate="f")] = 7
    assert torch.equal(module.bias_ih_l0[4:8].detach(), torch.full((4,), 7.0))
    assert not gw.flat(module_of("LSTM", {})).is_view


def test_a_vector_can_be_taken_apart_by_one_module_and_loaded_into_its_copy() -> None:
    one, other = module_of("GRU", {}), module_of("GRU", {})
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    gw.flat(other, "cudnn").load(gw.flat(one, "cudnn").vector)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))


def test_of_a_model_with_several_layers_one_must_be_named() -> None:
    model = torch.nn.ModuleDict({"a": torch.nn.LSTM(3, 4), "b": torch.nn.GRU(3, 4)})
    with pytest.raises(UsageError, match=r"2 recurrent layers and none was named.*'a', 'b'"):
        gw.flat(model)
    assert gw.flat(model, layer="b").names[0] == "b.weight_ih_l0"


def test_a_flat_map_survives_the_copy_of_its_module() -> None:
    module = module_of("LSTM", {})
    flat = gw.flat(module)
    twin = gw.flat(copy.deepcopy(module))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(flat.vector, twin.vector)


def _pruned_for_good(module: Any) -> None:
    torch.nn.utils.prune.random_unstructured(module, "weight_ih_l0", 0.5)
    torch.nn.utils.prune.remove(module, "weight_ih_l0")


def _normed_for_a_while(module: Any) -> None:
    torch.nn.utils.weight_norm(module, "weight_ih_l0")
    torch.nn.utils.remove_weight_norm(module, "weight_ih_l0")


def _parametrized_for_a_while(module: Any) -> None:
    torch.nn.utils.parametrize.register_parametrization(module, "weight_ih_l0", torch.nn.Identity())
    torch.nn.utils.parametrize.remove_parametrizations(module, "weight_ih_l0")


def _by_hand(module: Any) -> None:
    held = module._parameters
    held["weight_ih_l0"] = held.pop("weight_ih_l0")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", [_pruned_for_good, _normed_for_a_while, _parametrized_for_a_while, _by_hand])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a model"])
def test_parameters_to_vector_is_torchs_own_whatever_order_the_module_has_now(change: Any, inside: bool) -> None:
    import torch.nn.utils.prune

    module = module_of("LSTM", {"num_layers": 2})
    model = torch.nn.Sequential(module) if inside else module
    change(module)
    flat, listed = gw.flat(model, "parameters_to_vector"), torch.nn.utils.parameters_to_vector(module.parameters())
    np.testing.assert_array_equal(flat.pack(), listed.detach().numpy())
    assert flat.names[-1].endswith("weight_ih_l0")
    assert gw.flat(model, "torch").names[0].endswith("weight_ih_l0")
    flat.load(torch.arange(float(flat.size)))
    assert torch.equal(torch.nn.utils.parameters_to_vector(module.parameters()), torch.arange(float(flat.size)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("why", ["weight norm", "a part is frozen", "a parameter more", "tied"])
def test_where_the_parameters_are_another_vector_that_order_is_refused(why: str) -> None:
    module = torch.nn.LSTM(4, 4)
    if why == "weight norm":
        torch.nn.utils.weight_norm(module, "weight_hh_l0")
    elif why == "a part is frozen":
        gw.freeze(module, role="recurrent_kernel", gate="f")
    elif why == "tied":
        module.weight_hh_l0 = module.weight_ih_l0
    else:
        module.gain = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(UsageError, match="another vector") as caught:
        gw.flat(module, "parameters_to_vector")
    assert 'order="torch"' in str(caught.value.next)
    assert gw.flat(module, "torch").size == 160


def test_an_order_that_is_no_order_is_told() -> None:
    with pytest.raises(UsageError, match="order is 3"):
        gw.flat(module_of("LSTM", {}), order=3)  # type: ignore[arg-type]
