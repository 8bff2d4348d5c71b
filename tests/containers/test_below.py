"""Which models lie below a folder: each once, of however many files it is, and what is none is told."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from filemakers import safetensors, torch_arrays, torch_zip

from gatewise.containers import open_tensors
from gatewise.containers._below import below
from gatewise.errors import UnknownContainer

FIXTURES = Path(__file__).parents[1] / "fixtures"
TF = FIXTURES / "tf" / "tf-1.15.0"

# A folder that is one model: however its files are called, nothing else is found in it.
WHOLE = {
    "a SavedModel": TF / "basic_lstm_savedmodel",
    "Orbax's zarr arrays": FIXTURES / "flax/0.12.8/zarr.orbax",
    "Orbax's OCDBT, which has another one inside": FIXTURES / "flax/0.12.8/ocdbt.orbax",
    "Paddle's tensors, each of which opens by itself": FIXTURES / "paddle/3.3.1/tensors_lstm_cell",
    "TensorFlow.js": FIXTURES / "tfjs/4.22.0/gru",
    "a Core ML package": FIXTURES / "coreml/9.0/mil_gru.mlpackage",
}


@pytest.mark.parametrize("path", WHOLE.values(), ids=WHOLE)
def test_a_folder_that_is_a_model_is_one_model(path):
    found = below(path)
    assert (found.models, found.others) == ((str(path),), ())


def test_every_fixture_is_found_once_and_opens():
    """The whole folder, whose formats look for models further down too: one of them claims it all."""
    found = below(FIXTURES)
    assert len(set(found.models)) == len(found.models) > 1000
    for path in found.models[::20]:
        with suppress(UnknownContainer):  # a pickle without arrays
            open_tensors(path)
    parts = [path for path in found.models if path.endswith((".meta", ".data-00000-of-00001", ".zarray"))]
    assert parts == [], "parts of checkpoints whose index is there"
    weights = [path for path in found.models if path.endswith(".bin")]
    assert weights == [], "weights beside their graphs"
    kinds = {Path(path).suffix for path in found.others}
    assert kinds <= {".py", ".json", ".js", ".md", ".bin"}, "what is not opened is no model"


def test_a_folder_of_many_models_is_not_taken_for_the_one_that_lies_deeper(tmp_path):
    """A checkpoint of TensorFlow below makes the folder above open as that checkpoint."""
    for path in TF.glob("basic_lstm.ckpt*"):
        (tmp_path / "run").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "run")
    assert open_tensors(tmp_path).container == "tf-checkpoint"
    assert below(tmp_path).models == (str(tmp_path),), "the one model that there is"
    torch_zip(tmp_path / "model.pt", torch_arrays())
    assert below(tmp_path).models == (str(tmp_path / "model.pt"), str(tmp_path / "run/basic_lstm.ckpt.index"))


def test_what_is_called_like_a_model_and_is_none_is_found_and_anything_else_is_told(tmp_path):
    safetensors(tmp_path / "b.safetensors", torch_arrays())
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "page.h5").write_bytes(b"<!DOCTYPE html><html>404</html>")
    (tmp_path / "cut.bin").write_bytes(b"PK\x03\x04 and no more")
    for name in ("notes.txt", "empty.log", "config.json"):
        (tmp_path / name).write_bytes(b"" if name == "empty.log" else b"{}")
    found = below(tmp_path)
    assert [Path(path).name for path in found.models] == ["b.safetensors", "cut.bin", "empty.pt", "page.h5"]
    assert {Path(path).name for path in found.misnamed} == {"empty.pt", "page.h5"}
    assert [Path(path).name for path in found.others] == ["config.json", "empty.log", "notes.txt"]


def test_hidden_folders_links_to_folders_pipes_and_circles_are_left_alone(tmp_path):
    inside = tmp_path / "models"
    for name in ("models/.git", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        safetensors(tmp_path / name / "x.safetensors", torch_arrays())
    (inside / "link").symlink_to(tmp_path / "elsewhere")
    (inside / "circle").symlink_to(inside)
    (inside / "nowhere").symlink_to("nothing")
    os.mkfifo(inside / "pipe")
    safetensors(inside / "y.safetensors", torch_arrays())
    found = below(inside)
    assert (found.models, found.others) == ((str(inside / "y.safetensors"),), ())
