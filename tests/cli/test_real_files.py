"""The command line over the real library: a small file through every command, and files that are not checkpoints."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_fakes import Ran

from gatewise.cli import main

Run = Callable[..., Ran]
SHAPES = {"weight_ih_l0": (64, 8), "weight_hh_l0": (64, 16), "bias_ih_l0": (64,), "bias_hh_l0": (64,)}


@pytest.fixture
def gatewise(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in an empty folder with the real library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: str) -> Ran:
        code = main(list(words))
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A file with two of torch's LSTMs and a linear layer."""
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}.{part}": rng.normal(size=shape) for name in ("a.lstm", "b.lstm") for part, shape in SHAPES.items()
    }
    np.savez(
        tmp_path / "model.npz", **{k: v.astype("float32") for k, v in arrays.items()}, fc=np.ones((2, 16), "float32")
    )
    return "model.npz"


def test_inspect_names_every_layer_and_the_rest(gatewise: Run, model: str) -> None:
    ran = gatewise("inspect", model)
    assert ran.code == 0
    assert "a.lstm  lstm  torch.LSTM       8 → 16       1  one   double  float32       1,664" in ran.out
    assert "1 other tensor: fc 2 × 16" in ran.out
    told = gatewise("inspect", model, "--json").json
    assert {"path", "container", "bytes", "written_by", "layers", "others", "findings"} <= set(told)
    assert [layer["name"] for layer in told["layers"]] == ["a.lstm", "b.lstm"]


def test_convert_verify_and_diff_agree(gatewise: Run, model: str, tmp_path: Path) -> None:
    ran = gatewise("convert", model, "--layer", "a.lstm", "-o", "a.weights.h5", "--to", "keras.LSTM")
    assert ran.code == 0, ran.err
    assert "proved: max |Δ| = " in ran.out
    assert "exact up to one rounding" in ran.out
    assert (tmp_path / "a.weights.h5").exists()
    told = gatewise("verify", model, "a.weights.h5", "--layer", "a.lstm", "--json")
    assert told.code == 0, told.err
    assert {"max_abs_error", "tolerance", "same", "compared", "time", "batch", "against"} <= set(told.json["proof"])


def test_a_changed_gate_is_found(gatewise: Run, model: str, tmp_path: Path) -> None:
    with np.load(tmp_path / model) as file:
        arrays = dict(file)
    arrays["b.lstm.bias_ih_l0"] = arrays["b.lstm.bias_ih_l0"].copy()
    arrays["b.lstm.bias_ih_l0"][16 + 3] += 1  # "ifgo": the second block is the forget gate  # fmt: skip
    np.savez(tmp_path / "changed.npz", **arrays)
    ran = gatewise("diff", model, "changed.npz")
    assert ran.code == 1
    assert "0 forward  bias  f        16        1  [3]" in ran.out
    assert "different: 1 of 32 gate matrices" in ran.out
    assert gatewise("verify", model, "changed.npz", "--layer", "b.lstm").code == 1
    assert gatewise("verify", model, "changed.npz", "--layer", "a.lstm").code == 0


def test_several_layers_and_none_named_is_a_refusal_that_lists_them(gatewise: Run, model: str) -> None:
    ran = gatewise("verify", model, "--recorded", model)
    assert ran.code == 2
    assert "a.lstm" in ran.err
    assert "b.lstm" in ran.err


def test_nothing_is_overwritten_unless_told_to(gatewise: Run, model: str, tmp_path: Path) -> None:
    words = ["convert", model, "-o", "out.safetensors", "--to", "torch.LSTM"]
    (tmp_path / "out.safetensors").write_text("mine")
    assert gatewise(*words).code == 2
    assert (tmp_path / "out.safetensors").read_text() == "mine"
    assert gatewise(*words, "--force").code == 0


def _write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a model")


NO_CHECKPOINT: dict[str, Callable[[Path], object]] = {
    "an empty file": lambda path: path.write_bytes(b""),
    "a text file": lambda path: path.write_text("Dear diary,\n"),
    "an HTML page saved as .pt": lambda path: path.write_text("<!DOCTYPE html><html><body>Sign in</body></html>"),
    "a git-lfs pointer": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    ),
    "a zip that is not torch's": _write_zip,
    "random bytes": lambda path: path.write_bytes(bytes(np.random.default_rng(0).integers(0, 256, 4096, np.uint8))),
    "a missing path": lambda path: path.unlink(missing_ok=True),
    "a directory": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("make", NO_CHECKPOINT.values(), ids=NO_CHECKPOINT)
def test_what_is_no_checkpoint_is_one_clear_sentence(
    gatewise: Run, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "model.pt")
    _refused(gatewise, tmp_path)


def test_a_truncated_file_is_one_clear_sentence(gatewise: Run, model: str, tmp_path: Path) -> None:
    whole = (tmp_path / model).read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "model.pt").write_bytes(whole[: int(len(whole) * share)])
        _refused(gatewise, tmp_path)


def _refused(gatewise: Run, folder: Path) -> None:
    before = sorted(folder.iterdir())
    for words in (["inspect", "model.pt"], ["convert", "model.pt", "-o", "out.safetensors", "--to", "torch.LSTM"]):
        ran = gatewise(*words)
        assert (ran.code, ran.out) == (2, ""), ran
        assert ran.err.startswith("gatewise: model.pt: ")
        assert ran.err.count("\n") == 1
        assert "should not have happened" not in ran.err
        ran = gatewise(*words, "--json")
        error = json.loads(ran.out)["error"]
        assert error["path"] == "model.pt"
        assert error["next"], "there is a next step"
    assert sorted(folder.iterdir()) == before, "nothing was written"
