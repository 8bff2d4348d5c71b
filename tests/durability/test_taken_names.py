"""Nothing is overwritten unasked, and what is read is not overwritten at all: by every command that writes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from deeds import CONVERSIONS, DEEDS, FIXTURES, Deed
from together import rarely

import gatewise as gw
from gatewise.cli._run import run
from gatewise.errors import WriteRefused

ALL = pytest.mark.parametrize("deed", DEEDS, ids=str)


def digests(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir() if each.is_file()}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    return found.err


def onto(deed: Deed, out: str) -> list[str]:
    """The command line with another output."""
    return [out if word == deed.outputs[-1] else word for word in deed.words]


@ALL
def test_nothing_is_overwritten_unasked(
    deed: Deed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in deed.outputs:
        (tmp_path / name).write_bytes(b"precious")
        before = digests(tmp_path)
        assert run(deed.words) == 2
        instead = ", and is one model together with " if deed.pair else ". Choose another name, or pass --force"
        assert f"gatewise: {name}: exists already{instead}" in told(capsys)
        assert digests(tmp_path) == before
        (tmp_path / name).unlink()


@ALL
def test_the_input_is_as_it_was(deed: Deed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = {name: (value, Path(name).stat().st_mtime_ns) for name, value in digests(tmp_path).items()}
    assert run(deed.words) == 0
    after = digests(tmp_path)
    assert {name: (after[name], Path(name).stat().st_mtime_ns) for name in before} == before


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
@pytest.mark.parametrize("deed", rarely(DEEDS, 4), ids=str)
@pytest.mark.parametrize("way", ["link", "hard link", "folder"])
def test_the_input_is_not_the_output_under_any_name_even_when_forced(
    deed: Deed, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    deed.prepare(folder)
    monkeypatch.chdir(folder)
    (tmp_path / "linked").symlink_to("folder")
    suffix = deed.outputs[-1].removeprefix("out")
    for source in deed.inputs:
        if way == "link":
            (folder / f"alias{suffix}").symlink_to(source)
            out = f"alias{suffix}"
        elif way == "hard link":
            os.link(folder / source, folder / f"alias{suffix}")
            out = f"alias{suffix}"
        else:
            os.link(folder / source, folder / f"alias{suffix}")
            out = f"../linked/./alias{suffix}"
        before = digests(folder)
        for force in ([], ["--force"]):
            assert run([*onto(deed, out), *force]) == 2
            assert "is the input, which is never touched" in told(capsys)
            assert digests(folder) == before
        (folder / f"alias{suffix}").unlink()


# A model of several files.


@pytest.mark.parametrize(
    ("model", "part", "named"),
    [
        ("openvino/2026.4.1/onnx_lstm_bidirectional.xml", "onnx_lstm_bidirectional.bin", "onnx_lstm_bidirectional.xml"),
        ("tf1", "*.data-00000-of-00001", "*.index"),
    ],
    ids=["weights beside their graph", "a shard of a checkpoint"],
)
def test_a_file_that_is_read_beside_the_one_that_was_named_is_not_replaced(
    model: str,
    part: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = FIXTURES / model
    home = home.parent if home.is_file() else next(iter(sorted(home.rglob(part)))).parent
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    shard = sorted(tmp_path.glob(part))[0].name
    graph = named if "*" not in named else shard.replace(".data-00000-of-00001", ".index")
    before = digests(tmp_path)
    assert run(["convert", graph, "-o", shard, "--container", "npz", "--to", "torch", "--force"]) == 2
    assert "is the input, which is never touched" in told(capsys)
    assert digests(tmp_path) == before


def test_a_vector_is_not_written_over_the_checkpoint_that_it_comes_from(tmp_path: Path) -> None:
    from gatewise.flat._files import map_of

    np.savez(tmp_path / "first.npz", **gw.open(_converted(tmp_path)).only().to("torch.LSTM"))
    found = map_of(tmp_path / "first.npz")
    found.write_vector(tmp_path / "vector.npy")
    with pytest.raises(WriteRefused, match="is the input"):
        found.write_back(tmp_path / "vector.npy", tmp_path / "first.npz", force=True)


def _converted(folder: Path) -> Path:
    deed = CONVERSIONS[0]
    deed.prepare(folder)
    return folder / "model.pt"


def test_saving_a_layer_replaces_a_file_only_when_forced(tmp_path: Path) -> None:
    stack = gw.open(_converted(tmp_path)).only()
    (tmp_path / "out.npz").write_bytes(b"precious")
    with pytest.raises(WriteRefused, match="exists already"):
        gw.save(stack, tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == b"precious"
    assert gw.save(stack, tmp_path / "out.npz", force=True).same


def test_a_file_that_is_being_read_can_be_saved_over_by_whoever_says_so(tmp_path: Path) -> None:
    """gw.save writes one layer, which the caller holds; the map of the old file lives on until nobody looks at it."""
    path = _converted(tmp_path)
    stack = gw.open(path).only()
    kernel = stack[0, "forward"].kernel["f"]
    before = kernel.copy()
    gw.save(stack, path, force=True)
    assert np.array_equal(kernel, before)
    assert np.array_equal(gw.open(path).only()[0, "forward"].kernel["f"], before)


def test_a_folder_that_needs_no_repair_is_not_copied_as_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = FIXTURES / "openvino/2026.4.1/gru_lbr0_forward.xml"
    assert run(["repair", str(source), "-o", str(tmp_path / "new.xml")]) == 2
    assert "would not stand without the files beside it" in told(capsys)
    assert list(tmp_path.iterdir()) == []
