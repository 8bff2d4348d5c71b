"""torch layers inside whatever people wrap them in: what is read is what runs, what is written stays or is refused whole."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import GatewiseError, ProofFailed, UsageError

pytestmark = [
    pytest.mark.framework("torch"),
    pytest.mark.filterwarnings("ignore:.*(weight_norm|deprecated|spectral_norm|torch.jit|TorchScript|quantiz).*"),
]


def fresh(kind: str = "LSTM", **said: Any) -> Any:
    import torch

    torch.manual_seed(11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(torch.nn, kind)(3, 4, **said)


def called(layer: Any) -> Any:
    """The layer after one call in training and a step of its parameters: what a hook left in it is stale now."""
    import torch

    layer.train()
    layer(torch.ones(2, 1, 3))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.25)
    return layer


# Wrappers.  Each gives what is handed to gatewise; called as torch's own layer is.


def old_weight_norm(names: tuple[str, ...] = ("weight_hh_l0",), dim: int | None = 0) -> Any:
    import torch

    layer = fresh()
    for name in names:
        torch.nn.utils.weight_norm(layer, name, dim)
    return layer


def parametrization(kind: str, name: str = "weight_hh_l0", **said: Any) -> Any:
    import torch

    layer = fresh()
    getattr(torch.nn.utils.parametrizations, kind)(layer, name, **said)
    return layer


def old_spectral_norm() -> Any:
    import torch

    return torch.nn.utils.spectral_norm(fresh(), "weight_hh_l0")


def users(invertible: bool, name: str = "weight_hh_l0") -> Any:
    import torch

    class Doubled(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, weight: Any) -> Any:
            return 2 * weight

    class Halves(Doubled):
        def right_inverse(self, weight: Any) -> Any:
            return weight / 2

    layer = fresh()
    torch.nn.utils.parametrize.register_parametrization(layer, name, Halves() if invertible else Doubled())
    return layer


def pruned(how: str, names: tuple[str, ...] = ("weight_hh_l0",), times: int = 1, removed: bool = False) -> Any:
    import torch
    from torch.nn.utils import prune

    layer = fresh()
    for name in names:
        for _ in range(times):
            if how == "custom":
                prune.custom_from_mask(
                    layer,
                    name,
                    (torch.arange(getattr(layer, name).numel()) % 3 > 0).reshape(getattr(layer, name).shape).float(),
                )
            elif how == "structured":
                prune.ln_structured(layer, name, 0.25, n=2, dim=0)
            else:
                getattr(prune, how)(layer, name, 0.4)
        if removed:
            prune.remove(layer, name)
    return layer


def awd_weight_drop() -> Any:
    """Salesforce's AWD-LSTM: the whole matrix beside its dropped copy, in the LSTM itself."""
    import torch

    class WeightDrop(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module
            module.flatten_parameters = lambda *_words, **_named: None
            raw = module.weight_hh_l0
            del module._parameters["weight_hh_l0"]
            module.register_parameter("weight_hh_l0_raw", torch.nn.Parameter(raw.data))
            self._setweights()

        def _setweights(self) -> None:
            raw = self.module.weight_hh_l0_raw
            self.module.weight_hh_l0 = torch.nn.functional.dropout(raw, p=0.5, training=self.training)

        def forward(self, *words: Any) -> Any:
            self._setweights()
            return self.module.forward(*words)

    return WeightDrop(fresh())


def fastai_weight_drop(version: int) -> Any:
    """fastai's: the whole matrix in the module around, its dropped copy exchanged in the LSTM."""
    import torch

    class WeightDropout(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module
            weight = module.weight_hh_l0
            delattr(module, "weight_hh_l0")
            self.register_parameter("weight_hh_l0_raw", torch.nn.Parameter(weight.data))
            if version == 1:
                module._parameters["weight_hh_l0"] = torch.nn.functional.dropout(
                    self.weight_hh_l0_raw, 0.5, training=False
                )
            else:
                module.weight_hh_l0 = weight.clone()
            module.flatten_parameters = lambda: None

        def _setweights(self) -> None:
            whole = self.weight_hh_l0_raw
            dropped = torch.nn.functional.dropout(whole, 0.5, training=self.training)
            if version == 1:
                self.module._parameters["weight_hh_l0"] = dropped
            else:
                self.module.weight_hh_l0 = dropped.clone()

        def forward(self, *words: Any) -> Any:
            self._setweights()
            return self.module(*words)

    return WeightDropout(fresh())


def around(layer: Any, attribute: str) -> Any:
    """As Lightning Fabric, DistributedDataParallel and others do: the module as an attribute, called through it."""
    import torch

    class Wrapper(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, *words: Any) -> Any:
            return getattr(self, attribute)(*words)

    made = Wrapper()
    setattr(made, attribute, layer)
    return made


def compiled() -> Any:
    import torch

    return torch.compile(fresh(), backend="eager")


def data_parallel() -> Any:
    import torch

    return torch.nn.DataParallel(fresh())


def subclass() -> Any:
    import torch

    class Mine(torch.nn.LSTM):  # type: ignore[misc, name-defined]
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            self.scale = torch.nn.Parameter(torch.ones(1))

    torch.manual_seed(11)
    return Mine(3, 4)


def changed(how: str) -> Any:
    import torch

    layer = fresh()
    if how == "frozen":
        return layer.requires_grad_(False)
    if how == "strided":
        for name, parameter in list(layer.named_parameters()):
            spread = torch.zeros(*parameter.shape[:-1], 2 * parameter.shape[-1])[..., ::2]
            spread.copy_(parameter.detach())
            parameter.data = spread if parameter.ndim == 1 else spread.t().contiguous().t()
            assert not getattr(layer, name).is_contiguous() or parameter.ndim == 1
        return layer
    with torch.inference_mode():
        return fresh()


def old_pickle(*lacking: str) -> Any:
    layer = fresh()
    for name in lacking:
        vars(layer).pop(name)
    return layer


WRAPPED: dict[str, Callable[[], Any]] = {
    "plain": fresh,
    "weight_norm, the old way": old_weight_norm,
    "weight_norm, the old way, after a step": lambda: called(old_weight_norm()),
    "weight_norm, the old way, on every weight": lambda: old_weight_norm(("weight_ih_l0", "weight_hh_l0")),
    "weight_norm, the old way, one norm": lambda: old_weight_norm(dim=None),
    "weight_norm, the old way, by column": lambda: old_weight_norm(dim=1),
    "weight_norm, a parametrization": lambda: parametrization("weight_norm"),
    "weight_norm, a parametrization, after a step": lambda: called(parametrization("weight_norm")),
    "a parametrization of the user's with an inverse": lambda: users(True),
    "prune l1, one name": lambda: pruned("l1_unstructured"),
    "prune l1, after a step": lambda: called(pruned("l1_unstructured")),
    "prune at random, several names": lambda: pruned("random_unstructured", ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")),
    "prune by a mask": lambda: pruned("custom"),
    "prune by rows": lambda: pruned("structured"),
    "prune three times": lambda: pruned("l1_unstructured", times=3),
    "pruning made permanent": lambda: pruned("l1_unstructured", removed=True),
    "AWD-LSTM's weight drop": awd_weight_drop,
    "AWD-LSTM's weight drop, after a step": lambda: called(awd_weight_drop()),
    "fastai 1's weight drop": lambda: fastai_weight_drop(1),
    "fastai 2's weight drop": lambda: fastai_weight_drop(2),
    "fastai 2's weight drop, after a step": lambda: called(fastai_weight_drop(2)),
    "DataParallel": data_parallel,
    "DistributedDataParallel's way": lambda: around(fresh(), "module"),
    "Fabric's way": lambda: around(around(fresh(), "module"), "_forward_module"),
    "torch.compile": compiled,
    "torch.compile around DataParallel around pruning": lambda: around(around(pruned("l1_unstructured"), "module"), "_orig_mod"),
    "a subclass with a parameter of its own": subclass,
    "frozen": lambda: changed("frozen"),
    "not contiguous": lambda: changed("strided"),
    "made in inference mode": lambda: changed("inference"),
    "float64": lambda: fresh().double(),
    "without _flat_weights_names": lambda: old_pickle("_flat_weights_names"),
    "without _flat_weights and its names": lambda: old_pickle("_flat_weights", "_flat_weights_names", "_flat_weight_refs"),
    "without proj_size": lambda: old_pickle("proj_size"),
    "of torch 1.0": lambda: old_pickle("_flat_weights", "_flat_weights_names", "_flat_weight_refs", "proj_size"),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "spectral_norm, the old way": (old_spectral_norm, "largest singular value.*remove_spectral_norm"),
    "spectral_norm, the old way, after a step": (lambda: called(old_spectral_norm()), "largest singular value"),
    "spectral_norm, a parametrization": (lambda: parametrization("spectral_norm"), "SpectralNorm.*remove_parametrizations"),
    "orthogonal": (lambda: parametrization("orthogonal", "weight_ih_l0"), "Orthogonal.*remove_parametrizations"),
    "orthogonal by Cayley": (lambda: parametrization("orthogonal", "weight_ih_l0", orthogonal_map="cayley", use_trivialization=False), "Orthogonal"),
    "a parametrization of the user's without an inverse": (lambda: users(False), "Doubled.*right_inverse.*remove_parametrizations"),
}  # fmt: skip
ALL = {**WRAPPED, **{name: make for name, (make, _) in REFUSED.items()}}


def live_of(module: Any) -> Any:
    found = gw.of(module)
    assert len(found.layers) == 1
    return found


def outer_run(module: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the object as it was handed over computes, in evaluation mode."""
    import torch

    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    like = next(iter(module.parameters()))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = module(torch.from_numpy(x.transpose(1, 0, 2).copy()).to(like.dtype))[0]
    for each, mode in modes:
        each.training = mode
    return y.float().numpy().transpose(1, 0, 2)


def state_of(module: Any) -> dict[str, Any]:
    """Everything that a module remembers, copied."""
    found = {}
    for path, each in module.named_modules():
        for kind in ("_parameters", "_buffers"):
            for name, tensor in vars(each)[kind].items():
                if tensor is not None:
                    found[f"{path}.{kind}.{name}"] = tensor.detach().clone()
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return set(one) == set(other) and all(bool((one[name] == other[name]).all()) for name in one)


def stale(module: Any) -> list[str]:
    return [finding.code for finding in gw.diagnose(module) if finding.code in ("GW404", "GW417")]


X = np.random.default_rng(3).standard_normal((2, 5, 3))
LACKING = ("without", "of torch 1.0")


@pytest.mark.parametrize("make", ALL.values(), ids=[f"{name}: what is read is what runs" for name in ALL])
def test_reading(make: Callable[[], Any]) -> None:
    module = make()
    before = state_of(module)
    live = live_of(module)
    assert live.parameters == 4 * 4 * (3 + 4 + 2)
    assert live.prove().max_abs_error < 1e-6
    assert same(state_of(module), before)
    assert live.cells[0, "forward"].kernel["i"].shape == (4, 3)
    for _, weights in live:
        for gates in weights.roles.values():
            for gate in gates:
                assert not (
                    gates[gate].flags.writeable and live.weight_of(live.home(0, "forward", gates.role, gate)).maker
                )


@pytest.mark.parametrize(
    "name",
    [name for name in ALL if not name.startswith(LACKING)],
    ids=lambda name: f"{name}: the object that was handed over computes it too",
)
def test_outer(name: str) -> None:
    module = ALL[name]()
    assert np.abs(outer_run(module, X) - gw.run(live_of(module), X)[0]).max() < 1e-6


def written(live: Any) -> None:
    """Other numbers in every gate; nothing where pruning has left nothing."""
    random = np.random.default_rng(5)
    for _, weights in live:
        for gates in weights.roles.values():
            for gate in gates:
                now = gates[gate]
                gates[gate] = np.where(now == 0, 0, random.uniform(-0.6, 0.6, now.shape))


@pytest.mark.parametrize("name", WRAPPED, ids=lambda name: f"{name}: what is written is what runs")
def test_writing(name: str) -> None:
    module = WRAPPED[name]()
    identities = [id(parameter) for parameter in module.parameters()]
    modes = [each.training for each in module.modules()]
    grads = [parameter.requires_grad for parameter in module.parameters()]
    live = live_of(module)
    before = gw.run(live, X)[0]
    written(live)
    assert np.abs(gw.run(live, X)[0] - before).max() > 1e-2
    assert live.prove().max_abs_error < 1e-6
    if not name.startswith(LACKING):
        assert np.abs(outer_run(module, X) - gw.run(live, X)[0]).max() < 1e-6
    assert not stale(module)
    assert [id(parameter) for parameter in module.parameters()] == identities
    assert [each.training for each in module.modules()] == modes
    assert [parameter.requires_grad for parameter in module.parameters()] == grads


@pytest.mark.parametrize(
    ("make", "why"), REFUSED.values(), ids=[f"{name}: writing is refused whole" for name in REFUSED]
)
def test_refusing(make: Callable[[], Any], why: str) -> None:
    module = make()
    live = live_of(module)
    before = state_of(module)
    name = "kernel" if "orthogonal" in str(why).lower() else "recurrent_kernel"
    with pytest.raises(UsageError, match=f"(?s){why}"):
        live[0, "forward"].role(name)["f"] = 0.125
    assert same(state_of(module), before)
    homes = list(live._homes.values())
    with pytest.raises(UsageError):
        live.write(dict.fromkeys(homes, 0.125))  # among weights that could be written
    assert same(state_of(module), before)
    assert live.prove().max_abs_error < 1e-6
    assert not stale(module)


def test_an_orthogonal_matrix_is_written_through_the_orthogonal_parametrization() -> None:
    live = live_of(parametrization("orthogonal", "weight_ih_l0"))
    whole, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 3)))
    live.write({live.home(0, "forward", "kernel", gate): whole[4 * k : 4 * k + 4] for k, gate in enumerate("ifgo")})
    assert live.prove().max_abs_error < 1e-6
    assert np.abs(np.concatenate([live[0, "forward"].kernel[gate] for gate in "ifgo"]) - whole).max() < 1e-6


def test_a_pruned_element_stays_zero_and_a_refusal_says_how_many() -> None:
    module = pruned("custom")
    live = live_of(module)
    before = state_of(module)
    with pytest.raises(UsageError, match=r"\d+ of the elements of weight_hh_l0 to write are pruned"):
        live[0, "forward"].recurrent_kernel["f"] = 1.0
    assert same(state_of(module), before)


def test_a_row_of_zeros_under_weight_norm_is_refused() -> None:
    for make in (old_weight_norm, lambda: parametrization("weight_norm")):
        module = make()
        before = state_of(module)
        with pytest.raises(UsageError, match="weight_hh_l0"):
            live_of(module)[0, "forward"].recurrent_kernel["f"] = 0.0
        assert same(state_of(module), before)


def test_a_weight_dropped_layer_without_its_wrapper_is_read_and_not_written() -> None:
    inner = fastai_weight_drop(2).module
    live = gw.of(inner)
    live[0, "forward"].bias["f"] = 1.0
    with pytest.raises(UsageError, match=r"no parameter of its LSTM.*Hand over the model around it"):
        live[0, "forward"].recurrent_kernel["f"] = 1.0


@pytest.mark.parametrize("make", [awd_weight_drop, lambda: fastai_weight_drop(1), lambda: fastai_weight_drop(2)], ids=["AWD-LSTM", "fastai 1", "fastai 2"])  # fmt: skip
def test_a_dropped_layer_in_training_has_its_whole_matrix_and_keeps_its_gradients(make: Callable[[], Any]) -> None:
    import torch

    module = make().train()
    module(torch.ones(2, 1, 3))  # leaves a dropped copy behind
    live = live_of(module)
    assert all((live[0, "forward"].recurrent_kernel[gate] != 0).all() for gate in "ifgo")
    raw = next(parameter for name, parameter in module.named_parameters() if name.endswith("_raw"))
    live.native(0, "forward", "recurrent_kernel", "f").sum().backward()
    assert int((raw.grad != 0).sum()) == 16
    live.prove()
    module(torch.ones(2, 1, 3))[0].sum().backward()  # and runs as before


# Gradients.


@pytest.mark.parametrize("name", WRAPPED, ids=lambda name: f"{name}: a penalty on a gate reaches its parameters")
def test_gradients(name: str) -> None:
    module = WRAPPED[name]()
    live = live_of(module)
    weight = live.weight_of(live.home(0, "forward", "recurrent_kernel", "f"))
    if weight.frozen or name == "made in inference mode":
        return
    for parameter in module.parameters():
        parameter.grad = None
    live.native(0, "forward", "recurrent_kernel", "f").pow(2).sum().backward()
    touched = [parameter for parameter in module.parameters() if parameter.grad is not None]
    assert {id(each) for each in touched} == {id(each) for each in weight.parameters()}


CHANGED_BETWEEN = {name: WRAPPED[name] for name in (
    "plain", "weight_norm, the old way", "weight_norm, a parametrization", "a parametrization of the user's with an inverse", "prune l1, one name",
    "AWD-LSTM's weight drop", "fastai 2's weight drop", "DataParallel", "torch.compile", "not contiguous", "float64",
)}  # fmt: skip


@pytest.mark.parametrize("make", CHANGED_BETWEEN.values(), ids=[f"{name}: a change between forward and backward is an error, not a lie" for name in CHANGED_BETWEEN])  # fmt: skip
def test_between_forward_and_backward(make: Callable[[], Any]) -> None:
    import torch

    module = make()
    live = live_of(module)
    like = next(iter(module.parameters()))
    x = torch.randn(5, 2, 3, dtype=like.dtype)
    module.train()
    before = dict(module.named_parameters())
    torch.manual_seed(1)
    module(x)[0].pow(2).sum().backward()
    right = {name: parameter.grad.clone() for name, parameter in before.items()}
    module.zero_grad()
    torch.manual_seed(1)
    loss = module(x)[0].pow(2).sum()
    now = live[0, "forward"].recurrent_kernel["f"]
    live[0, "forward"].recurrent_kernel["f"] = 0.75 * now
    with contextlib.suppress(RuntimeError):  # "one of the variables needed … has been modified by an inplace operation"
        loss.backward()
        # Where the graph kept its own numbers the gradient goes through: then it is that of the old ones.
        for name, parameter in before.items():
            assert bool(torch.allclose(parameter.grad, right[name], atol=1e-6)), name


# Numbers.


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_coarse_numbers_are_read_and_written(dtype: str) -> None:
    import torch

    module = fresh().to(getattr(torch, dtype))
    live = live_of(module)
    assert live.spec.dtype == dtype
    live[0, "forward"].bias["f"] = 1.5
    assert bool((module.bias_ih_l0[4:8] == 1.5).all())
    assert live.prove().same
    live[0, "forward"].recurrent_kernel["f"] = live[0, "forward"].recurrent_kernel["i"]
    assert bool((module.weight_hh_l0[:4] == module.weight_hh_l0[4:8]).all())


def test_a_layer_on_the_meta_device_has_names_and_shapes_and_no_numbers() -> None:
    live = live_of(fresh(device="meta"))
    assert (live.spec.hidden_size, live.parameters) == (4, 144)
    assert set(live[0, "forward"].kernel) == set("ifgo")
    for deed in (
        lambda: live[0, "forward"].kernel["f"],
        lambda: live.prove(),
        lambda: live.run(X),
        lambda: setattr(live[0, "forward"], "bias", 1.0),
    ):
        with pytest.raises(UsageError, match=r"has a shape and no numbers.*meta device.*to_empty"):
            deed()


# Tied weights.


def test_tied_weights_are_told_and_written_together() -> None:
    module = fresh(num_layers=3)
    module.weight_hh_l2 = module.weight_hh_l1
    live = live_of(module)
    assert live.tied == {"weight_hh_l1": ("weight_hh_l2",), "weight_hh_l2": ("weight_hh_l1",)}
    live[1, "forward"].recurrent_kernel["f"] = 0.5
    assert (live[2, "forward"].recurrent_kernel["f"] == 0.5).all()
    one, other = (live.home(layer, "forward", "recurrent_kernel", "f") for layer in (1, 2))
    with pytest.raises(
        UsageError, match=r"weight_hh_l1 and weight_hh_l2 are one tensor \(tied\), which cannot hold two values"
    ):
        live.write({one: 0.1, other: 0.2})
    assert (live[1, "forward"].recurrent_kernel["f"] == 0.5).all()
    live.write({one: 0.25, other: 0.25})
    assert live.prove().same
    assert not stale(module)


def test_weights_tied_between_two_modules_and_a_module_used_twice_are_told() -> None:
    import torch

    first, second = fresh(), fresh()
    second.weight_hh_l0 = first.weight_hh_l0
    model = torch.nn.ModuleDict({"a": first, "b": second, "again": first})
    found = gw.of(model)
    assert [live.name for live in found] == ["a", "b"]
    assert found["a"].tied == {"a.weight_hh_l0": ("b.weight_hh_l0",)}
    assert found["a"].also_at == ("again",)
    found["a"][0, "forward"].recurrent_kernel["o"] = 0.125
    assert (found["b"][0, "forward"].recurrent_kernel["o"] == 0.125).all()


# torch.ao and TorchScript.


@pytest.mark.parametrize(
    "said",
    [{}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}, {"bias": False}, {"batch_first": True}],
    ids=str,
)
@pytest.mark.parametrize("split", [False, True])
def test_a_quantizable_layer_is_read_written_and_run(said: dict[str, Any], split: bool) -> None:
    import torch

    torch.manual_seed(2)
    floats = torch.nn.LSTM(3, 4, **said).eval()
    config = torch.ao.quantization.default_qconfig
    module = torch.ao.nn.quantizable.LSTM.from_float(floats, config, split_gates=split)
    live = gw.of(module)
    assert live.layout == ("torch_ao.LSTM-split" if split else "torch_ao.LSTM")
    assert live.parameters == sum(parameter.numel() for parameter in module.parameters())
    before = state_of(module)
    assert live.prove().max_abs_error < 1e-6
    assert same(state_of(module), before)  # also what its observers saw
    for _, weights in live:
        weights.recurrent_kernel["f"] = 0.25
    assert live.prove().compared == ("y", "h_n", "c_n")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "GRUCell"])
def test_a_dynamically_quantised_layer_is_read_and_refuses_to_be_written(kind: str) -> None:
    import torch

    if not {"fbgemm", "qnnpack", "x86", "onednn"} & set(torch.backends.quantized.supported_engines):
        pytest.skip("this build of torch has no quantised kernels")
    floats = fresh(kind)
    dynamic = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(floats), {type(floats)})
    live = gw.of(dynamic)
    assert live.name == "0"
    assert any("quantised (qint8)" in text for text in live.assumed)
    before = gw.of(floats)
    for role in ("kernel", "recurrent_kernel"):
        for gate in live[0, "forward"].role(role):
            assert np.abs(live[0, "forward"].role(role)[gate] - before[0, "forward"].role(role)[gate]).max() < 0.01
    assert np.abs(live.run(X)[0] - gw.run(live, X)[0]).max() < 0.1
    with pytest.raises(UsageError, match=r"is quantised \(qint8, packed for the kernel\), so it cannot be written"):
        live[0, "forward"].bias["z" if kind.startswith("GRU") else "f"] = 1.0
    with pytest.raises(UsageError, match="what is quantised is not trained"):
        live.holder.weights[next(iter(live.holder.weights))].freeze(False)
    with pytest.raises(ProofFailed):
        live.prove()


def test_a_scripted_model_is_read_and_written_and_says_what_it_cannot_do() -> None:
    import torch

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = fresh(num_layers=2, bidirectional=True)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.rnn(x)[0]

    scripted = torch.jit.script(Model())
    live = gw.of(scripted)
    assert (live.name, live.layout, live.spec.num_layers) == ("rnn", "torch.LSTM", 2)
    live[1, "reverse"].bias["f"] = 1.0
    live[0, "forward"].recurrent_kernel["o"] = -0.5
    x = torch.from_numpy(X.transpose(1, 0, 2)).float()
    with torch.no_grad():
        y = scripted.eval()(x).numpy().transpose(1, 0, 2)
    assert np.abs(y - gw.run(live, X)[0]).max() < 1e-6
    with pytest.raises(UsageError, match="could not be called"):
        live.prove()


def test_a_traced_layer_is_read_written_and_run(tmp_path: Any) -> None:
    import torch

    traced = torch.jit.trace(fresh(), (torch.ones(4, 2, 3),))
    torch.jit.save(traced, tmp_path / "traced.pt")
    for module in (traced, torch.jit.load(tmp_path / "traced.pt")):
        live = gw.of(module)
        live[0, "forward"].bias["f"] = 2.0
        assert "from its own initial state" in live.prove().against


def test_a_frozen_script_says_where_its_weights_went() -> None:
    import torch

    frozen = torch.jit.freeze(torch.jit.trace(fresh().eval(), (torch.ones(4, 2, 3),)))
    with pytest.raises(UsageError, match=r"TorchScript.*constants"):
        gw.of(frozen)


def test_a_statically_quantised_layer_is_named() -> None:
    import torch

    kind = torch.ao.nn.quantized.LSTM
    module = kind.__new__(kind)
    torch.nn.Module.__init__(module)
    with pytest.raises(UsageError, match="quantised"):
        gw.of(torch.nn.Sequential(module))


def test_a_refusal_is_always_ours() -> None:
    import torch

    for module in (
        torch.nn.Linear(3, 4),
        torch.nn.Sequential(),
        torch.nn.LazyLinear(3),
        torch.jit.script(torch.nn.Linear(3, 4)),
    ):
        with pytest.raises(GatewiseError, match="holds no recurrent layer"):
            gw.of(module)


def test_what_is_refused_in_one_layer_is_written_in_none() -> None:
    import torch

    from gatewise.live._live import write_all

    model = torch.nn.ModuleDict(
        {"a": fresh(), "b": pruned("l1_unstructured"), "c": old_spectral_norm(), "d": old_weight_norm()}
    )
    before = state_of(model)
    layers = list(gw.of(model))
    values = [
        (live, {live.home(0, "forward", "recurrent_kernel", "f"): 0.0 if live.name == "b" else 0.25}) for live in layers
    ]
    with pytest.raises(UsageError, match="largest singular value"):
        write_all(values)
    assert same(state_of(model), before)
    write_all([each for each in values if each[0].name != "c"])
    assert [bool((live[0, "forward"].recurrent_kernel["f"] == 0.25).all()) for live in layers] == [
        True,
        False,
        False,
        True,
    ]
