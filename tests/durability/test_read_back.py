"""What was written is read from the file again before it has its name: a byte that is another one is found."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deeds import ARRAYS, CONVERSIONS, DEEDS, HEAD, Deed
from filemakers import safetensors, torch_arrays

from gatewise.cli._run import run

REPAIRS = [each for each in DEEDS if each.words[0] == "repair"]


@contextlib.contextmanager
def damaged(monkeypatch: pytest.MonkeyPatch, damage: Any) -> Iterator[None]:
    """While it lasts, what is written is damaged when its writer has closed it."""
    import builtins

    plain = builtins.open

    class Damaged:
        def __init__(self, file: Any, path: Path):
            self._file, self._path = file, path

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def __enter__(self) -> Any:
            self._file.__enter__()
            return self

        def __exit__(self, *why: Any) -> None:
            self._file.__exit__(*why)
            damage(self._path)

    def opened(path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = plain(path, mode, *rest, **more)
        return Damaged(file, Path(path)) if "w" in mode and ".gatewise-" in str(path) else file

    monkeypatch.setattr(builtins, "open", opened)
    try:
        yield
    finally:
        monkeypatch.setattr(builtins, "open", plain)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(number: bytes) -> Any:
    """Flips the lowest bit of a number that is known to be in the file: no tolerance would see it."""

    def damage(path: Path) -> None:
        raw = bytearray(path.read_bytes())
        at = raw.find(number)
        if at >= 0:
            raw[at] ^= 1
            path.write_bytes(raw)

    return damage


def refused(deed: Deed, folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...] = ()) -> str:
    """The refusal, after which the old file is as it was."""
    out = folder / deed.outputs[-1]
    force = () if deed.pair else ("--force",)
    if not deed.pair:
        out.write_bytes(b"old")
    before = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    capsys.readouterr()
    assert run([*deed.words, *words, *force]) == 2
    assert {entry.name: entry.read_bytes() for entry in folder.iterdir()} == before
    err = capsys.readouterr().err
    assert err.startswith(f"gatewise: {deed.outputs[-1]}: "), err
    assert ".gatewise-" not in err
    return err


def _weight() -> bytes:
    """A number that no other one of the model begins like, as its bytes."""
    return ARRAYS["weight_hh_l0"][2, 1].tobytes()


BINARY = [each for each in CONVERSIONS if "c-header" not in each.name]


@pytest.mark.parametrize("deed", BINARY, ids=str)
def test_one_bit_of_one_weight_is_found(
    deed: Deed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    with damaged(monkeypatch, flipped(_weight())):
        err = refused(deed, tmp_path, capsys)
    assert "numbers are not those written" in err


@pytest.mark.parametrize("words", [(), ("--no-verify",)], ids=["proved", "not proved"])
@pytest.mark.parametrize("deed", CONVERSIONS, ids=str)
def test_a_file_that_was_cut_is_found_even_when_nothing_is_proved(
    deed: Deed, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    with damaged(monkeypatch, cut):
        refused(deed, tmp_path, capsys, words)


@pytest.mark.parametrize("to", ["torch-zip", "safetensors", "npz"])
def test_one_bit_of_what_is_carried_along_is_found(
    to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed = next(each for each in CONVERSIONS if each.name.endswith(to))
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    with damaged(monkeypatch, flipped(HEAD.tobytes()[4:])):
        assert "'head.weight' has other elements" in refused(deed, tmp_path, capsys)


@pytest.mark.parametrize("deed", [each for each in REPAIRS if "healthy" not in each.name], ids=str)
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_repaired_file_that_was_damaged_is_found(
    deed: Deed, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(deed.words) == 0
    from gatewise.containers import open_tensors

    arrays = [tensor.array() for tensor in open_tensors(tmp_path / deed.outputs[0]).values()]
    number = max(arrays, key=lambda array: array.size).tobytes()[40:60]
    with damaged(monkeypatch, cut if how == "cut" else flipped(number)):
        refused(deed, tmp_path, capsys)


def test_a_copy_that_was_damaged_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed = next(each for each in REPAIRS if "healthy" in each.name)
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    with damaged(monkeypatch, cut):
        assert "does not come back from the disk" in refused(deed, tmp_path, capsys)


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_flat_vector_that_was_damaged_is_found(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed = next(each for each in DEEDS if each.name == "pack a flat vector")
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    with damaged(monkeypatch, cut if how == "cut" else flipped(_weight())):
        assert "does not come back as it was" in refused(deed, tmp_path, capsys)


def test_what_is_large_is_compared_number_by_number_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of large layers only some units are run."""
    monkeypatch.chdir(tmp_path)
    arrays = torch_arrays("lstm", 400, 400)
    safetensors(tmp_path / "model.pt", arrays)
    deed = next(each for each in CONVERSIONS if each.name.endswith("torch-zip"))
    with damaged(monkeypatch, flipped(arrays["weight_hh_l0"][901, 1:4].tobytes())):
        assert "does not come back as it was" in refused(deed, tmp_path, capsys)


def test_a_writer_that_loses_a_tensor_is_found_even_when_nothing_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deed = next(each for each in CONVERSIONS if each.name.endswith("safetensors"))
    deed.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)

    def loses(path: Path) -> None:
        safetensors(path, ARRAYS)

    with damaged(monkeypatch, loses):
        assert "a tensor of the shape (2, 3) is not in it" in refused(deed, tmp_path, capsys, ("--no-verify",))


def test_an_honest_disk_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: damage that hits no number changes nothing."""
    monkeypatch.chdir(tmp_path)
    for deed in (CONVERSIONS[0], *REPAIRS[:1]):
        deed.prepare(tmp_path)
        with damaged(monkeypatch, flipped(b"no number begins like this")):
            assert run(deed.words) == 0
        for entry in tmp_path.iterdir():
            entry.unlink()
