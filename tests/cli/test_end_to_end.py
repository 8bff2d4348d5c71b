"""Files in, files out, through the real command line: every key of the public contract, every exit code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import keras_arrays, keras_h5, npz, safetensors, torch_arrays, torch_legacy, torch_zip
from real_command import Ran, gatewise
from together import rarely

import gatewise as gw

Run = Callable[..., Ran]
Number = (int, float)
Maybe = type(None)

# The contract, as shapes: a type, several, a list of one shape, or a dict of keys.  More keys are allowed, fewer not.
TENSOR = {"tensor": str, "shape": [int], "role": str, "layer": int, "direction": str, "gates": str}
LAYER = {
    "name": str, "cell": str, "layout": str, "input_size": int, "hidden_size": (int, list), "proj_size": int,
    "num_layers": int, "directions": int, "bias": str, "reset": (str, Maybe), "dtype": str, "parameters": int,
    "tensors": [TENSOR],
}  # fmt: skip
INSPECT = {
    "path": str, "container": str, "bytes": int, "written_by": [{"framework": str, "version": str, "because": str}],
    "layers": [LAYER], "others": [{"tensor": str, "shape": [int], "dtype": str}], "findings": [dict],
}  # fmt: skip
PROOF = {
    "max_abs_error": Number, "tolerance": float, "same": bool, "compared": [str], "time": int, "batch": int, "against": str,
    "units": (dict, Maybe), "numbers": (dict, Maybe),
}  # fmt: skip
CHANGES = [{"what": str, "exactness": str}]
CONVERT = {
    "proof": PROOF,
    "changes": CHANGES,
    "layers": [dict],
    "outputs": [{"path": str, "container": str, "bytes": int}],
}
VERIFY = {"proof": PROOF, "changes": CHANGES, "layers": list, "outputs": list}
GATE = {"name": str, "layer": int, "direction": str, "role": str, "gate": str, "shape": [int]}
DIFF = {
    "same": bool,
    "rows": [{**GATE, "max_abs": (*Number, Maybe)}],
    "only_in_a": [str],
    "only_in_b": [str],
    "meaning": [{"name": str, "field": str}],
}
LAYOUT = {"name": str, "cell": str, "gates": str, "parts": [{"name": (str, dict, list), "roles": [str], "phrase": str, "optional": bool}],
          "source": str, "proven": str, "status": str, "dialect": dict}  # fmt: skip
FORMAT = {"name": str, "title": str, "reads": bool, "writes": bool, "suffixes": [str]}
ERROR = {"type": str, "message": str, "path": (str, Maybe), "where": (str, Maybe), "next": (str, Maybe)}


def misfits(value: Any, shape: Any, at: str = "$") -> list[str]:
    """Where a document breaks the contract."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{at} is {value!r}, not an object"]
        missing = [f"{at}.{key} is missing" for key in shape if key not in value]
        return missing + [
            text for key in shape if key in value for text in misfits(value[key], shape[key], f"{at}.{key}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} is {value!r}, not a list"]
        return [text for index, item in enumerate(value) for text in misfits(item, shape[0], f"{at}[{index}]")]
    kinds = shape if isinstance(shape, tuple) else (shape,)
    right = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    return [] if right else [f"{at} is {value!r}"]


def test_the_check_of_the_contract_sees_what_is_wrong() -> None:
    assert misfits({"a": 1}, {"a": int}) == []
    assert misfits({}, {"a": int}) == ["$.a is missing"]
    assert misfits({"a": [True]}, {"a": [int]}) == ["$.a[0] is True"]
    assert misfits({"a": None}, {"a": str}) == ["$.a is None"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind that the tests only read."""
    folder = tmp_path_factory.mktemp("files")
    arrays = torch_arrays("lstm", 3, 4, 2, 2, prefix="encoder.lstm.")
    torch_zip(folder / "model.pt", {**arrays, "fc.weight": np.ones((2, 8), "f4")})
    torch_legacy(folder / "old.pt", arrays)
    safetensors(folder / "model.safetensors", arrays)
    npz(folder / "gru.npz", torch_arrays("gru", 3, 4))
    keras_h5(folder / "keras.h5", {"lstm_1": keras_arrays(3, 4), "lstm_2": keras_arrays(4, 4, 1)})
    both = torch_arrays(prefix="encoder.rnn.") | torch_arrays("gru", 4, 5, prefix="decoder.rnn.")
    safetensors(folder / "two.safetensors", both)
    safetensors(folder / "other.safetensors", {name: array + np.float32(0.01) for name, array in arrays.items()})
    layer = gw.open(folder / "gru.npz").layers[0]
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    y, (h_n,) = gw.run(layer, x)
    npz(folder / "io.npz", {"x": x, "y": y, "h_n": h_n})
    npz(folder / "time_major.npz", {"x": x.swapaxes(0, 1), "y": y.swapaxes(0, 1)})
    npz(folder / "wrong.npz", {"x": x, "y": y + 0.1})
    return folder


# Documents and exit codes.

ANSWERS: dict[str, tuple[list[str], int, Any]] = {
    "inspect a torch zip": (["inspect", "model.pt"], 0, INSPECT),
    "inspect a stream of pickles": (["inspect", "old.pt", "--tensors"], 0, INSPECT),
    "inspect a Keras file": (["inspect", "keras.h5"], 0, INSPECT),
    "inspect two layers": (["inspect", "two.safetensors"], 0, INSPECT),
    "inspect one layer of two by the end of its path": (["inspect", "two.safetensors", "--layer", "decoder.rnn"], 0, INSPECT),
    "inspect gates": (["inspect", "gru.npz", "--gates"], 0, {**INSPECT, "gates": [{**GATE, "mean": float, "std": float, "min": float, "max": float}]}),
    "verify two files that are the same": (["verify", "model.pt", "model.safetensors"], 0, VERIFY),
    "verify two that differ": (["verify", "model.pt", "other.safetensors"], 1, VERIFY),
    "verify against a recorded run": (["verify", "gru.npz", "--recorded", "io.npz"], 0, VERIFY),
    "verify against one that is time-major": (["verify", "gru.npz", "--recorded", "time_major.npz", "--time-major"], 0, VERIFY),
    "verify against a wrong one": (["verify", "gru.npz", "--recorded", "wrong.npz"], 1, VERIFY),
    "verify with a wide tolerance": (["verify", "gru.npz", "--recorded", "wrong.npz", "--tolerance", "0.2"], 0, VERIFY),
    "diff of the same": (["diff", "model.pt", "old.pt"], 0, DIFF),
    "diff of what differs": (["diff", "model.pt", "other.safetensors"], 1, DIFF),
    "layouts": (["layouts"], 0, {"layouts": [LAYOUT]}),
    "one layout": (["layouts", "keras.GRU"], 0, LAYOUT),
    "formats": (["formats"], 0, {"formats": [FORMAT]}),
    "a refusal": (["inspect", "nowhere.pt"], 2, {"error": ERROR}),
    "a layer that is not there": (["inspect", "two.safetensors", "--layer", "lstm"], 2, {"error": ERROR}),
    "no layer named of two": (["verify", "two.safetensors", "--recorded", "io.npz"], 2, {"error": ERROR}),
    "a layout that is not there": (["layouts", "torch.LTSM"], 2, {"error": ERROR}),
    "a command that is not there": (["convrt", "model.pt"], 2, {"error": ERROR}),
    "an option that is not there": (["inspect", "model.pt", "--gate"], 2, {"error": ERROR}),
    "a recorded run that is a model": (["verify", "gru.npz", "--recorded", "gru.npz"], 2, {"error": ERROR}),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code", "shape"), ANSWERS.values(), ids=ANSWERS)
def test_json_keeps_the_contract(run: Run, files: Path, words: list[str], code: int, shape: Any) -> None:
    assert_keeps_the_contract(run(*words, "--json", at=files), code, shape)


@pytest.mark.parametrize(("words", "code", "shape"), rarely(ANSWERS.values(), 6), ids=ANSWERS)
def test_json_keeps_the_contract_in_a_process_of_its_own(files: Path, words: list[str], code: int, shape: Any) -> None:
    assert_keeps_the_contract(gatewise(*words, "--json", at=files), code, shape)


def assert_keeps_the_contract(ran: Ran, code: int, shape: Any) -> None:
    assert ran.code == code, ran.err
    assert misfits(ran.json, shape) == []
    assert bool(ran.err) == (code == 2), ran.err
    assert "Traceback" not in ran.err


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(("words", "code", "shape"), ANSWERS.values(), ids=ANSWERS)
def test_text_fits_the_screen(files: Path, words: list[str], code: int, shape: Any, width: int) -> None:  # noqa: ARG001
    ran = gatewise(*words, at=files, width=width)
    assert ran.code == code
    assert (ran.out == "") == (code == 2)
    assert [line for line in ran.out.splitlines() if _columns(line) > width] == []
    assert "\033" not in ran.out


def test_inspect_says_what_is_in_the_file(run: Run, files: Path) -> None:
    told = run("inspect", "model.pt", "--json", at=files).json
    assert (told["path"], told["container"], told["bytes"]) == (
        "model.pt",
        "torch-zip",
        (files / "model.pt").stat().st_size,
    )
    (layer,) = told["layers"]
    assert {key: layer[key] for key in LAYER if key != "tensors"} == {
        "name": "encoder.lstm", "cell": "lstm", "layout": "torch.LSTM", "input_size": 3, "hidden_size": 4, "proj_size": 0,
        "num_layers": 2, "directions": 2, "bias": "double", "reset": None, "dtype": "float32",
        "parameters": 2 * (16 * 3 + 16 * 4 + 32) + 2 * (16 * 8 + 16 * 4 + 32),
    }  # fmt: skip
    assert layer["tensors"][0] == {
        "tensor": "encoder.lstm.weight_ih_l0", "shape": [16, 3], "role": "kernel", "layer": 0, "direction": "forward",
        "gates": "ifgo", "dtype": "float32",
    }  # fmt: skip
    assert len(layer["tensors"]) == 16
    assert told["others"] == [{"tensor": "fc.weight", "shape": [2, 8], "dtype": "float32"}]
    assert told["findings"] == []


def test_inspect_shows_gates_tensors_and_the_one_layer_asked_for(run: Run, files: Path) -> None:
    assert "weight_hh_l1_reverse" in run("inspect", "model.pt", "--tensors", at=files).out
    one = run("inspect", "two.safetensors", "--layer", "encoder.rnn", "--gates", at=files).out
    assert "encoder.rnn" in one
    assert "decoder.rnn" not in one
    rows = run("inspect", "gru.npz", "--gates", "--json", at=files).json["gates"]
    array = np.load(files / "gru.npz")["weight_ih_l0"][4:8]
    (row,) = [row for row in rows if (row["role"], row["gate"]) == ("kernel", "z")]
    assert row["mean"] == pytest.approx(float(array.mean()), abs=1e-6)
    assert row["max"] == pytest.approx(float(array.max()))


def test_who_wrote_a_keras_file_is_told(run: Run, files: Path) -> None:
    (writer,) = run("inspect", "keras.h5", "--json", at=files).json["written_by"]
    assert (writer["framework"], writer["version"]) == ("keras", "2.2.4")
    assert writer["because"]


# Pipes.


@pytest.mark.parametrize("name", ["model.pt", "old.pt", "model.safetensors", "gru.npz", "keras.h5"])
def test_a_file_can_be_piped_in(files: Path, name: str) -> None:
    piped = gatewise("inspect", "-", "--json", piped=(files / name).read_bytes()).json
    named = gatewise("inspect", name, "--json", at=files).json
    assert piped == {**named, "path": "-"}


def test_convert_verify_and_diff_take_what_is_piped_in(files: Path, tmp_path: Path) -> None:
    raw = (files / "model.pt").read_bytes()
    assert gatewise("convert", "-", "-o", "out.safetensors", piped=raw, at=tmp_path).code == 0
    assert gatewise("verify", "out.safetensors", "-", piped=raw, at=tmp_path).code == 0
    assert gatewise("diff", "-", "out.safetensors", piped=raw, at=tmp_path).code == 0


def test_a_refusal_of_what_is_piped_in_calls_it_a_dash(files: Path) -> None:
    ran = gatewise("inspect", "-", piped=b"not a model", at=files)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("gatewise: -: ")
    assert "tmp" not in ran.err


# Converting.


def test_convert_says_what_it_did_and_proves_it(files: Path, tmp_path: Path) -> None:
    ran = gatewise("convert", files / "model.pt", "-o", "out.keras", "--json", "--code", at=tmp_path)
    assert misfits(ran.json, {**CONVERT, "code": str}) == []
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["proof"]["same"] is True
    assert ran.json["proof"]["max_abs_error"] < 1e-6
    assert ran.json["proof"]["compared"] == ["y", "h_n", "c_n"]
    assert ran.json["proof"]["against"] == "reference"
    assert (ran.json["proof"]["time"], ran.json["proof"]["batch"]) == (7, 3)
    (output,) = ran.json["outputs"]
    assert (output["path"], output["container"], output["bytes"]) == (
        "out.keras",
        "keras-zip",
        (tmp_path / "out.keras").stat().st_size,
    )
    whats = " ".join(change["what"] for change in ran.json["changes"])
    assert "biases" in whats
    assert "fc.weight" in whats, "what is left out is said"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.keras"]


def test_convert_tells_people_the_figure_and_the_lines(run: Run, files: Path, tmp_path: Path) -> None:
    out = run("convert", files / "model.pt", "-o", "out.safetensors", "--code", at=tmp_path).out
    assert re.search(
        r"^proved: max \|Δ\| = \S+ over y, h_n, c_n \(7 steps × 3 sequences, random state\)", out, re.MULTILINE
    )
    assert "wrote out.safetensors" in out
    assert "from safetensors.torch import load_file" in out


ROUNDS = [("model.pt", "out.safetensors"), ("old.pt", "out.npz"), ("keras.h5", "out.pt"), ("model.safetensors", "out.weights.h5"),
          ("gru.npz", "out.keras")]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("source", "out"), ROUNDS, ids=[" to ".join(pair) for pair in ROUNDS])
def test_what_was_converted_verifies(files: Path, tmp_path: Path, source: str, out: str) -> None:
    assert gatewise("convert", files / source, "-o", out, at=tmp_path).code == 0
    assert gatewise("verify", files / source, out, at=tmp_path).code == 0
    assert gatewise("diff", files / source, out, at=tmp_path).code == 0


def test_convert_replaces_a_file_only_when_forced(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    ran = gatewise("convert", files / "model.pt", "-o", out, "--json")
    assert (ran.code, ran.json["error"]["type"], out.read_bytes()) == (2, "WriteRefused", b"precious")
    assert "--force" in ran.err
    assert gatewise("convert", files / "model.pt", "-o", out, "--force").code == 0
    assert gw.verify(files / "model.pt", out).same


def test_a_failed_conversion_leaves_the_old_file_alone_even_when_forced(run: Run, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    assert run("convert", files / "model.pt", "-o", out, "--force", "--to", "torch.GRU").code == 2
    assert out.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [out]


def test_narrowing_reports_the_largest_change_and_proves_with_it(run: Run, files: Path, tmp_path: Path) -> None:
    ran = run("convert", files / "model.pt", "-o", "half.safetensors", "--dtype", "float16", "--json", at=tmp_path)
    (change,) = [change for change in ran.json["changes"] if "float16" in change["what"]]
    arrays = torch_arrays("lstm", 3, 4, 2, 2)
    largest = max(float(np.abs(array - array.astype("f2").astype("f8")).max()) for array in arrays.values())
    assert change["exactness"] == f"largest change {largest:.3g}"
    assert 1e-6 < ran.json["proof"]["max_abs_error"] < ran.json["proof"]["tolerance"] < 1e-2
    assert gw.open(tmp_path / "half.safetensors").layers[0].spec.dtype == "float16"
    assert {tensor.dtype for tensor in gw.open(tmp_path / "half.safetensors").tensors.values()} == {"float16"}


def test_widening_is_exact_and_said(run: Run, files: Path, tmp_path: Path) -> None:
    ran = run("convert", files / "gru.npz", "-o", "wide.npz", "--dtype", "float64", "--json", at=tmp_path)
    assert ran.json["changes"] == [{"what": "stored as float32 → float64", "exactness": "exact"}]
    assert ran.json["proof"]["max_abs_error"] == 0


def test_narrowing_what_does_not_fit_is_refused(run: Run, tmp_path: Path) -> None:
    arrays = {name: array * 1e6 for name, array in torch_arrays().items()}
    path = npz(tmp_path / "large.npz", arrays)
    ran = run("convert", path, "-o", tmp_path / "half.npz", "--dtype", "float16")
    assert (ran.code, "infinite" in ran.err, ran.err.count("\n")) == (2, True, 1)
    assert not (tmp_path / "half.npz").exists()


@pytest.mark.parametrize("dtype", ["float8", "int8", "double"])
def test_an_unknown_dtype_is_told_the_known(run: Run, files: Path, tmp_path: Path, dtype: str) -> None:
    ran = run("convert", files / "gru.npz", "-o", tmp_path / "out.npz", "--dtype", dtype)
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert "bfloat16, float16, float32, float64" in ran.err


def test_one_layer_of_two_is_converted(run: Run, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.keras"
    ran = run("convert", files / "two.safetensors", "-o", out, "--layer", "decoder.rnn", "--json")
    assert [layer["name"] for layer in ran.json["layers"]] == ["decoder.rnn"]
    (layer,) = gw.open(out).layers
    assert layer.cell == "gru"
    assert run("verify", files / "two.safetensors", out, "--layer", "decoder.rnn").code == 0


def test_all_layers_are_converted_unless_one_is_named(run: Run, files: Path, tmp_path: Path) -> None:
    run("convert", files / "two.safetensors", "-o", "out.keras", at=tmp_path)
    assert [layer.cell for layer in gw.open(tmp_path / "out.keras").layers] == ["lstm", "gru"]


def test_the_container_can_be_named_whatever_the_suffix(run: Run, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.weights"
    assert run("convert", files / "model.pt", "-o", out).code == 2
    ran = run("convert", files / "model.pt", "-o", out, "--container", "safetensors", "--json")
    assert ran.json["outputs"][0]["container"] == "safetensors"
    assert gw.open(out).tensors.container == "safetensors"


def test_without_a_proof_it_is_said_that_there_is_none(run: Run, files: Path, tmp_path: Path) -> None:
    ran = run("convert", files / "model.pt", "-o", "out.npz", "--no-verify", at=tmp_path)
    assert (ran.code, "not proved: --no-verify" in ran.out) == (0, True)
    told = run("convert", files / "model.pt", "-o", "b.npz", "--no-verify", "--json", at=tmp_path).json
    assert told["proof"] is None


MINE = """
name = "mine"
cell = "lstm"
gates = "oigf"
parts = [
  {name = "W_x", role = "kernel", phrase = "feature (gate unit)"},
  {name = "W_h", role = "recurrent_kernel", phrase = "hidden (gate unit)"},
  {name = "b", role = "bias", phrase = "(gate unit)"},
]
"""


def test_a_layout_of_the_user_s_own_reads_a_layer_of_the_user_s_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mylayout.toml").write_text(MINE)
    arrays = torch_arrays("lstm", 3, 4)
    blocks = {name: dict(zip("ifgo", np.split(array, 4), strict=True)) for name, array in arrays.items()}

    def in_my_order(name: str) -> Any:
        return np.concatenate([blocks[name][gate] for gate in "oigf"])

    total = in_my_order("bias_ih_l0") + in_my_order("bias_hh_l0")
    npz(
        tmp_path / "mine.npz",
        {"cell.W_x": in_my_order("weight_ih_l0").T, "cell.W_h": in_my_order("weight_hh_l0").T, "cell.b": total},
    )
    npz(tmp_path / "torch.npz", arrays)
    assert run("convert", "mine.npz", "-o", "no.safetensors", "--to", "torch.LSTM", at=tmp_path).code == 2
    words = ["--from", "mylayout.toml"]
    ran = run("convert", "mine.npz", "-o", "out.safetensors", "--to", "torch.LSTM", *words, "--json", at=tmp_path)
    assert (ran.code, ran.json["layers"][0]["from"]) == (0, "mine")
    assert run("verify", "out.safetensors", "torch.npz", at=tmp_path).code == 0
    assert run("inspect", "mine.npz", *words, "--json", at=tmp_path).json["layers"][0]["layout"] == "mine"
    assert run("diff", "mine.npz", "torch.npz", *words, at=tmp_path).code == 0


def test_a_mistake_in_a_layout_of_the_user_s_own_is_told(run: Run, tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", torch_arrays())
    for text in ("not toml [", 'cell = "lstn"', MINE.replace("hidden (", "hiden ("), ""):
        (tmp_path / "mylayout.toml").write_text(text)
        ran = run("inspect", "a.npz", "--from", "mylayout.toml", at=tmp_path)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
        assert "mylayout.toml" in ran.err
        assert "should not have happened" not in ran.err


# Help.


@pytest.mark.parametrize("name", ["inspect", "convert", "verify", "diff", "layouts", "formats"])
def test_every_command_helps(run: Run, name: str) -> None:
    ran = run(name, "--help", width=80)
    assert (ran.code, ran.err) == (0, "")
    assert "example:" in ran.out
    assert f"gatewise {name}" in ran.out
    assert [line for line in ran.out.splitlines() if len(line) > 80] == []
    assert name in run("--help").out


def test_nan_is_told_in_words_and_in_json(run: Run, files: Path, tmp_path: Path) -> None:
    arrays = torch_arrays("gru", 3, 4)
    arrays["weight_ih_l0"][0, 0] = np.nan
    path = npz(tmp_path / "nan.npz", arrays)
    checks: list[tuple[list[Any], Callable[[Any], Any]]] = [
        (["verify", path, files / "gru.npz"], lambda told: told["proof"]["max_abs_error"]),
        (
            ["diff", path, files / "gru.npz"],
            lambda told: max(told["rows"], key=lambda row: isinstance(row["max_abs"], str))["max_abs"],
        ),
    ]
    for words, figure in checks:
        ran = run(*words)
        assert (ran.code, ran.err) == (1, "")
        assert "nan" in ran.out
        ran = run(*words, "--json")
        assert (ran.code, ran.err) == (1, "")
        assert figure(ran.json) == "nan"  # JSON has no nan
    ran = run("inspect", path, "--gates")
    assert (ran.code, ran.err) == (0, "")
