"""legacy_torch(): every old whole-module file loads and computes what its own torch recorded, and torch is as it was afterwards."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewise as gw

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
FIXTURES = ROOT / "tests" / "fixtures"
TORCH = FIXTURES / "torch"
OLD = TORCH / "1.3.1" / "lstm_bi2.module.pt"
WHOLE = [path for path in sorted(TORCH.glob("*/*.module*.pt")) if ".qdyn" not in path.name]
CLASSES = sorted((FIXTURES / "torch_nn").glob("*/classes.module.pt"))
pytestmark = [
    pytest.mark.framework("torch"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # torch's, about sources that changed and how it loads
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _load(path: Path) -> Any:
    import torch

    return torch.load(path, weights_only=False)


def _fails(path: Path = OLD) -> bool:
    try:
        _load(path)
    except AttributeError:
        return True
    return False


@pytest.fixture(autouse=True)
def _torch_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import torch

    monkeypatch.syspath_prepend(str(TORCH))  # legacy_tagger
    before = torch.nn.Module.__setstate__, torch.nn.Upsample.__setstate__
    yield
    assert (torch.nn.Module.__setstate__, torch.nn.Upsample.__setstate__) == before
    assert not hasattr(torch.nn.modules.linear, "_LinearWithBias")
    assert _fails()


@pytest.mark.parametrize(
    "path", WHOLE, ids=[f"torch {path.parent.name}'s {path.name} computes what was recorded" for path in WHOLE]
)
def test_whole_modules(path: Path) -> None:
    from old_torch_run import difference

    with gw.legacy_torch():
        assert difference(path) < 1e-6


@pytest.mark.parametrize(
    "path", CLASSES, ids=[f"torch {path.parent.name}'s other classes compute what was recorded" for path in CLASSES]
)
def test_other_classes(path: Path) -> None:
    import torch

    with gw.legacy_torch():
        modules = _load(path)
    recorded = np.load(path.with_name("classes.npz"))
    names = {key.partition("/")[0] for key in recorded}
    assert len(names) >= 16
    for name in sorted(names):
        given = [torch.from_numpy(recorded[key]) for key in sorted(recorded) if key.startswith(f"{name}/in/")]
        with torch.no_grad():
            out = modules[name](*given)
        out = out[0] if isinstance(out, tuple) else out
        assert np.abs(out.numpy() - recorded[f"{name}/out"]).max() < 1e-5, name
    assert "parameter_list" in repr(modules)


def test_a_loaded_module_is_an_ordinary_one(tmp_path: Path) -> None:
    """It scripts, moves, copies, saves and loads again without legacy_torch, and its state dict fits a fresh module."""
    import copy

    import torch

    with gw.legacy_torch():
        old = _load(OLD)
    x = torch.ones(3, 2, 5)
    expected = old(x)[0]
    assert torch.equal(copy.deepcopy(old)(x)[0], expected)
    assert torch.allclose(old.double()(x.double())[0].float(), expected, atol=1e-6)
    old.float()
    torch.save(old, tmp_path / "again.pt")
    assert torch.equal(_load(tmp_path / "again.pt")(x)[0], expected)
    fresh = torch.nn.LSTM(5, 4, num_layers=2, bidirectional=True)
    fresh.load_state_dict(old.state_dict())
    assert torch.equal(fresh(x)[0], expected)
    assert gw.diagnose(old) == []
    old(x)[0].sum().backward()
    assert old.weight_ih_l0.grad is not None


def test_a_1_0_module_scripts() -> None:
    """Its dropout was an integer, which TorchScript refuses."""
    with gw.legacy_torch():
        old = _load(TORCH / "1.0.1" / "lstm_bi2.module.pt")
    assert type(old.dropout) is float


def test_deep_inside_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somelearner.py").write_text(
        "import torch\nfrom torch import load\ndef load_learner(path):\n    return _deep(path)\n"
        "def _deep(path):\n    return {'model': load(str(path), map_location='cpu', weights_only=False)}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import somelearner  # it took hold of torch.load before

    with gw.legacy_torch():
        assert somelearner.load_learner(OLD)["model"].hidden_size == 4


@pytest.mark.parametrize(
    "tensors", [True, False], ids=["_all_weights of tensors (torch 0.1)", "all_weights of tensors"]
)
def test_older_than_any_file_here(tensors: bool) -> None:
    import torch

    layer = torch.nn.LSTM(4, 3, num_layers=2, bidirectional=True)
    x = torch.ones(3, 2, 4)
    state = dict(vars(layer))
    weights = layer.all_weights
    for name in ("_all_weights", "_flat_weights", "_flat_weights_names", "_flat_weight_refs", "proj_size"):
        del state[name]
    state["_all_weights" if tensors else "all_weights"] = weights
    old = torch.nn.LSTM.__new__(torch.nn.LSTM)
    with gw.legacy_torch():
        old.__setstate__(state)
    assert torch.equal(old(x)[0], layer(x)[0])
    assert old._flat_weights_names == layer._flat_weights_names


def test_the_state_handed_over_is_not_changed() -> None:
    import torch

    state = {name: value for name, value in vars(torch.nn.LSTM(4, 3)).items() if not name.startswith("_flat")}
    before = dict(state)
    with gw.legacy_torch():
        torch.nn.LSTM.__new__(torch.nn.LSTM).__setstate__(state)
    assert state == before


def test_a_healthy_state_passes_untouched() -> None:
    import torch

    from gatewise.live._legacy_torch import completed

    layer = torch.nn.LSTM(4, 3)
    state = layer.__getstate__()
    assert completed(layer, state) is state


def test_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), gw.legacy_torch():
        raise KeyError("the user's own")


def test_nested_and_entered_again() -> None:
    context = gw.legacy_torch()
    with context:
        with context, gw.legacy_torch():
            assert not _fails()
        assert not _fails()
    assert _fails()
    with context:
        assert not _fails()


def test_as_a_decorator() -> None:
    @gw.legacy_torch()
    def loads() -> bool:
        return not _fails()

    assert loads()
    assert _fails()


def test_many_threads_come_and_go() -> None:
    """Each finds it open while it is inside, whoever else leaves."""
    wrong: list[str] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(15):
            with gw.legacy_torch():
                if _fails():
                    wrong.append("closed while inside")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_patch_around_ours_stays_and_ours_steps_aside() -> None:
    import torch

    original = torch.nn.Module.__setstate__
    with gw.legacy_torch():
        ours = torch.nn.Module.__setstate__
        theirs = lambda self, state: ours(self, state)  # noqa: E731
        torch.nn.Module.__setstate__ = theirs
    assert torch.nn.Module.__setstate__ is theirs
    assert _fails(), "ours, called by theirs, is torch's own now"
    torch.nn.Module.__setstate__ = original


def test_weights_only_stays_what_is_passed() -> None:
    """Nothing is loaded that the caller did not allow, and the hint says what to pass."""
    import torch

    with pytest.raises(pickle.UnpicklingError) as caught, gw.legacy_torch():
        torch.load(OLD, weights_only=True)
    if sys.version_info >= (3, 11):
        assert any("weights_only=False" in note and "gatewise repair" in note for note in caught.value.__notes__)
    with pytest.raises(pickle.UnpicklingError), gw.legacy_torch():
        torch.load(TORCH / "1.8.1" / "lstm_bi2.module.pt")


def test_it_needs_nothing_but_two_files_and_an_old_python(tmp_path: Path) -> None:
    """`make old-torch` runs them under Python 3.7: they parse there, and import only each other and the standard library."""
    import ast

    import old_torch

    package = old_torch.standalone(tmp_path)
    for name in old_torch.STANDALONE:
        tree = ast.parse((package / "gatewise" / name).read_text(), feature_version=(3, 7))
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert names <= {"__future__", "collections.abc", "types", "typing", "torch", "containers._torch_state"}


@pytest.mark.parametrize(
    ("newer", "size", "expected"), [(False, None, True), (True, None, None), (True, (4, 4), None), (False, (4, 4), None)],
    ids=["of 1.5 recomputes its scale", "of 1.6 does not", "of 1.6 with a size does not", "of 1.5 with a size does not"],
)  # fmt: skip
def test_an_upsample(newer: bool, size: Any, expected: bool | None) -> None:
    import torch

    state = dict(vars(torch.nn.UpsamplingNearest2d(size=size, scale_factor=None if size else 1.5)))
    del state["recompute_scale_factor"]
    if not newer:
        del state["_non_persistent_buffers_set"]
    old = torch.nn.UpsamplingNearest2d.__new__(torch.nn.UpsamplingNearest2d)
    with gw.legacy_torch():
        old.__setstate__(state)
    assert old.recompute_scale_factor is expected
    assert old(torch.ones(1, 1, 2, 2)).shape[-1] in (3, 4)


def test_the_repair_of_files_gives_the_same_attributes() -> None:
    """Files and modules in memory read one table of defaults: of a row's classes each has the same, and the row a value of
    its own only where files tell more (which activation a layer has, and so which fast path)."""
    from gatewise.ailments.torch_nn_attributes import RENAMED, RENAMED_TO, TABLE
    from gatewise.containers._torch_state import DEFAULTS, GONE

    assert {row.attribute for row in TABLE if row.value} == {"activation_relu_or_gelu"}
    for row in TABLE:
        (_, *others) = (DEFAULTS[name][row.attribute] for name in row.classes)
        for mode in ("circular", "zeros"):
            state = {"_parameters": {"a": 1}, "padding": (1, 3), "padding_mode": mode}
            same = [default(state) if callable(default) else default for default in others]
            assert row.value or same == [row.value_for(state)] * len(others), row
    assert {(RENAMED.module, RENAMED.name): (RENAMED_TO.name, "Linear")} == GONE


def test_the_padding_of_an_old_convolution() -> None:
    """Measured in torch 1.4: half of it on each side, the larger half before, and of 1 nothing."""
    from gatewise.containers._torch_state import reversed_padding

    assert reversed_padding({"padding": (1, 2, 3), "padding_mode": "circular"}) == (2, 1, 1, 1, 0, 0)
    assert reversed_padding({"padding": (1, 2, 3), "padding_mode": "zeros"}) == (3, 3, 2, 2, 1, 1)
    assert reversed_padding({"padding": (4,), "padding_mode": "circular", "transposed": True}) == (4, 4)
    assert reversed_padding({"padding": "same", "kernel_size": (3, 3)}) == (0, 0, 0, 0)
