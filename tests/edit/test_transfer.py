"""gw.transfer: after it the destination's own framework computes what the source computes, or nothing has changed."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatewise as gw
from gatewise.errors import NotRepresentable, ProofFailed, UsageError

pytestmark = pytest.mark.framework("torch")
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
KINDS = ("LSTM", "GRU", "RNN")


def made(kind: str, feature: int = 4, unit: int = 6, seed: int = 0, **said: Any) -> Any:
    """A torch module with weights that are larger than torch's own, so that no mistake hides."""
    import torch

    torch.manual_seed(seed)
    module = getattr(torch.nn, kind)(feature, unit, **said)
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return module


def numbers(module: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


def random_x(*shape: int, seed: int = 1) -> Any:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def difference(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max())


def stacks() -> Iterator[Any]:
    for kind, layers, both, bias in itertools.product(KINDS, (1, 2, 3), (False, True), (True, False)):
        for more in [{}, *([{"proj_size": 3}] * (kind == "LSTM")), *([{"nonlinearity": "relu"}] * (kind == "RNN"))]:
            said = {"num_layers": layers, "bidirectional": both, "bias": bias, **more}
            told = f"{kind}, {layers} layer(s){', both ways' * both}{', no biases' * (not bias)}{f', {more}' if more else ''}"
            yield pytest.param(kind, said, id=told)


# The whole of it.


@pytest.mark.parametrize(("kind", "said"), list(stacks()))
def test_a_layer_into_its_like_is_the_same_numbers(kind: str, said: dict[str, Any]) -> None:
    src, dst = made(kind, **said), made(kind, seed=1, **said)
    moved = gw.transfer(src, dst)
    assert moved.result is dst
    assert same(numbers(src), numbers(dst))
    assert moved.changes == ()
    assert moved.proof is not None
    assert moved.proof.max_abs_error == 0
    assert moved.proof.against.startswith("torch ")
    assert len(moved.layers) == said["num_layers"] * (1 + said["bidirectional"])


def sources() -> dict[str, list[Path]]:
    """The files of the fixtures that have recurrent layers, by framework."""
    found: dict[str, list[Path]] = {}
    for path in sorted(FIXTURES.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".npz", ".json", ".md", ".txt", ".npy"):
            found.setdefault(path.relative_to(FIXTURES).parts[0], []).append(path)
    return found


def like(stack: gw.Stack) -> Any:
    """A torch module that could take a stack's weights, in float64; None where torch has none of its sizes."""
    import torch

    spec = stack.spec
    if spec.cell not in ("lstm", "gru", "rnn") or isinstance(spec.hidden_size, list):
        return None
    said: dict[str, Any] = {"num_layers": spec.num_layers, "bidirectional": spec.directions == 2, "batch_first": True}
    said |= {"proj_size": spec.proj_size} if spec.proj_size and spec.cell == "lstm" else {}
    said |= {"nonlinearity": "relu"} if spec.cell == "rnn" and spec.dialect.activation == "relu" else {}
    if spec.proj_size >= spec.hidden_size:
        return None
    return getattr(torch.nn, spec.cell.upper())(spec.input_size, spec.hidden_size, **said).double()


def layers_of(path: Path) -> list[gw.Layer]:
    try:
        return [layer for layer in gw.open(path).layers if layer.sure]
    except gw.GatewiseError:
        return []


@pytest.mark.parametrize("framework", sources())
def test_a_file_of_any_framework_into_torch(framework: str) -> None:
    """torch computes in float64 what the reference computes from the file, or the file is refused for a reason."""
    import torch

    moved, seen = 0, set()
    for layer in (layer for path in sources()[framework] for layer in layers_of(path)):
        kind = (
            layer.layout,
            *(getattr(layer.spec, name) for name in ("num_layers", "directions", "bias", "dtype", "dialect")),
        )
        module = None if kind in seen or layer.parameters > 100_000 else like(layer)
        if module is None:
            continue
        seen.add(kind)
        before = numbers(module)
        try:
            gw.transfer(layer, module)
        except (NotRepresentable, ProofFailed) as refusal:
            assert "cannot say this" in str(refusal) or "not finite" in str(refusal)  # noqa: PT017
            assert same(before, numbers(module))
            continue
        x = np.random.default_rng(0).standard_normal((2, 5, layer.spec.input_size))
        states = [
            np.random.default_rng(1).standard_normal((len(layer.cells), 2, size))
            for size in (layer[0, "forward"].hidden, layer[0, "forward"].unit)[: 2 if layer.cell == "lstm" else 1]
        ]
        given = [torch.from_numpy(state) for state in states]
        y, _ = module(torch.from_numpy(x), tuple(given) if layer.cell == "lstm" else given[0])
        wanted, _ = gw.run(layer, x, tuple(states))
        rounded = 1e-12 if layer.spec.dtype == "float64" else 1e-5  # arithmetic is done in the source's dtype or wider
        assert np.abs(y.detach().numpy() - wanted).max() < rounded, layer
        moved += 1
    assert moved or not seen, f"none of {len(seen)} layers went into torch"


def test_a_model_of_keras_computes_in_torch_what_keras_recorded() -> None:
    """An end that no code of ours computed: the outputs that Keras itself gave when the file was made."""
    import torch

    count = 0
    for path in sorted((FIXTURES / "keras").glob("*/lstm*.*")):
        record = path.with_name(f"{path.name.partition('.')[0]}.npz")
        if path.suffix not in (".h5", ".keras") or not record.exists():
            continue
        (layer,) = gw.open(path).layers
        with np.load(record) as held:
            x, y = held["in/0"], held["out/0"]
            if "in/1" in held or any(name.startswith("w/dense") for name in held) or y.ndim != 3:
                continue
        module = like(layer)
        assert module is not None
        try:
            gw.transfer(path, module)
        except NotRepresentable:
            continue
        found, _ = module(torch.from_numpy(np.asarray(x, np.float64)))
        assert np.abs(found.detach().numpy() - y).max() < 1e-6
        count += 1
    assert count


def test_what_was_taken_for_granted_and_what_was_changed_is_in_the_result() -> None:
    path = next(iter(sorted((FIXTURES / "keras").glob("keras-3/lstm*.keras"))))
    layer = gw.open(path).only()
    moved = gw.transfer(path, like(layer))
    assert [change.what for change in moved.changes if "biases" in change.what] == [
        "biases: one → two: the bias, and zeros"
    ]
    assert moved.as_dict()["proof"]["same"]
    assert str(moved).splitlines()[-1].startswith("proved: max |Δ| = ")


def test_a_narrower_dtype_is_said() -> None:
    import torch

    moved = gw.transfer(made("GRU").double(), made("GRU", seed=1).to(torch.bfloat16))
    (change,) = moved.changes
    assert change.what == "stored as float64 → bfloat16"
    assert change.exactness.startswith("largest change 0.00")


def test_a_wider_dtype_is_exact() -> None:
    moved = gw.transfer(made("GRU"), made("GRU", seed=1).double())
    assert [change.exactness for change in moved.changes] == ["exact"]


def test_biases_that_are_zero_may_be_left_out_and_others_not() -> None:
    src, dst = made("LSTM"), made("LSTM", seed=1, bias=False)
    before = numbers(dst)
    with pytest.raises(
        NotRepresentable, match=r"the source has biases, and this layout has none.*Make the destination with biases"
    ):
        gw.transfer(src, dst)
    assert same(before, numbers(dst))
    for name in ("bias_ih_l0", "bias_hh_l0"):
        getattr(src, name).data.zero_()
    assert "biases: all zero, left out" in [change.what for change in gw.transfer(src, dst).changes]
    x = random_x(5, 2, 4)
    assert difference(src(x)[0], dst(x)[0]) < 1e-6


def test_a_layer_that_starts_without_biases_gets_zeros() -> None:
    src, dst = made("LSTM", bias=False), made("LSTM", seed=1)
    assert [change.what for change in gw.transfer(src, dst).changes] == ["biases: none → zeros"]
    x = random_x(5, 2, 4)
    assert difference(src(x)[0], dst(x)[0]) < 1e-6


def test_layers_of_one_object_change_places() -> None:
    """What is written is what is read, so it is read before."""
    module = made("LSTM", feature=6, num_layers=2)
    before = numbers(module)
    gw.transfer(module, module, layers=[0, 1], to_layers=[1, 0])
    after = numbers(module)
    assert all(
        bool((after[name] == before[name.replace("_l0", "_l9").replace("_l1", "_l0").replace("_l9", "_l1")]).all())
        for name in after
    )


# Parts.


@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_and_one_direction_go_where_they_are_sent_and_nothing_else_changes(kind: str) -> None:
    src, dst = made(kind, 6, num_layers=3), made(kind, 6, seed=1, num_layers=3)
    before = numbers(dst)
    moved = gw.transfer(src, dst, layers=[0], to_layers=[2])
    assert [str(each) for each in moved.layers] == [f"torch.{kind} layer 0 (forward) → torch.{kind} layer 2 (forward)"]
    for name, value in numbers(dst).items():
        source = numbers(src)[name.replace("_l2", "_l0")] if "_l2" in name else before[name]
        assert bool((value == source).all()), name


def test_the_same_layer_goes_to_the_same_number() -> None:
    src, dst = made("LSTM", num_layers=3), made("LSTM", seed=1, num_layers=3)
    before = numbers(dst)
    gw.transfer(src, dst, layers=-1)
    after = numbers(dst)
    assert {name for name in after if not bool((after[name] == before[name]).all())} == {
        name for name in after if "_l2" in name
    }


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_one_direction_of_two_is_a_layer_of_its_own(direction: str) -> None:
    import torch

    src, dst = made("GRU", bidirectional=True), made("GRU", seed=1)
    gw.transfer(src, dst, direction=direction)
    x = random_x(7, 2, 4)
    y, alone = src(x)[0], dst(x)[0]
    if direction == "forward":
        assert difference(y[..., :6], alone) < 1e-6
    else:
        assert difference(y[..., 6:], torch.flip(dst(torch.flip(x, [0]))[0], [0])) < 1e-6


def test_a_layer_becomes_one_direction_of_two() -> None:
    src, dst = made("LSTM"), made("LSTM", seed=1, bidirectional=True)
    before = numbers(dst)
    with pytest.raises(UsageError, match=r"reads in one direction, and .* in both.*to_direction='forward'"):
        gw.transfer(src, dst)
    moved = gw.transfer(src, dst, to_direction="reverse")
    assert "the forward direction's cell, as a reverse one: the order of time is yours" in [
        c.what for c in moved.changes
    ]
    after = numbers(dst)
    assert all(bool((after[name] == before[name]).all()) == ("reverse" not in name) for name in after)


# Cells for streaming.


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_is_stepped_with_cells_as_its_own_sequence(kind: str) -> None:
    """Each step of the cells is the stack's output at that time, however much comes later."""
    import torch

    stack = made(kind, num_layers=2)
    cells = [made(f"{kind}Cell", seed=1), made(f"{kind}Cell", 6, seed=2)]
    assert gw.transfer(stack, cells).result == cells
    x = random_x(9, 2, 4)
    whole, _ = stack(x)
    states: list[Any] = [None, None]
    for time, step in enumerate(x):
        for level, cell in enumerate(cells):
            states[level] = cell(step, states[level])
            step = states[level][0] if kind == "LSTM" else states[level]
        assert difference(step, whole[time]) < 1e-6
        assert difference(step, stack(x[: time + 1])[0][-1]) < 1e-6
    assert not torch.isnan(whole).any()


@pytest.mark.parametrize("kind", KINDS)
def test_cells_become_the_layers_of_a_stack(kind: str) -> None:
    import torch

    stack, back = made(kind, num_layers=2), made(kind, seed=5, num_layers=2)
    cells = torch.nn.ModuleList([made(f"{kind}Cell", seed=1), made(f"{kind}Cell", 6, seed=2)])
    assert gw.transfer(stack, cells).result is cells
    assert gw.transfer(cells, back).result is back
    assert same(numbers(stack), numbers(back))


@pytest.mark.parametrize(("layer", "direction"), list(itertools.product((0, 1), ("forward", "reverse"))))
def test_any_cell_of_a_stack_can_be_taken_out_and_put_back(layer: int, direction: str) -> None:
    src, dst = made("LSTM", num_layers=2, bidirectional=True), made("LSTM", seed=1, num_layers=2, bidirectional=True)
    cell = made("LSTMCell", 4 if layer == 0 else 12, seed=2)
    gw.transfer(src, cell, layers=layer, direction=direction)
    gw.transfer(cell, dst, to_layers=layer, to_direction=direction)
    suffix = f"_l{layer}{'_reverse' * (direction == 'reverse')}"
    one, other = numbers(src), numbers(dst)
    assert {name for name in one if bool((one[name] == other[name]).all())} == {
        name for name in one if name.endswith(suffix)
    }


# Growing.


def grown(kind: str, said: dict[str, Any], how: bool | str) -> tuple[Any, Any]:
    src = made(kind, **said).double()
    more = said | ({"proj_size": 5} if "proj_size" in said else {})
    dst = made(kind, 7, 9, seed=1, **more).double()
    moved = gw.transfer(src, dst, grow=how)
    assert moved.proof is not None
    assert moved.proof.max_abs_error < 1e-12
    return src, dst


def old_places(y: Any, width: int, new: int, both: bool) -> Any:
    import torch

    return torch.cat([y[..., :width], y[..., new : new + width]], -1) if both else y[..., :width]


@pytest.mark.parametrize("how", [True, "fresh"], ids=["with zeros", "with fresh units"])
@pytest.mark.parametrize(("kind", "said"), list(stacks()))
def test_a_grown_layer_gives_the_old_outputs_whatever_the_new_features_are(
    kind: str, said: dict[str, Any], how: Any
) -> None:
    src, dst = grown(kind, said, how)
    x, more = random_x(8, 3, 4).double(), random_x(8, 3, 7, seed=2).double()
    more[..., :4] = x
    width, new = (3, 5) if "proj_size" in said else (6, 9)
    found = old_places(dst(more)[0], width, new, said["bidirectional"])
    assert difference(found, src(x)[0]) < 1e-12


def test_grown_units_are_in_the_reference_the_same_to_the_last_bit_of_float64() -> None:
    src, dst = grown("LSTM", {"num_layers": 2, "bidirectional": True}, "fresh")
    x = np.random.default_rng(0).standard_normal((2, 6, 7))
    one, _ = gw.run(gw.of(src), x[..., :4])
    other, _ = gw.run(gw.of(dst), x)
    assert np.abs(np.concatenate([other[..., :6], other[..., 9:15]], -1) - one).max() < 1e-15


@settings(max_examples=25)
@given(
    kind=st.sampled_from(KINDS), layers=st.integers(1, 3), both=st.booleans(), feature=st.integers(1, 4), unit=st.integers(1, 5),
    more=st.tuples(st.integers(0, 3), st.integers(0, 4)), how=st.sampled_from([True, "fresh"]),
)  # fmt: skip
def test_growing_and_shrinking_again_is_where_one_was(
    kind: str, layers: int, both: bool, feature: int, unit: int, more: tuple[int, int], how: Any
) -> None:
    """What was added is dead but in the last layer, where it is named; without new features it comes back bit by bit."""
    said = {"num_layers": layers, "bidirectional": both}
    src, dst = made(kind, feature, unit, **said), made(kind, feature + more[0], unit + more[1], seed=1, **said)
    gw.transfer(src, dst, grow=how)
    back = made(kind, feature + more[0], unit, seed=2, **said)
    named = {layers - 1: range(unit, unit + more[1])} if more[1] else None
    gw.transfer(dst, back, shrink=True, drop=named)
    one, other = numbers(src), numbers(back)
    assert all(bool((one[name] == other[name][tuple(map(slice, one[name].shape))]).all()) for name in one)


def test_fresh_units_learn_and_zero_units_between_layers_do_not() -> None:
    """Why there are two ways to grow: what is zero on its way in and on its way out has no gradient at all."""
    import torch

    for how, learns in ((True, False), ("fresh", True)):
        _, dst = grown("LSTM", {"num_layers": 2}, how)
        x, old = random_x(8, 3, 7).double(), numbers(dst)
        step = torch.optim.SGD(dst.parameters(), 0.5)
        for _ in range(3):
            step.zero_grad()
            (dst(x)[0][..., :6] ** 2).sum().backward()
            step.step()
        after = numbers(dst)
        assert bool((after["weight_ih_l0"][:6] != old["weight_ih_l0"][:6]).any())
        new = after["weight_ih_l1"][:6, 6:]  # how the old units of layer 1 read the new ones of layer 0
        assert bool((new != 0).any()) == learns


def test_zero_units_of_the_last_layer_learn_where_what_reads_them_is_not_zero() -> None:
    import torch

    _, dst = grown("LSTM", {}, True)
    head, x = torch.nn.Linear(9, 2).double(), random_x(8, 3, 7).double()
    (head(dst(x)[0]) ** 2).sum().backward()
    assert bool((dst.weight_ih_l0.grad[2 * 9 + 6 : 3 * 9] != 0).all())  # g's rows of the new units


# Shrinking.


def test_dead_units_are_found_also_where_they_read_each_other() -> None:
    src = made("GRU", num_layers=2)
    weights = gw.of(src)
    for gate in "rzn":
        below, above = weights[0, "forward"].recurrent_kernel[gate].copy(), weights[1, "forward"].kernel[gate].copy()
        below[:, [1, 4]] *= np.isin(np.arange(6), [1, 4])[:, None]  # units 1 and 4 are read by each other alone
        above[:, [1, 4]] = 0
        weights[0, "forward"].recurrent_kernel[gate] = below
        weights[1, "forward"].kernel[gate] = above
    small = made("GRU", 4, 4, seed=1, num_layers=2)
    with pytest.raises(
        UsageError,
        match=r"layer 0 of the source has 6 units, the destination 4: 2 would have to go, and 2 of them are dead, which means that nothing reads 1, 4. shrink=True",
    ):
        gw.transfer(src, small, drop={1: [0, 1]})
    moved = gw.transfer(src, small, shrink=True, drop={1: [0, 1]})
    assert ("layer 0: dropped units 1, 4", "exact") in [(change.what, change.exactness) for change in moved.changes]


def test_shrinking_says_how_many_are_dead_and_how_many_would_have_to_be() -> None:
    src, dst = made("LSTM", num_layers=2), made("LSTM", 4, 5, seed=1, num_layers=2)
    before = numbers(dst)
    with pytest.raises(
        UsageError,
        match=r"layer 1 of the source has 6 units, the destination 5: 1 would have to go, and what the last layer gives is yours",
    ):
        gw.transfer(src, dst, shrink=True)
    with pytest.raises(
        UsageError,
        match="layer 0 of the source has 6 units, the destination 5: 1 would have to go, and none of them is dead",
    ):
        gw.transfer(src, dst, shrink=True, drop={1: [0]})
    assert same(before, numbers(dst))


@pytest.mark.parametrize("kind", KINDS)
def test_named_units_go_though_they_are_read_and_the_rest_is_as_if_they_gave_nothing(kind: str) -> None:
    src, dst = made(kind, num_layers=2), made(kind, 4, 4, seed=1, num_layers=2)
    moved = gw.transfer(src, dst, drop={0: [1, 5], 1: [0, 2]})
    assert all("another function" in change.exactness for change in moved.changes)
    without = gw.of(copy.deepcopy(src))
    for gate in without[0, "forward"].kernel:
        for weights, role, gone in (
            (without[0, "forward"], "recurrent_kernel", [1, 5]),
            (without[1, "forward"], "kernel", [1, 5]),
            (without[1, "forward"], "recurrent_kernel", [0, 2]),
        ):
            matrix = weights.role(role)[gate].copy()
            matrix[:, gone] = 0
            weights.role(role)[gate] = matrix
    x = random_x(6, 2, 4)
    assert difference(without.subject(x)[0][..., [1, 3, 4, 5]], dst(x)[0]) < 1e-6


def test_what_dead_units_finds_may_be_named() -> None:
    src, dst = made("LSTM", num_layers=2), made("LSTM", 4, 4, seed=1, num_layers=2)
    gw.prune_units(src, [1, 4], layer=0)
    gw.prune_units(src, [0, 5], layer=1)
    moved = gw.transfer(src, dst, drop={(dead.layer, dead.direction): dead.units for dead in gw.dead_units(src)})
    assert {change.exactness for change in moved.changes} == {"exact"}
    x = random_x(6, 2, 4)
    assert difference(src(x)[0][..., 1:5], dst(x)[0]) < 1e-6


def test_an_unread_unit_of_the_last_layer_goes_exactly_when_it_is_named() -> None:
    src, dst = made("RNN"), made("RNN", 4, 5, seed=1)
    gw.of(src)[0, "forward"].recurrent_kernel["h"] = np.where(
        np.arange(6) == 2, 0.0, gw.of(src)[0, "forward"].recurrent_kernel["h"]
    )
    moved = gw.transfer(src, dst, drop=[2])
    assert [(change.what, change.exactness) for change in moved.changes] == [("layer 0: dropped unit 2", "exact")]
    x = random_x(6, 2, 4)
    assert difference(src(x)[0][..., [0, 1, 3, 4, 5]], dst(x)[0]) < 1e-6


# Refusals: the destination is as it was.

REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "another cell": (("LSTM",), ("GRU",), {}, "the destination: torch.GRU cannot say this: it stores GRU cells, and this is an LSTM"),
    "a smaller layer, without shrinking": (("LSTM", 4, 6, 0, 2), ("LSTM", 4, 5, 0, 2), {}, "shrink=True"),
    "a larger layer": (("LSTM",), ("LSTM", 4, 8), {}, "layer 0 of the source has 6 units, the destination 8. grow=True"),
    "more features": (("LSTM",), ("LSTM", 5), {}, "has 4 features, the destination 5. grow=True"),
    "both larger": (("LSTM",), ("LSTM", 5, 9), {}, "has 6 units and 4 features, the destination 9 and 5"),
    "fewer features": (("LSTM",), ("LSTM", 3), {"grow": True}, "reads 4 features, the destination 3"),
    "a smaller layer": (("LSTM",), ("LSTM", 4, 5), {}, r"1 would have to go, and what the last layer gives is yours to read.*drop=\{0: "),
    "another depth": (("LSTM", 4, 6, 0, 3), ("LSTM",), {}, "3 layers of the source cannot go to 1 of the destination. Say which with layers="),
    "another activation": (("RNN",), ("RNN", 4, 6, 0, 1, "relu"), {}, "Make the destination with nonlinearity='tanh'"),
    "a layer that is not there": (("LSTM",), ("LSTM",), {"layers": 3}, "the source has no layer 3. Its layers are 0 to 0"),
    "a direction that is not there": (("LSTM",), ("LSTM",), {"direction": "reverse"}, "there is no direction 'reverse'"),
    "a direction that is none": (("LSTM",), ("LSTM",), {"direction": "backward"}, "there is no direction 'backward'. It is 'forward' or 'reverse'"),
    "a way to grow that is none": (("LSTM",), ("LSTM",), {"grow": "ones"}, "grow is 'ones'"),
    "a unit that is not there": (("LSTM",), ("LSTM", 4, 5), {"drop": [6]}, "units .6. are not units of a cell that has 6.*They are 0 to 5"),
    "too few units named": (("LSTM",), ("LSTM", 4, 4), {"drop": [0]}, "has 5 units after the 1 named in drop, the destination 4"),
    "too many units named": (("LSTM",), ("LSTM", 4, 5), {"drop": [0, 1]}, "has 4 units, the destination 5"),
    "no units but a word": (("LSTM",), ("LSTM", 4, 5), {"drop": "x"}, "drop is 'x'. Say drop="),
    "units of a layer that stays": (("LSTM",), ("LSTM",), {"drop": {2: [0]}}, "layer 2 of the source is not transferred. These are: 0"),
}  # fmt: skip


def called(kind: str, feature: int = 4, unit: int = 6, seed: int = 0, layers: int = 1, nonlinearity: str = "") -> Any:
    more = {"nonlinearity": nonlinearity} if nonlinearity else {}
    return made(kind, feature, unit, seed, num_layers=layers, **more)


@pytest.mark.parametrize(("src", "dst", "said", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(src: Any, dst: Any, said: dict[str, Any], message: str) -> None:
    target = called(*dst)
    before = numbers(target)
    with pytest.raises(gw.GatewiseError, match=message):
        gw.transfer(called(*src), target, **said)
    assert same(before, numbers(target))


def test_ends_that_are_none_are_told(tmp_path: Path) -> None:
    path = FIXTURES / "torch" / "2.13.0"
    file = next(path for path in sorted(path.glob("*.pt")) if len(gw.open(path).layers) == 1)
    with pytest.raises(UsageError, match=r"the destination is a file. Give an object in memory"):
        gw.transfer(made("LSTM"), str(file))
    with pytest.raises(UsageError, match="the destination is a layer of a file, which is only read"):
        gw.transfer(made("LSTM"), gw.open(file).only())
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.transfer(made("LSTM"), made("Linear"))
    np.savez(tmp_path / "none.npz", a=np.zeros(3))
    with pytest.raises(UsageError, match="holds no recurrent layer that gatewise knows"):
        gw.transfer(tmp_path / "none.npz", made("LSTM"))


def test_of_several_layers_one_must_be_named() -> None:
    import torch

    src = torch.nn.ModuleDict({"encoder": made("LSTM"), "decoder": made("LSTM", seed=1)})
    dst = made("LSTM", seed=2)
    with pytest.raises(
        UsageError,
        match=r"the source has 2 recurrent layers and none was named. Name one with src_name=.*encoder.*decoder",
    ):
        gw.transfer(src, dst)
    gw.transfer(src, dst, src_name="decoder")
    assert same(numbers(src["decoder"]), numbers(dst))
    with pytest.raises(UsageError, match=r"no recurrent layer is called 'encode'. Did you mean encoder"):
        gw.transfer(src, dst, src_name="encode")


def test_several_layers_on_both_sides_find_each_other_by_name() -> None:
    import torch

    src = torch.nn.ModuleDict({"encoder": made("LSTM"), "decoder": made("LSTM", seed=1)})
    dst = torch.nn.ModuleDict({"decoder": made("LSTM", seed=2), "encoder": made("LSTM", seed=3)})
    assert gw.transfer(src, dst).result is dst
    assert all(same(numbers(src[name]), numbers(dst[name])) for name in src)
    other = torch.nn.ModuleDict({"one": made("LSTM", seed=2), "two": made("LSTM", seed=3)})
    with pytest.raises(
        UsageError, match=r"their names do not tell which goes to which.*src_name=\[…\], dst_name=\[…\]"
    ):
        gw.transfer(src, other)
    gw.transfer(src, other, src_name=["decoder", "encoder"], dst_name=["one", "two"])
    assert same(numbers(src["decoder"]), numbers(other["one"]))


def test_when_one_weight_cannot_be_written_none_is() -> None:
    """A pruned weight cannot become what its mask does not let through; the layers before it are put back."""
    from torch.nn.utils import prune

    src, dst = made("LSTM", num_layers=2), made("LSTM", seed=1, num_layers=2)
    prune.random_unstructured(dst, "weight_hh_l1", amount=0.5)
    before = numbers(dst)
    with pytest.raises(UsageError, match="pruned"):
        gw.transfer(src, dst)
    assert same(before, numbers(dst))


def test_a_proof_that_fails_gives_the_old_weights_back() -> None:
    """A destination that does not compute what its description says: here one that doubles its output."""
    import torch

    class Doubled(torch.nn.LSTM):
        def forward(self, *given: Any) -> Any:
            y, state = super().forward(*given)
            return 2 * y, state

    dst = Doubled(4, 6)
    before = numbers(dst)
    with pytest.raises(ProofFailed, match=r"max \|Δ\| = 0\..*old weights"):
        gw.transfer(made("LSTM"), dst)
    assert same(before, numbers(dst))
    gw.transfer(made("LSTM"), dst, check=False)
    assert same(numbers(made("LSTM")), numbers(dst))


def test_a_source_that_lies_about_itself_is_noticed_before_anything_is_written() -> None:
    import torch

    class Doubled(torch.nn.LSTM):
        def forward(self, *given: Any) -> Any:
            y, state = super().forward(*given)
            return 2 * y, state

    src, dst = Doubled(4, 6, num_layers=2), made("LSTMCell")
    before = numbers(dst)
    with pytest.raises(ProofFailed, match="computes something else"):
        gw.transfer(src, dst, layers=0)
    assert same(before, numbers(dst))


def test_numbers_that_are_none_are_not_proved() -> None:
    src, dst = made("LSTM"), made("LSTM", seed=1)
    src.weight_hh_l0.data[0, 0] = float("nan")
    before = numbers(dst)
    with pytest.raises(ProofFailed, match="not finite"):
        gw.transfer(src, dst)
    assert same(before, numbers(dst))


# What torch does with such a layer.


def test_a_layer_that_was_given_weights_is_still_torchs_own() -> None:
    import torch

    dst = made("LSTM", seed=1, num_layers=2, batch_first=True)
    pointers = [parameter.data_ptr() for parameter in dst.parameters()]
    optimizer = torch.optim.Adam(dst.parameters())
    gw.transfer(made("LSTM", num_layers=2), dst)
    assert [parameter.data_ptr() for parameter in dst.parameters()] == pointers
    assert dst._flat_weights[0] is dst.weight_ih_l0
    x = random_x(3, 5, 4)
    before = float((dst(x)[0] ** 2).sum())
    for _ in range(5):
        optimizer.zero_grad()
        (dst(x)[0] ** 2).sum().backward()
        optimizer.step()
    assert float((dst(x)[0] ** 2).sum()) < before
    twin = copy.deepcopy(dst)
    assert difference(twin(x)[0], dst(x)[0]) == 0
    assert gw.diagnose(dst) == []


def test_a_run_that_proves_is_in_full_precision_and_then_all_is_as_it_was() -> None:
    """cuDNN rounds an RNN in float32 to TF32 unless told otherwise; a proof would fail on every recent GPU."""
    import torch

    seen = []

    def told() -> Any:
        rnn = torch.backends.cudnn.rnn
        return rnn.fp32_precision if hasattr(rnn, "fp32_precision") else torch.backends.cudnn.allow_tf32

    class Watched(torch.nn.LSTM):
        def forward(self, *given: Any) -> Any:
            seen.append(told())
            return super().forward(*given)

    before = (told(), torch.get_float32_matmul_precision())
    try:
        torch.set_float32_matmul_precision("high")
        gw.transfer(made("LSTM"), Watched(4, 6))
        assert seen[-1] in ("ieee", False)
        assert (told(), torch.get_float32_matmul_precision()) == (before[0], "high")
    finally:
        torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize("wrapped", ["weight norm", "data parallel", "a parametrization"])
def test_wrapped_layers(wrapped: str) -> None:
    import torch

    dst: Any = made("LSTM", seed=1)
    if wrapped == "weight norm":
        dst = torch.nn.utils.parametrizations.weight_norm(dst, "weight_hh_l0")
    elif wrapped == "data parallel":
        dst = torch.nn.DataParallel(dst)
    else:
        torch.nn.utils.parametrize.register_parametrization(dst, "weight_ih_l0", _Twice())
    src = made("LSTM")
    gw.transfer(src, dst)
    x = random_x(5, 2, 4)
    assert difference(src(x)[0], dst(x)[0]) < 1e-6


@functools.cache
def _twice() -> Any:
    import torch

    class Twice(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return 2 * x

        def right_inverse(self, x: Any) -> Any:
            return x / 2

    return Twice


def _Twice() -> Any:  # noqa: N802  (a class that is made where torch is)
    return _twice()()


def test_a_stack_and_another_number_of_cells_are_told_apart_by_their_number() -> None:
    cells = [made("GRUCell", seed=seed) for seed in range(2)]
    with pytest.raises(UsageError, match=r"3 layers of the source cannot go to 2 of the destination. The source is"):
        gw.transfer(made("GRU", num_layers=3), cells)


def test_a_files_layer_of_another_name_is_asked_for_by_the_argument_and_not_by_a_flag() -> None:
    file = next(path for path in sorted((FIXTURES / "torch" / "2.13.0").glob("*.pt")) if len(gw.open(path).layers) == 1)
    with pytest.raises(UsageError) as caught:
        gw.transfer(file, made("LSTM"), src_name="no such layer")
    assert "--layer" not in str(caught.value)
