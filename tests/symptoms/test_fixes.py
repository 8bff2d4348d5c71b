"""The code that is told does what it says: the blocks of the fixes are run as they stand, on real old files and real modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatewise.symptoms import symptoms

pytestmark = pytest.mark.framework("torch")
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "torch"
ROWS = {row.code: row for row in symptoms()}
OLD = sorted(path for version in ("1.0.1", "1.3.1") for path in (FIXTURES / version).glob("*.module.pt"))


def code(entry: str, word: str) -> str:
    """The block of an entry's fix that holds a word."""
    blocks = ["\n".join(lines) for is_code, lines in ROWS[entry].steps if is_code]
    return next(block for block in blocks if word in block)


def run(entry: str, word: str, **names: Any) -> dict[str, Any]:
    import torch

    space = {"torch": torch, "copy": copy, **names}
    exec(code(entry, word), space)
    return space


@pytest.fixture
def patched() -> Iterator[None]:
    from torch.nn.modules.rnn import RNNBase

    original = RNNBase.__setstate__
    run("GW105", "def patched")
    yield
    RNNBase.__setstate__ = original


def recurrent(model: Any) -> list[Any]:
    import torch

    return [module for module in model.modules() if isinstance(module, torch.nn.RNNBase)]


@pytest.mark.parametrize("path", OLD, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_old_files_load_run_and_move_under_the_patch(path: Path, patched: None) -> None:  # noqa: ARG001
    import torch

    if "tagger" in path.name:
        pytest.skip("a class of its own")
    model = torch.load(path, weights_only=False).eval()
    for layer in recurrent(model):
        x = torch.ones(3, 2, layer.input_size)
        before = layer(x)[0]
        assert torch.equal(layer.float()(x)[0], before)


def test_without_the_patch_they_do_not() -> None:
    import torch

    path = next(path for path in OLD if "lstm" in path.name and "cell" not in path.name)
    with pytest.raises(AttributeError, match="_flat_weights'"):
        torch.load(path, weights_only=False)


def test_what_torch_says_is_explained() -> None:
    """The whole circle: torch's own words, found by explain."""
    import torch

    import gatewise as gw

    path = next(path for path in OLD if "lstm" in path.name and "cell" not in path.name)
    with pytest.raises(AttributeError) as caught:
        torch.load(path, weights_only=False)
    answer = gw.explain(str(caught.value)).answer
    assert answer is not None
    assert answer.code in ("GW105", "GW106")


def test_a_state_dict_is_renamed_as_told() -> None:
    import torch

    model = torch.nn.Sequential()
    model.rnn = torch.nn.LSTM(3, 4)
    state = model.state_dict()
    run("GW302", "removeprefix", model=model, state={f"encoder.{name}": each for name, each in state.items()})
    run("GW303", "consume_prefix", model=model, state={f"module.{name}": each for name, each in state.items()})
    run("GW304", "_orig_mod.", model=model, state={f"_orig_mod.{name}": each for name, each in state.items()})
    dropped = {name.replace("rnn.", "rnn.module."): each for name, each in state.items()}
    dropped["rnn.weight_hh_l0_raw"] = torch.ones(16, 4)
    run("GW306", "_raw", model=model, state=dropped)
    assert model.rnn.weight_hh_l0.mean() == 1


def test_cell_and_layer_exchange_their_weights() -> None:
    import torch

    cell, layer = torch.nn.GRUCell(3, 4), torch.nn.GRU(3, 4)
    run("GW305", "_l0", cell=cell, layer=layer)
    x = torch.randn(1, 2, 3)
    assert torch.allclose(cell(x[0], torch.zeros(2, 4)), layer(x)[0][0], atol=1e-6)


def test_a_normalised_lstm_is_copied() -> None:
    import torch

    model, example = (
        torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0"),
        torch.ones(5, 1, 3),
    )
    before = model(example)[0]
    with pytest.raises(RuntimeError, match="deepcopy protocol"):
        copy.deepcopy(model)
    twin = run("GW112", "no_grad", model=model, example=example)["twin"]
    assert torch.equal(twin(example)[0], before)


def test_the_forget_bias_is_one_everywhere() -> None:
    import torch

    lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    run("GW551", "hidden", lstm=lstm)
    weights = dict(lstm.named_parameters())
    for name in [name for name in weights if name.startswith("bias_ih")]:
        total = weights[name] + weights[name.replace("_ih", "_hh")]
        assert torch.equal(total[4:8], torch.ones(4))


def test_folding_the_biases_changes_nothing() -> None:
    import torch

    lstm, x = torch.nn.LSTM(3, 4), torch.randn(5, 2, 3)
    before = lstm(x)[0]
    run("GW553", "zero_", lstm=lstm)
    assert torch.allclose(lstm(x)[0], before, atol=1e-6)


def test_a_flat_vector_gets_its_gradient() -> None:
    import torch

    lstm = torch.nn.LSTM(3, 4)
    vector = torch.nn.utils.parameters_to_vector(lstm.parameters()).detach().clone().requires_grad_()
    run("GW560", "functional_call", lstm=lstm, vector=vector, x=torch.ones(5, 1, 3))["output"].sum().backward()
    assert (vector.grad != 0).all()


def test_a_pruned_lstm_computes_what_is_left() -> None:
    import torch

    lstm, x = torch.nn.LSTM(3, 4), torch.randn(6, 2, 3)
    lstm.weight_hh_l0.data[:, 1] = 0  # nothing listens to unit 1
    small = run("GW407", "keep", lstm=lstm, hidden=4, input_size=3)["small"]
    assert torch.allclose(lstm(x)[0][:, :, [0, 2, 3]], small(x)[0], atol=1e-6)


def test_a_step_by_hand_is_the_layer_s() -> None:
    import torch

    lstm, x, zero = torch.nn.LSTM(3, 4), torch.randn(1, 2, 3), torch.zeros(2, 4)
    assert torch.allclose(run("GW564", "chunk", lstm=lstm, x=x[0], h=zero, c=zero)["h"], lstm(x)[0][0], atol=1e-6)


@pytest.mark.parametrize("entry", ["GW118", "GW120", "GW122", "GW123", "GW124"])
def test_an_attribute_that_came_later_is_set(entry: str) -> None:
    import torch

    name = ROWS[entry].title.split("'")[1]
    module = getattr(torch.nn, name)(*([2] if "Pool" in name else []))
    attribute = ROWS[entry].title.split("'")[3]
    value = module.__dict__.pop(attribute)
    run(entry, attribute, model=torch.nn.Sequential(module))
    assert getattr(module, attribute) == value
