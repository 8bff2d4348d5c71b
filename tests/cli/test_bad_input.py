"""What is no model, is cut, cannot be read or cannot be written: one clear sentence, exit code 2, and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clock import calls_of, seconds_of_children
from filemakers import afresh, keras_arrays, keras_h5, npz, safetensors, torch_arrays, torch_legacy, torch_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_command import Ran, environment, gatewise, interruptible
from together import rarely

COMMANDS = {
    "inspect": lambda path: ["inspect", path],
    "convert": lambda path: ["convert", path, "-o", "out.safetensors"],
    "verify": lambda path: ["verify", path, path],
    "diff": lambda path: ["diff", path, path],
}  # fmt: skip


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def assert_refused(ran: Ran, name: str) -> None:
    """One sentence with a next step, that names the file and stays short."""
    assert ran.code == 2, (ran.out, ran.err)
    assert ran.out == ""
    assert ran.err.startswith(f"gatewise: {name}: ")
    assert ran.err.count("\n") == 1
    assert len(ran.err) < 400
    assert "Traceback" not in ran.err
    assert "should not have happened" not in ran.err
    assert ran.err.rstrip().endswith((".", "?")), ran.err


def assert_refused_in_json(ran: Ran, name: str) -> dict[str, Any]:
    assert ran.code == 2
    error: dict[str, Any] = ran.json["error"]
    assert set(error) == {"type", "message", "path", "where", "next"}
    assert error["path"] == name
    assert error["next"], f"no next step: {error}"
    assert len(ran.err) < 400
    return error


# What is no model.


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing of torch's")


def _h5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["measurements"] = np.arange(10)


def _bytes(content: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(content)


NO_MODEL: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "an empty file": ("empty.pt", _bytes(b""), "empty"),
    "a text file": ("notes.pt", _bytes(b"These are my notes about the model.\n"), "text file"),
    "JSON": ("model.json", _bytes(b'{"weights": [1, 2, 3]}'), "text file"),
    "an HTML page saved as .pt": ("page.pt", _bytes(b"<!DOCTYPE html>\n<html><body>404</body></html>"), "HTML page"),
    "an HTML page that begins with blanks": ("page.pt", _bytes(b"\n\n  <html><head><title>Sign in</title>"), "HTML page"),
    "a git-lfs pointer": (
        "lfs.pt", _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"), "git lfs pull",
    ),
    "a zip that is not torch's": ("archive.pt", _zip, "zip archive"),
    "a compressed file": ("model.pt.gz", _bytes(b"\x1f\x8b\x08\x00" + bytes(60)), "compressed"),
    "random bytes": ("noise.pt", _bytes(np.random.default_rng(0).bytes(3000)), "no format"),
    "zeros": ("zeros.pt", _bytes(bytes(5000)), "begins with 00"),
    "one byte": ("one.pt", _bytes(b"\x80"), ""),
    "a picture": ("cat.pt", _bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "begins with 89 50"),
    "a pickle that is not torch's": ("plain.pkl", _bytes(b"\x80\x02}q\x00."), ""),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "make", "told"), NO_MODEL.values(), ids=NO_MODEL)
def test_what_is_no_model_is_refused(run: Any, tmp_path: Path, command: str, name: str, make: Any, told: str) -> None:
    make(tmp_path / name)
    ran = run(*COMMANDS[command](name))
    assert_refused(ran, name)
    assert told in ran.err
    assert_refused_in_json(run(*COMMANDS[command](name), "--json"), name)
    assert names(tmp_path) == [name]


def test_one_of_each_through_the_real_command_line(tmp_path: Path) -> None:
    for name, make, told in list(NO_MODEL.values())[:8:3]:
        make(tmp_path / name)
        ran = gatewise("inspect", name, at=tmp_path)
        assert_refused(ran, name)
        assert told in ran.err


def test_an_hdf5_file_of_other_things_is_listed_and_nothing_is_made_of_it(run: Any, tmp_path: Path) -> None:
    _h5(tmp_path / "data.h5")
    assert run("inspect", "data.h5", "--json").json["layers"] == []
    for command in ("convert", "verify", "diff"):
        assert_refused(run(*COMMANDS[command]("data.h5")), "data.h5")


def test_a_missing_path_is_told(run: Any) -> None:
    assert_refused(run("inspect", "nowhere.pt"), "nowhere.pt")
    error = assert_refused_in_json(run("convert", "nowhere.pt", "-o", "out.keras", "--json"), "nowhere.pt")
    assert "no such file" in error["message"].lower()


def test_of_a_missing_path_what_is_like_it_is_named(run: Any, tmp_path: Path) -> None:
    torch_zip(tmp_path / "model.pt", torch_arrays())
    assert run("inspect", "modle.pt").err == "gatewise: modle.pt: there is no such file. Did you mean model.pt?\n"
    assert run("inspect", "nowhere/model.pt").err.endswith("there is no such file. Check the path.\n")
    assert_refused(run("inspect", "xyz.h5"), "xyz.h5")
    (tmp_path / "zqzq.h5").symlink_to("nowhere")
    assert run("inspect", "zqzq.h5").err.endswith("there is no such file. Check the path.\n"), "it is not like itself"


def test_an_empty_path_is_told(run: Any) -> None:
    for command in ("inspect", "doctor"):
        ran = run(command, "")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("gatewise: no file is named: the path is empty.")


def test_nothing_to_explain_is_told(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.log").write_bytes(b" \n")
    assert_refused(run("explain", "empty.log"), "empty.log")
    assert "there is no such file" in run("explain", "nowhere.log").err
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b""), isatty=lambda: False))
    for words in ([], ["-"]):
        ran = run("explain", *words)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("gatewise: explain: there is nothing to explain. Paste the error in quotes")


def test_a_cell_without_its_framework_is_asked_for_it(run: Any, tmp_path: Path) -> None:
    torch_zip(tmp_path / "model.pt", torch_arrays())
    ran = run("convert", "model.pt", "-o", "out.npz", "--to", "LSTM")
    assert_refused(ran, "model.pt")
    assert "Name the framework too: " in ran.err
    assert "keras.LSTM" in run("convert", "model.pt", "-o", "out.npz", "--to", "cudnnlstm").err.replace("CuDNN", "")


def test_the_layouts_of_one_framework_are_listed(run: Any) -> None:
    ran = run("layouts", "keras", "--json")
    assert ran.code == 0
    assert {each["name"].partition(".")[0] for each in ran.json["layouts"]} == {"keras"}
    assert "keras.GRU" in run("layouts", "keras").out
    assert "torch.GRU" not in run("layouts", "keras").out


def test_a_directory_is_told(run: Any, tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    assert_refused(run("inspect", "saved_model"), "saved_model")
    assert "directory" in assert_refused_in_json(run("inspect", "saved_model", "--json"), "saved_model")["message"]


def test_a_path_through_a_file_is_told(run: Any, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    assert_refused(run("inspect", "model.pt/inner"), "model.pt/inner")


@pytest.mark.skipif(sys.platform == "win32", reason="wants POSIX permissions")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("THIS RUNS AS ROOT, WHO MAY READ EVERYTHING: unreadable files are not tested here")
    path = torch_zip(tmp_path / "model.pt", torch_arrays())
    path.chmod(0)
    assert_refused(gatewise("inspect", "model.pt", at=tmp_path), "model.pt")


def test_a_pipe_and_a_device_are_no_files(tmp_path: Path) -> None:
    """Neither hangs nor reads without end."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", "/dev/null"):
        assert_refused(gatewise("inspect", name, at=tmp_path), name)


# What is cut.

ARRAYS = torch_arrays("lstm", 3, 4, 2, prefix="encoder.lstm.")


def _whole(tmp_path: Path) -> dict[str, Path]:
    import gatewise as gw

    files = {
        "a torch zip": torch_zip(tmp_path / "zip.pt", ARRAYS),
        "a torch stream": torch_legacy(tmp_path / "legacy.pt", ARRAYS),
        "a safetensors file": safetensors(tmp_path / "a.safetensors", ARRAYS),
        "an npz file": npz(tmp_path / "a.npz", ARRAYS),
        "an HDF5 file": keras_h5(tmp_path / "a.h5", {"lstm_1": keras_arrays()}),
    }
    for kind, name in (("a Keras zip", "b.keras"), ("a weights file", "b.weights.h5")):
        gw.convert(files["a torch zip"], tmp_path / name)
        files[kind] = tmp_path / name
    return files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return {kind: path.read_bytes() for kind, path in _whole(tmp_path_factory.mktemp("whole")).items()}


KINDS = [
    "a torch zip",
    "a torch stream",
    "a safetensors file",
    "an npz file",
    "an HDF5 file",
    "a Keras zip",
    "a weights file",
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_refused_wherever_it_is_cut(run: Any, tmp_path: Path, whole: dict[str, bytes], kind: str) -> None:
    """Every header byte, every 64th byte after it, and the last 40: nothing is ever shown or converted from a part."""
    content = whole[kind]
    cuts = {
        *range(min(len(content), 48)),
        *range(48, len(content), max(len(content) // 60, 1)),
        *range(len(content) - 40, len(content)),
    }
    for cut in sorted(cuts):
        afresh(tmp_path / "cut.pt", content[:cut])
        ran = run("convert", "cut.pt", "-o", "out.safetensors")
        assert ran.code == 2, f"cut at {cut} of {len(content)}: {ran.out}"
        assert_refused(ran, "cut.pt")
        assert names(tmp_path) == ["cut.pt"], f"cut at {cut}"
    ran = run("convert", "cut.pt", "-o", "out.safetensors", "--json")
    assert_refused_in_json(ran, "cut.pt")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_changed_byte_is_refused_or_harmless(
    run: Any, tmp_path: Path, whole: dict[str, bytes], kind: str, data: Any
) -> None:
    """Never a traceback, never a file from a failed conversion."""
    content = bytearray(whole[kind])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "bent.pt").write_bytes(content)
    ran = run("convert", "bent.pt", "-o", "out.safetensors", "--force")
    assert ran.code in (0, 2)
    if ran.code == 2:
        assert_refused(ran, "bent.pt")
        assert names(tmp_path) == ["bent.pt"]
    else:
        assert "proved" in ran.out
        (tmp_path / "out.safetensors").unlink()


# What cannot be written.


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return torch_zip(tmp_path / "model.pt", ARRAYS)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("out", ["nowhere/out.keras", "model.pt/out.keras", "folder.keras", "out.unknown", "out"])
def test_an_output_that_cannot_be_is_refused(run: Any, tmp_path: Path, out: str) -> None:
    (tmp_path / "folder.keras").mkdir()
    assert_refused(run("convert", "model.pt", "-o", out), out)
    assert_refused_in_json(run("convert", "model.pt", "-o", out, "--json"), out)
    assert_refused(run("convert", "model.pt", "-o", out, "--force"), out)
    assert names(tmp_path) == ["folder.keras", "model.pt"]


# Of what there are dozens, a sentence names the likely ones, and who lists all.
MANY = {
    "an unknown suffix": ("convert model.pt -o out.foo", ".keras", "`gatewise formats`"),
    "a suffix that is nearly right": ("convert model.pt -o out.kers", "Did you mean .keras", "`gatewise formats`"),
    "an unknown format": ("convert model.pt -o out.pt --container zzz", "zzz", "`gatewise formats`"),
    "a format that is only read": ("convert model.pt -o out.pt --container caffe", "torch-zip", "`gatewise formats`"),
    "an unknown framework": ("convert model.pt -o out.npz --to zzz", "zzz", "`gatewise layouts`"),
    "an unknown order": ("flat model.pt --order zzz", "cudnn", "`gatewise layouts`"),
    "an unknown command": ("zzz", "zzz", "`gatewise --help`"),
}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("line", "told", "lister"), MANY.values(), ids=MANY)
def test_where_dozens_could_be_meant_few_are_named(run: Any, line: str, told: str, lister: str) -> None:
    ran = run(*line.split())
    assert ran.code == 2
    assert told in ran.err
    assert f"{lister} lists" in ran.err
    assert ran.err.count(", ") <= 8, "more things than anybody reads"


def test_what_could_say_a_layer_is_told_by_the_likeliest_few(run: Any, tmp_path: Path) -> None:
    """A GRU of torch in a target that cannot say it: half a hundred layouts can."""
    torch_zip(tmp_path / "gru.pt", torch_arrays("gru", 3, 4))
    ran = run("convert", "gru.pt", "-o", "out.npz", "--to", "keras1.GRU")
    assert_refused(ran, "gru.pt")
    told = ran.err.partition("What can say it: ")[2]
    assert told.startswith("keras"), "the target's own framework, or who is nearest, comes first"
    assert told.count(", ") == 5
    assert told.endswith(" more (`gatewise layouts` lists them all).\n")


FOLDERS = ["newdir/", "olddir", "olddir/", "folder.keras", "folder.keras/", ".", "./"]
WRITERS = {
    "convert": ["convert", "model.pt"],
    "convert to a named format": ["convert", "model.pt", "--container", "torch-zip"],
    "convert without a proof": ["convert", "model.pt", "--no-verify", "--force"],
    "repair": ["repair", "model.pt"],
    "repair as a state dict": ["repair", "model.pt", "--as", "state-dict", "--force"],
}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("out", FOLDERS)
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_an_output_that_is_a_folder_is_refused_in_one_sentence(
    run: Any, tmp_path: Path, words: list[str], out: str
) -> None:
    """``-o newdir/`` made a file called newdir."""
    for name in ("olddir", "folder.keras"):
        (tmp_path / name).mkdir()
    ran = run(*words, "-o", out)
    assert_refused(ran, out)
    assert "is a folder, and what is written is a file. Name a file in it, such as " in ran.err
    assert names(tmp_path) == ["folder.keras", "model.pt", "olddir"]
    assert names(tmp_path / "olddir") == names(tmp_path / "folder.keras") == []


@pytest.mark.usefixtures("model")
def test_a_vector_that_would_be_a_folder_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "v.npy").mkdir()
    for out in ("v.npy", "v.npy/", "new/"):
        assert_refused(run("flat", "model.pt", "-o", out), out)
    assert names(tmp_path) == ["model.pt", "v.npy"]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("out", ["model.pt", "./model.pt", "link.pt"])
def test_the_source_is_never_overwritten_not_even_when_forced(run: Any, tmp_path: Path, out: str) -> None:
    (tmp_path / "link.pt").symlink_to("model.pt")
    before = (tmp_path / "model.pt").read_bytes()
    for force in ([], ["--force"]):
        ran = run("convert", "model.pt", "-o", out, *force)
        assert_refused(ran, out)
        assert (tmp_path / "model.pt").read_bytes() == before
    assert names(tmp_path) == ["link.pt", "model.pt"]


def _large(tmp_path: Path, units: int = 400) -> Path:
    return safetensors(tmp_path / "large.safetensors", torch_arrays("lstm", 300, units))


@pytest.mark.parametrize("suffix", rarely([".safetensors", ".npz", ".pt", ".keras", ".weights.h5"], 3))
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    _large(tmp_path)

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    ran = gatewise("convert", "large.safetensors", "-o", f"out{suffix}", at=tmp_path, preexec_fn=little)
    assert_refused(ran, f"out{suffix}")
    assert names(tmp_path) == ["large.safetensors"]


@pytest.mark.parametrize("suffix", rarely([".safetensors", ".pt", ".keras"], 3))
def test_ctrl_c_while_writing_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    _large(tmp_path, 1500)
    for _ in range(10):
        code, out, err = _interrupted(tmp_path, suffix)
        if code:
            break
        # Python drops an interrupt that comes inside a callback of its garbage collector ("Exception ignored in"), and
        # one that comes after the rename finds all done, which on a busy machine is the rule and not the exception: then
        # the file is there, whole, and nothing else is.
        assert names(tmp_path) == ["large.safetensors", f"out{suffix}"]
        assert gatewise("verify", "large.safetensors", f"out{suffix}", at=tmp_path).code == 0
        (tmp_path / f"out{suffix}").unlink()
    assert (code, out, err) == (130, "", "")
    assert names(tmp_path) == ["large.safetensors"]


def test_an_interrupt_inside_exec_ends_with_the_same_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import sys\nfrom gatewise.cli import _parse, _run\n"
        "def parse(*words):\n    exec('raise KeyboardInterrupt')\n"
        "_parse.parse = parse\nsys.exit(_run.run(['inspect', 'model.pt']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        preexec_fn=interruptible,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


def test_an_interrupt_that_a_library_makes_an_error_of_its_own_is_still_one(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, sys\nfrom gatewise.cli import _parse, _run\n"
        "def parse(*words):\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n        pass\n"
        "    raise ImportError('numpy, interrupted while it is imported, says that it was imported from its own folder')\n"
        "_parse.parse = parse\nsys.exit(_run.run(['inspect', 'model.pt']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "interrupted.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        preexec_fn=interruptible,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


def _interrupted(tmp_path: Path, suffix: str) -> tuple[int, str, str]:
    """(exit code, output, errors) of a conversion that is sent Ctrl-C when its temporary file appears, or has gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gatewise", "convert", "large.safetensors", "-o", f"out{suffix}"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 600  # so that it ends at all
        while len(names(tmp_path)) < 2:  # until the temporary file appears
            if process.poll() is not None:
                assert process.returncode == 0, process.communicate()
                break
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, out, err


# What is odd but real.


def test_weights_that_are_no_numbers_are_never_the_same_nor_converted_unseen(run: Any, tmp_path: Path) -> None:
    arrays = {name: array.copy() for name, array in ARRAYS.items()}
    arrays["encoder.lstm.bias_hh_l1"][3] = np.nan
    safetensors(tmp_path / "nan.safetensors", arrays)
    assert run("verify", "nan.safetensors", "nan.safetensors").code == 1
    ran = run("convert", "nan.safetensors", "-o", "out.npz")
    assert_refused(ran, "nan.safetensors")
    assert "not finite" in ran.err
    assert "--no-verify" in ran.err
    assert names(tmp_path) == ["nan.safetensors"]
    assert run("convert", "nan.safetensors", "-o", "out.npz", "--no-verify").code == 0


def test_tensors_without_elements_are_listed_and_harm_nothing(run: Any, tmp_path: Path) -> None:
    arrays = {
        **ARRAYS,
        "empty": np.zeros((0,), "f4"),
        "flat": np.zeros((3, 0, 2), "f4"),
        "scalar": np.float32(1).reshape(()),
    }
    for name, make in (("a.safetensors", safetensors), ("a.npz", npz), ("a.pt", torch_zip), ("old.pt", torch_legacy)):
        make(tmp_path / name, arrays)
        told = run("inspect", name, "--json").json
        assert [each["shape"] for each in told["others"]] == [[0], [3, 0, 2], []]
        assert run("convert", name, "-o", "out.safetensors", "--force").code == 0
        assert run("diff", name, "out.safetensors").code == 0


def test_a_recurrent_layer_without_units_is_no_layer(run: Any, tmp_path: Path) -> None:
    arrays = {"weight_ih_l0": np.zeros((0, 3), "f4"), "weight_hh_l0": np.zeros((0, 0), "f4")}
    safetensors(tmp_path / "a.safetensors", arrays)
    ran = run("inspect", "a.safetensors", "--json")
    assert ran.code in (0, 2)
    assert "should not have happened" not in ran.err
    assert_refused(run("convert", "a.safetensors", "-o", "out.npz"), "a.safetensors")


def test_ten_thousand_tensors_are_inspected_fast(tmp_path: Path) -> None:
    one = np.zeros((2, 2), "f4")
    arrays = {f"block.{index}.linear.weight": one for index in range(10_000)} | ARRAYS
    safetensors(tmp_path / "many.safetensors", arrays)
    ran: list[Ran] = []
    spent = seconds_of_children(lambda: ran.append(gatewise("inspect", "many.safetensors", "--json", at=tmp_path)))
    assert spent < 5
    told = ran[0].json
    assert ([layer["name"] for layer in told["layers"]], len(told["others"])) == (["encoder.lstm"], 10_000)


def test_many_layers_are_inspected_with_work_that_grows_as_their_number(run: Any, tmp_path: Path) -> None:
    def work(count: int) -> int:
        arrays = {f"block.{index}.rnn.{name}": array for index in range(count) for name, array in one.items()}
        safetensors(tmp_path / "many.safetensors", arrays)
        ran: list[Ran] = []
        calls = calls_of(lambda: ran.append(run("inspect", "many.safetensors", "--json")))
        assert len(ran[0].json["layers"]) == count
        return calls

    one = torch_arrays("rnn", 1, 1)
    work(5)  # what is imported, and kept for the next time
    assert work(200) < 11 * work(20)


@pytest.mark.parametrize("name", ["héllo wörld.pt", "深い.pt", "-dash.pt", "a\nb.pt", "quo'te\".pt"])
def test_names_of_files_may_be_anything(run: Any, tmp_path: Path, name: str) -> None:
    torch_zip(tmp_path / name, ARRAYS)
    path = f"./{name}"
    assert run("inspect", path).code == 0
    assert run("inspect", path, "--json").json["path"] == name
    assert run("convert", path, "-o", "out.safetensors").code == 0


def test_a_hostile_tensor_name_stays_a_name(run: Any, tmp_path: Path) -> None:
    hostile = "../../etc/\x1b[2Jpasswd"
    arrays = torch_arrays(prefix=f"{hostile}.")
    safetensors(tmp_path / "a.safetensors", arrays)
    for words in (["inspect", "a.safetensors", "--tensors"], ["convert", "a.safetensors", "-o", "out.keras"]):
        ran = run(*words)
        assert ran.code == 0, ran.err
        assert "\x1b" not in ran.out + ran.err
    assert names(tmp_path) == ["a.safetensors", "out.keras"]
    assert json.loads(zipfile.ZipFile(tmp_path / "out.keras").read("config.json"))
