"""A torch layer that was written through, frozen, pruned and put into one chunk works on as torch's layers do."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import NotRepresentable, UsageError

pytestmark = [pytest.mark.framework("torch"), pytest.mark.filterwarnings("ignore:.*(oneDNN|RNN module weights).*")]


def fresh(kind: str = "LSTM", **said: Any) -> Any:
    import torch

    torch.manual_seed(4)
    return getattr(torch.nn, kind)(3, 5, **said)


def output(module: Any, seed: int = 1) -> Any:
    """What the module gives for a fixed input, in evaluation mode."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    like = next(iter(module.parameters()))
    x = torch.randn(6, 2, 3, generator=generator).to(like.device, like.dtype)
    mode = module.training
    module.eval()
    with torch.no_grad():
        y = module(x)[0]
    module.train(mode)
    return y


def written(module: Any) -> None:
    live = gw.of(module)
    random = np.random.default_rng(2)
    for _, weights in live:
        weights.recurrent_kernel[next(iter(weights.recurrent_kernel))] = random.uniform(-0.5, 0.5, (5, weights.hidden))


def frozen(module: Any) -> None:
    live = gw.of(module)
    for name, weight in live.holder.weights.items():
        if "bias" in name:
            weight.freeze()


def pruned(module: Any) -> None:
    from torch.nn.utils import prune

    prune.l1_unstructured(module, "weight_hh_l0", 0.3)
    written_where_left = gw.of(module)
    gates = written_where_left[0, "forward"].recurrent_kernel
    for gate in gates:
        gates[gate] = 0.5 * gates[gate]


def flattened(module: Any) -> None:
    gw.flatten_parameters(module)


def everything(module: Any) -> None:
    written(module)
    frozen(module)
    flattened(module)
    pruned(module)


DEEDS: dict[str, Callable[[Any], None]] = {
    "written through": written,
    "frozen in part": frozen,
    "put into one chunk": flattened,
    "pruned": pruned,
    "written, frozen, put into one chunk and pruned": everything,
}
LAYERS = {
    "an LSTM": lambda: fresh(),
    "a GRU of two layers, both ways": lambda: fresh("GRU", num_layers=2, bidirectional=True),
    "an RNN without biases": lambda: fresh("RNN", bias=False),
    "a projected LSTM": lambda: fresh(proj_size=2),
}
CASES = [
    pytest.param(make, deed, id=f"{name} that was {done}")
    for (name, make), (done, deed) in itertools.product(LAYERS.items(), DEEDS.items())
]
every_case = pytest.mark.parametrize(("make", "deed"), CASES)
# torch's pruning exchanges the parameter itself, so that an optimizer made before does not know the new one.
same_parameters = pytest.mark.parametrize(
    ("make", "deed"), [case for case in CASES if case.values[1] not in (pruned, everything)]
)


def treated(make: Callable[[], Any], deed: Callable[[Any], None]) -> Any:
    module = make()
    deed(module)
    return module


def healthy(module: Any) -> None:
    """The doctor finds nothing: what forward uses is what the names give."""
    assert [finding for finding in gw.diagnose(module) if finding.severity != "note"] == []
    live = gw.of(module)
    assert live.prove().same
    assert gw.diagnose(live) == gw.diagnose(module)


def steps(module: Any, optimizer: Any, count: int = 3) -> float:
    import torch

    generator = torch.Generator().manual_seed(9)
    loss = torch.zeros(())
    for _ in range(count):
        optimizer.zero_grad()
        loss = module(torch.randn(6, 2, 3, generator=generator))[0].pow(2).mean()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


@every_case
def test_it_trains_as_its_copy_does(make: Callable[[], Any], deed: Callable[[Any], None]) -> None:
    """Beside a module that was made anew from the same numbers: the same losses, to the last bit but one."""
    import torch

    module = treated(make, deed)
    twin = pickle.loads(pickle.dumps(module)) if deed in (pruned, everything) else copy.deepcopy(module)
    for name, parameter in twin.named_parameters():
        assert parameter.requires_grad == dict(module.named_parameters())[name].requires_grad
    one, other = (torch.optim.Adam([p for p in each.parameters() if p.requires_grad], 0.05) for each in (module, twin))
    kept = {
        name: parameter.detach().clone() for name, parameter in module.named_parameters() if not parameter.requires_grad
    }
    before = output(module)
    assert steps(module, one) == pytest.approx(steps(twin, other), rel=1e-5)
    assert float((output(module) - before).abs().max()) > 1e-3
    assert all(bool((dict(module.named_parameters())[name] == value).all()) for name, value in kept.items())
    healthy(module)


@same_parameters
def test_an_optimizer_made_before_goes_on(make: Callable[[], Any], deed: Callable[[Any], None]) -> None:
    import torch

    module = make()
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    steps(module, optimizer)
    state = {id(parameter): dict(held) for parameter, held in optimizer.state.items()}
    deed(module)
    assert {id(parameter) for parameter in module.parameters()} == set(state)
    before = output(module)
    steps(module, optimizer)
    assert float((output(module) - before).abs().max()) > 1e-4
    for parameter, held in optimizer.state.items():
        if parameter.requires_grad:
            assert int(held["step"]) == 6
    healthy(module)


@every_case
def test_its_state_dict_and_its_copies_give_the_same_output(
    make: Callable[[], Any], deed: Callable[[Any], None]
) -> None:
    import torch

    module = treated(make, deed)
    expected = output(module)
    other = make()
    if deed in (pruned, everything):
        torch.nn.utils.prune.identity(other, "weight_hh_l0")
    other.load_state_dict(module.state_dict())
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    copies = [other, torch.load(file, weights_only=False), pickle.loads(pickle.dumps(module))]
    if deed not in (pruned, everything):
        copies.append(copy.deepcopy(module))
        other = make()
        other.load_state_dict(module.state_dict(), assign=True)
        copies.append(other)
    for each in copies:
        assert bool((output(each) == expected).all())
        healthy(each)


@every_case
def test_compiled_functional_parallel_and_mixed_precision_calls_agree(
    make: Callable[[], Any], deed: Callable[[Any], None]
) -> None:
    import torch

    module = treated(make, deed)
    expected = output(module)
    assert float((output(torch.nn.DataParallel(module)) - expected).abs().max()) < 1e-6
    assert float((output(torch.compile(module, backend="eager")) - expected).abs().max()) < 1e-6
    if deed not in (pruned, everything):  # pruning's hook would put its own matrix there
        x = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(1))
        doubled = {name: 2 * parameter.detach() for name, parameter in module.named_parameters()}
        plain = make()
        plain.load_state_dict(doubled)
        called = torch.func.functional_call(module, doubled, (x,))[0]
        assert float((called.detach() - output(plain)).abs().max()) < 1e-6
    assert bool((output(module) == expected).all())
    with torch.autocast("cpu", torch.bfloat16):
        half = output(module)
    assert half.dtype == (torch.float32 if isinstance(module, torch.nn.GRU) else torch.bfloat16)  # torch's own choice
    assert float((half.float() - expected).abs().max()) < 0.05
    healthy(module)


@every_case
def test_it_moves_and_becomes_of_another_type(make: Callable[[], Any], deed: Callable[[Any], None]) -> None:

    module = treated(make, deed)
    expected = output(module)
    live = gw.of(module)
    module.double()
    assert float((output(module).float() - expected).abs().max()) < 1e-5
    assert live[0, "forward"].kernel[next(iter(live[0, "forward"].kernel))].dtype == np.float64
    module.float()
    written(module) if deed not in (pruned, everything) else None
    healthy(module)


@pytest.mark.parametrize("deed", [written, flattened], ids=["written through", "put into one chunk"])
def test_under_compile_what_is_done_afterwards_counts(deed: Callable[[Any], None]) -> None:
    import torch

    module = fresh()
    compiled = torch.compile(module, backend="eager")
    output(compiled)
    deed(compiled)
    assert float((output(compiled) - output(module)).abs().max()) < 1e-6
    healthy(module)


# One chunk of memory.


def chunks(module: Any) -> int:
    return len({parameter.untyped_storage().data_ptr() for parameter in module.parameters()})


@pytest.mark.parametrize("order", ["cudnn", "torch"])
@pytest.mark.parametrize("make", LAYERS.values(), ids=list(LAYERS))
def test_the_weights_lie_in_one_chunk_in_the_order_asked_for(make: Callable[[], Any], order: str) -> None:
    module = make()
    expected, identities = output(module), [id(parameter) for parameter in module.parameters()]
    vector = gw.flat(module, order=order).pack()
    report = gw.flatten_parameters(module, order=order)
    (layer,) = report.layers
    assert (layer.before, layer.after, layer.how) == (len(identities), 1, "views of one buffer")
    assert report.whole
    assert report.result is module
    assert str(report) == f"the {type(module).__name__}: {len(identities)} → 1 chunk (views of one buffer)"
    assert chunks(module) == 1
    assert [id(parameter) for parameter in module.parameters()] == identities
    assert bool((output(module) == expected).all())
    flat = gw.flat(module, order=order)
    assert flat.is_view
    assert (flat.vector == vector).all()
    flat.vector[...] = 0.125  # and through it every weight is written
    assert all(bool((parameter == 0.125).all()) for parameter in module.parameters())
    healthy(module)


def test_flattening_twice_does_nothing_and_in_another_order_something() -> None:
    module = fresh()
    assert gw.flatten_parameters(module).layers[0].how == "views of one buffer"
    assert gw.flatten_parameters(module).layers[0].how == "as they were"
    report = gw.flatten_parameters(module, order="torch").layers[0]
    assert (report.before, report.after) == (1, 1) or report.before > 1


def test_gradients_live_on_and_a_graph_that_was_open_gives_the_right_ones() -> None:
    import torch

    module, twin = fresh(), fresh()
    x = torch.randn(6, 2, 3)
    for each in (module, twin):
        each(x)[0].sum().backward()
    kept = {id(parameter): parameter.grad for parameter in module.parameters()}
    losses = [each(x)[0].pow(2).sum() for each in (module, twin)]
    gw.flatten_parameters(module)
    assert all(parameter.grad is kept[id(parameter)] for parameter in module.parameters())
    for loss in losses:
        loss.backward()
    for one, other in zip(module.parameters(), twin.parameters(), strict=True):
        assert bool((one.grad == other.grad).all())


def test_a_model_is_flattened_layer_by_layer_and_tied_weights_stay_tied() -> None:
    import torch

    model = torch.nn.ModuleDict({"a": fresh(num_layers=2), "b": torch.nn.GRUCell(3, 5), "c": torch.nn.Linear(5, 2)})
    model["a"].weight_hh_l1 = model["a"].weight_hh_l0
    report = gw.flatten_parameters(model)
    assert [(each.name, each.after) for each in report.layers] == [("a", 1), ("b", 1)]
    assert model["a"].weight_hh_l1 is model["a"].weight_hh_l0
    with torch.no_grad():
        model["a"].weight_hh_l0.fill_(0.5)
    assert (gw.of(model)["a"][1, "forward"].recurrent_kernel["f"] == 0.5).all()
    healthy(model["a"])


def test_two_names_of_one_memory_stay_one() -> None:
    module = fresh()
    module.bias_hh_l0.data = module.bias_ih_l0.data  # two parameters, one memory
    gw.flatten_parameters(module)
    gw.of(module)[0, "forward"].bias["f"] = 3.0
    assert bool((module.bias_hh_l0[5:10] == 3).all())


def test_a_layer_with_a_computed_weight_stays_as_it_is_and_says_so() -> None:
    import torch

    module = torch.nn.utils.parametrizations.weight_norm(fresh(), "weight_hh_l0")
    before = {name: parameter.data_ptr() for name, parameter in module.named_parameters()}
    report = gw.flatten_parameters(module)
    assert not report.whole
    assert "weight_hh_l0 computed anew at every call" in str(report)
    assert {name: parameter.data_ptr() for name, parameter in module.named_parameters()} == before


def test_a_layer_of_the_users_own_is_flattened_as_its_layout_has_it() -> None:
    import torch

    @gw.described_by("torch.LSTM")
    class Mine(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight_ih_l0, self.weight_hh_l0 = (torch.nn.Parameter(0.3 * torch.randn(20, size)) for size in (3, 5))

        def forward(self, x: Any, state: Any) -> Any:
            return torch.lstm(x, state, [self.weight_ih_l0, self.weight_hh_l0], False, 1, 0.0, False, False, False)[:1]

    module = Mine()
    assert gw.flatten_parameters(module).layers[0].after == 1
    assert gw.flat(module).is_view


@pytest.mark.parametrize(("make", "why"), [
    (lambda: fresh(device="meta"), "meta device"),
    (lambda: _mixed(), r"several kinds \(torch\.float32 on cpu, torch\.float64 on cpu\)"),
    (lambda: fresh().share_memory(), "processes share"),
], ids=["without memory", "of several types", "in shared memory"])  # fmt: skip
def test_weights_that_cannot_lie_in_one_chunk_are_left_alone(make: Callable[[], Any], why: str) -> None:
    module = make()
    before = [parameter.data_ptr() for parameter in module.parameters()]
    with pytest.raises(UsageError, match=why):
        gw.flatten_parameters(module)
    assert [parameter.data_ptr() for parameter in module.parameters()] == before


def _mixed() -> Any:
    module = fresh()
    module.weight_hh_l0.data = module.weight_hh_l0.data.double()
    return module


def test_orders_that_are_not_the_layers_own_and_objects_that_are_not_torchs_are_refused() -> None:
    import torch

    with pytest.raises(NotRepresentable, match="does not list the tensors"):
        gw.flatten_parameters(fresh(), order="keras")
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.flatten_parameters(torch.nn.Linear(3, 4))


def test_weights_in_one_storage_and_another_order_are_scattered_for_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no GPU, weights on the CPU stand for weights that cuDNN would run."""
    from gatewise.live import torch as live

    monkeypatch.setattr(live, "_on_cudnn", lambda _torch, _weight: True)
    module = fresh(num_layers=2)
    gw.flatten_parameters(module)
    assert gw.diagnose(module) == []
    gw.flatten_parameters(module, order="torch")
    assert [finding.code for finding in gw.diagnose(module)] == ["GW401"]


@pytest.fixture
def cuda() -> Any:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("cuDNN IS NOT ASKED: there is no GPU here")
    return torch.device("cuda")


@pytest.mark.parametrize("make", LAYERS.values(), ids=[f"{name} on a GPU" for name in LAYERS])
def test_on_a_gpu_cudnn_has_nothing_to_copy(
    make: Callable[[], Any], cuda: Any, recwarn: pytest.WarningsRecorder
) -> None:
    module = make().to(cuda)
    expected = output(module)
    module.weight_hh_l0.data = module.weight_hh_l0.data.clone()
    assert [finding.code for finding in gw.diagnose(module)] == ["GW401"]
    gw.of(module)[0, "forward"].kernel[
        "n" if type(module).__name__ == "GRU" else "h" if type(module).__name__ == "RNN" else "f"
    ] *= 1.0
    (report,) = gw.flatten_parameters(module).layers
    assert (report.after, report.how) == (1, "torch's flatten_parameters()")
    recwarn.clear()
    assert float((output(module) - expected).abs().max()) < 1e-6
    assert not [each for each in recwarn if "single contiguous chunk" in str(each.message)]
    healthy(module)


def test_on_a_gpu_copies_are_read_only_and_assignment_writes(cuda: Any) -> None:
    module = fresh().to(cuda)
    live = gw.of(module)
    assert not live[0, "forward"].bias["f"].flags.writeable
    live[0, "forward"].bias["f"] = 1.5
    assert bool((module.bias_ih_l0[5:10] == 1.5).all())
    healthy(module)


# Export from memory.


@pytest.mark.parametrize("target", ["keras.LSTM", "onnx.LSTM", "flax.LSTMCell"])
def test_a_layer_in_memory_is_saved_with_a_proof(target: str, tmp_path: Any) -> None:
    module = fresh(num_layers=2) if target == "onnx.LSTM" else fresh()
    everything(module)
    out = tmp_path / f"out.{ {'keras.LSTM': 'keras', 'onnx.LSTM': 'onnx'}.get(target, 'safetensors') }".replace(" ", "")
    assert gw.save(gw.of(module), out, layout=target).max_abs_error < 1e-6
    x = np.random.default_rng(0).standard_normal((2, 6, 3))
    layers = gw.open(out, target if out.suffix == ".safetensors" else None).layers
    y = x
    for layer in layers:
        y = gw.run(layer, y)[0]
    assert np.abs(y - gw.of(module).run(x)[0]).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "layout"), [("out.pt", None), ("out.keras", "keras"), ("out.onnx", "onnx"), ("out.npz", "flax")]
)
def test_every_layer_of_a_model_in_memory_is_saved_with_a_proof(name: str, layout: str | None, tmp_path: Any) -> None:
    import torch

    torch.manual_seed(1)
    model = torch.nn.ModuleDict(
        {"a": fresh(num_layers=2, bidirectional=True), "b": torch.nn.Linear(2, 2), "c": fresh("GRU")}
    )
    live = gw.of(model)
    assert gw.save(live, tmp_path / name, layout).max_abs_error < 1e-6
    found = gw.open(tmp_path / name).layers
    assert [each.name for each in found] == (["a", "c"] if layout is None else ["a", "a_1", "c"])
    x = np.random.default_rng(0).standard_normal((2, 6, 3))
    assert np.abs(gw.run(found[-1], x)[0] - live["c"].run(x)[0]).max() < 1e-6
    y = x
    for each in found[:-1]:
        y = gw.run(each, y)[0]
    assert np.abs(y - live["a"].run(x)[0]).max() < 1e-6
    if layout is None:
        fresh("GRU").load_state_dict(
            {key[2:]: value for key, value in torch.load(tmp_path / name).items() if key[0] == "c"}
        )


def test_a_sick_module_is_repaired_through_what_gw_of_gave() -> None:
    module = fresh()
    for name in ("_flat_weights", "_flat_weights_names", "_flat_weight_refs"):
        vars(module).pop(name)
    live = gw.of(module)
    live[0, "forward"].bias["f"] = 2.0
    assert {finding.code for finding in gw.diagnose(live)} == {"GW104"}
    repaired = gw.repair(live).result
    assert bool((repaired.bias_ih_l0[5:10] == 2).all())
    healthy(repaired)
    assert np.abs(gw.of(repaired).run(np.ones((1, 2, 3)))[0] - gw.run(live, np.ones((1, 2, 3)))[0]).max() < 1e-6
