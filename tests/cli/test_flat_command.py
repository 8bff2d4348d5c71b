"""``gatewise flat`` through the command line: the table, packing, going back, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import keras_arrays, npz, safetensors, torch_arrays, torch_zip
from real_command import Ran, gatewise

import gatewise as gw

Run = Callable[..., Ran]
ROW = {"offset", "size", "role", "layer", "direction", "gate", "name", "shape", "strides"}
DOCUMENT = {"path", "layer", "order", "layout", "size", "dtype", "names", "rows", "changes"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return torch_zip(tmp_path / "m.pt", torch_arrays(layers=2, directions=2, prefix="encoder.lstm."))


def test_the_document_has_every_key_of_the_contract(file: Path) -> None:
    told = gatewise("flat", file, "--order", "cudnn", "--json").json
    assert told.keys() >= DOCUMENT
    assert all(row.keys() >= ROW for row in told["rows"])
    assert (told["layer"], told["order"], told["layout"], told["dtype"]) == (
        "encoder.lstm",
        "cudnn",
        "torch.LSTM",
        "float32",
    )
    assert told["size"] == sum(row["size"] for row in told["rows"]) == gw.flat(file).size
    assert told["names"] == list(gw.flat(file, "cudnn").names)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("order", ["torch", "keras", "flax"])
def test_the_table_fits_the_screen_and_keeps_offset_size_role_layer_gate_and_name(
    run: Run, file: Path, width: int, order: str
) -> None:
    lines = run("flat", file, "--order", order, "--role", "recurrent_kernel", width=width).out.splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.lstrip().startswith("offset")).split()
    assert [word for word in head if word not in ("shape", "lies")] == [
        "offset",
        "size",
        "layer",
        "role",
        "gate",
        "tensor",
    ]
    assert sum("recurrent_kernel  " in line for line in lines) == 16


def test_rows_are_chosen_by_role_gate_layer_and_direction(run: Run, file: Path) -> None:
    told = run(
        "flat", file, "--role", "bias", "--gate", "forget", "--layer-index", "-1", "--direction", "reverse", "--json"
    ).json
    assert [(row["role"], row["gate"], row["layer"], row["direction"]) for row in told["rows"]] == [
        ("bias", "f", 1, "reverse")
    ]


@pytest.mark.parametrize("order", ["torch", "cudnn", "keras", "jax", "mxnet"])
def test_a_vector_is_packed_and_goes_back_into_a_new_file(run: Run, file: Path, tmp_path: Path, order: str) -> None:
    vector, out = tmp_path / "vector.npy", tmp_path / "new.pt"
    assert run("flat", file, "--order", order, "-o", vector).code == 0
    numbers = np.load(vector)
    np.testing.assert_array_equal(numbers, gw.flat(file, order).pack())
    np.save(vector, numbers * 2)
    ran = run("flat", file, "--order", order, "--unpack", vector, "-o", out, "--json")
    assert ran.json["proof"]["same"], ran.err
    np.testing.assert_allclose(gw.flat(out, order).pack(), numbers * 2, atol=1e-7)
    assert gw.open(out).only().layout == "torch.LSTM"


def test_a_vector_of_another_dtype_is_rounded_and_that_is_said(file: Path, tmp_path: Path) -> None:
    vector = tmp_path / "vector.npy"
    np.save(vector, np.random.default_rng(0).standard_normal(gw.flat(file).size))
    told = gatewise("flat", file, "--unpack", vector, "-o", tmp_path / "new.pt", "--json").json
    assert [change["what"] for change in told["changes"]] == ["stored as float64 → float32"]
    assert told["changes"][0]["exactness"].startswith("largest change")


def refusals(tmp_path: Path) -> dict[str, tuple[list[Any], str]]:
    vector = tmp_path / "other.npy"
    np.save(vector, np.zeros(7, np.float32))
    np.save(tmp_path / "whole.npy", np.zeros(736, np.int64))
    arrays = npz(tmp_path / "keras.npz", keras_arrays())
    return {
        "an unknown order": (["--order", "cuddn"], "m.pt: there is no order 'cuddn'. Did you mean cudnn"),
        "an unknown gate": (["--gate", "q"], "the cell lstm has no gate 'q'"),
        "a vector of another length": (["--unpack", vector, "-o", tmp_path / "n.pt"], "other.npy: a vector of this layer in the order torch.LSTM has 736 elements; this one has shape [7]."),
        "whole numbers": (["--unpack", tmp_path / "whole.npy", "-o", tmp_path / "n.pt"], "whole.npy: holds int64; a vector of weights holds floats."),
        "several arrays": (["--unpack", arrays, "-o", tmp_path / "n.pt"], "keras.npz: holds 3 arrays."),
        "another suffix": (["-o", tmp_path / "vector.bin"], "vector.bin: a vector is written as an .npy file."),
        "a file that exists": (["-o", vector], "other.npy: exists already."),
    }  # fmt: skip


def test_wrong_use_is_told_and_writes_nothing(run: Run, file: Path, tmp_path: Path) -> None:
    for what, (words, message) in refusals(tmp_path).items():
        before = sorted(tmp_path.iterdir())
        ran = run("flat", file, *words)
        assert (ran.code, ran.out) == (2, ""), what
        assert message in ran.err, what
        assert "Traceback" not in ran.err
        assert sorted(tmp_path.iterdir()) == before, what


def test_a_bfloat16_vector_is_written_as_float32_which_holds_it(run: Run, tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    arrays = {name: array.astype(ml_dtypes.bfloat16) for name, array in torch_arrays().items()}
    import filemakers

    filemakers.SAFE["bfloat16"] = "BF16"
    file = safetensors(tmp_path / "m.safetensors", arrays)
    ran = run("flat", file, "-o", tmp_path / "v.npy", "--json").json
    assert "no bfloat16" in ran["changes"][0]["what"]
    vector = np.load(tmp_path / "v.npy")
    np.testing.assert_array_equal(vector, gw.flat(file).pack().astype(np.float32))
    back = run("flat", file, "--unpack", tmp_path / "v.npy", "-o", tmp_path / "n.safetensors", "--json").json
    assert back["changes"] == [{"what": "stored as float32 → bfloat16", "exactness": "exact"}]
    assert run("diff", file, tmp_path / "n.safetensors").code == 0
