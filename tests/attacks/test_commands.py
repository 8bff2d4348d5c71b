"""The commands over hostile names and hostile places: nothing raw reaches the terminal, JSON stays JSON, nothing waits for ever.

Run in this process through the function that ``gatewise`` calls; what its standard output gets is looked at as bytes.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from together import rarely

import gatewise as gw
from gatewise.cli import main
from gatewise.errors import GatewiseError

SECONDS = 4.0  # of processor time, on a machine that may be four times slower than the limit of one second was set on
NAMES = {
    "escapes of a terminal": "a\x1b[2J\x1b]0;evil\x07",
    "escapes of eight bits": "a\x9b31m\x85b",
    "marks that turn a line round": "a\u202eb\u2066c\u200bd",
    "ends of lines": "a\r\nb\u2028c\x0b",
    "half of a character": "a\ud800",
    "deletes and backspaces": "a\x7f\x08\x08",
    "a zero": "a\0b",
    "what a shell would run": "a\"'`$(id);|&",
    "what a format would fill": "%s%n{0}{layer}{",
    "fifty thousand letters": "x" * 50_000,
    "ten thousand wide letters": "文" * 10_000,
    "nothing": "",
}
COMMANDS = (
    "inspect",
    "inspect --tensors",
    "inspect --gates",
    "doctor",
    "repair",
    "convert",
    "verify",
    "diff",
    "flat",
    "flat -o",
)


AS_JSON = ("inspect", "doctor", "convert", "flat")  # what these print as JSON, the others print too


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def ran(*words: str | Path) -> Ran:
    """One command line; standard output takes UTF-8 and nothing else, as it does outside of tests."""
    out, err = io.BytesIO(), io.BytesIO()
    before = sys.stdout, sys.stderr
    here = io.TextIOWrapper(out, "utf-8", "strict", write_through=True)
    there = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    sys.stdout, sys.stderr = here, there
    try:
        code = main([os.fspath(word) for word in words])
    finally:
        sys.stdout, sys.stderr = before
        here.detach()
        there.detach()
    return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def safetensors(prefixes: list[str], units: int = 2, features: int = 3) -> bytes:
    """An LSTM of torch's under each prefix, all of the same numbers."""
    shapes = {
        "weight_ih_l0": [4 * units, features],
        "weight_hh_l0": [4 * units, units],
        "bias_ih_l0": [4 * units],
        "bias_hh_l0": [4 * units],
    }
    head, at = {}, 0
    for prefix in prefixes:
        for name, shape in shapes.items():
            size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            head[prefix + name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
    raw = json.dumps(head).encode()
    numbers = b"".join(struct.pack("<f", 0.01 * (n % 97)) for n in range(at // 4 // len(prefixes))) * len(prefixes)
    return struct.pack("<Q", len(raw)) + raw + numbers


def words_of(command: str, path: Path, out: Path) -> list[str | Path]:
    name, *more = command.split()
    written: dict[str, list[str | Path]] = {
        "repair": ["-o", out / "o.safetensors", "--force"], "convert": ["-o", out / "o.h", "--force"], "verify": [path], "diff": [path],
    }  # fmt: skip
    if command == "flat -o":
        (out / "o.npy").unlink(missing_ok=True)
        more.append(str(out / "o.npy"))
    return [name, path, *more, *written.get(name, [])]


def _hidden(text: str) -> list[str]:
    """The characters that do something instead of being seen."""
    return sorted({hex(ord(char)) for char in text if not char.isprintable() and char != "\n"})


def _is_told_plainly(command: str, path: Path, out: Path) -> None:
    for words in (words_of(command, path, out), [*words_of(command, path, out), "--json"])[: 1 + (command in AS_JSON)]:
        began = time.process_time()
        told = ran(*words)
        assert time.process_time() - began < SECONDS, words
        assert told.code in (0, 1, 2), told
        assert "should not have happened" not in told.err, told.err
        assert not _hidden(told.out + told.err), _hidden(told.out + told.err)
        assert len(told.err) < 20_000
        if "--json" in words:
            json.loads(told.out)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param(name, command, id=f"{what}, {command}", marks=[pytest.mark.slow] * bool((one + other) % 3))
        for one, (what, name) in enumerate(NAMES.items())
        for other, command in enumerate(COMMANDS)
    ],
)  # the quick part has every name in some command, and every command with some name
def test_a_tensor_may_have_any_name(name: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors([f"{name}."]))
    _is_told_plainly(command, path, tmp_path)


FILES = {what: name for what, name in NAMES.items() if len(name) < 200 and "\0" not in name and "\ud800" not in name}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere not every byte may be in a name")
@pytest.mark.parametrize("command", rarely(["inspect", "doctor", "convert"], 2))
@pytest.mark.parametrize("name", [*FILES.values(), os.fsdecode(b"a\xff\xfe")], ids=[*FILES, "bytes that are no text"])
def test_a_file_may_have_any_name(name: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(safetensors(["lstm."]))
    _is_told_plainly(command, path, tmp_path)


def test_what_is_hidden_would_be_seen() -> None:
    """The twin: the check finds what a command would print raw."""
    assert _hidden("a\x1b[2J\x9b\u202e\n") == ["0x1b", "0x202e", "0x9b"]


def test_numbers_that_are_none_are_no_warning_of_numpys(tmp_path: Path) -> None:
    """In a process of its own: pytest would take the warning for itself."""
    path = tmp_path / "model.safetensors"
    raw = safetensors(["lstm."])
    path.write_bytes(raw[:-200] + b"\x01\x00\x80\x7f" * 50)  # nan, of the kind that signals
    for command in ("inspect --gates", "doctor", "convert"):
        words = [sys.executable, "-m", "gatewise", *map(str, words_of(command, path, tmp_path))]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "Warning" not in told.stderr, told.stderr


# A great many.


def _seconds(command: str, layers: int, folder: Path) -> float:
    """Of processor time; the better of two."""
    path = folder / f"{layers}.safetensors"
    path.write_bytes(safetensors([f"m{at}.lstm." for at in range(layers)]))
    took = []
    for _ in range(2):
        began = time.process_time()
        assert ran(command, path).code in (0, 1)
        took.append(time.process_time() - began)
    return min(took)


@pytest.mark.parametrize(
    ("command", "few", "many"),
    [
        ("inspect", 150, 1_500),
        *(pytest.param(each, 1_000, 10_000, marks=pytest.mark.slow) for each in ("inspect", "doctor")),
    ],
)
def test_ten_times_as_many_layers_take_ten_times_as_long(command: str, few: int, many: int, tmp_path: Path) -> None:
    before, after = _seconds(command, few, tmp_path), _seconds(command, many, tmp_path)
    assert after < 25 * before + 0.5, (before, after)


# Places.


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "model.pt")
    return folder / "model.pt"


def _loop(folder: Path) -> Path:
    (folder / "model.pt").symlink_to(folder / "other.pt")
    (folder / "other.pt").symlink_to(folder / "model.pt")
    return folder / "model.pt"


def _nowhere(folder: Path) -> Path:
    (folder / "model.pt").symlink_to(folder / "gone")
    return folder / "model.pt"


def _folder_in_itself(folder: Path) -> Path:
    (folder / "model").mkdir()
    (folder / "model" / "again").symlink_to(folder / "model")
    return folder / "model"


def _folder_of_pipes(folder: Path) -> Path:
    (folder / "model").mkdir()
    for name in ("saved_model.pb", "_METADATA", "manifest.ocdbt", "model.json", "__model__", "checkpoint"):
        os.mkfifo(folder / "model" / name)
    return folder / "model"


def _beside_pipes(folder: Path) -> Path:
    (folder / "model.xml").write_text(
        '<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0" name="a" type="Const"/></layers></net>'
    )
    os.mkfifo(folder / "model.bin")
    return folder / "model.xml"


def _many_files(folder: Path) -> Path:
    (folder / "model").mkdir()
    for at in range(300):
        (folder / "model" / f"{at}.bin").touch()
    return folder / "model"


PLACES: dict[str, Callable[[Path], Path]] = {
    "a pipe": _fifo, "a link to itself": _loop, "a link to nowhere": _nowhere, "a folder that holds itself": _folder_in_itself,
    "a folder of pipes": _folder_of_pipes, "a file whose weights are a pipe": _beside_pipes, "a folder of hundreds of files": _many_files,
    "an endless device": lambda _: Path("/dev/zero"), "a device of nothing": lambda _: Path("/dev/null"), "a terminal": lambda _: Path("/dev/tty"),
    "the memory of this process": lambda _: Path("/proc/self/mem"), "an endless file of the kernel's": lambda _: Path("/proc/kmsg"),
    "a name that no file can have": lambda folder: folder / ("x" * 5_000), "a path without end": lambda folder: folder.joinpath(*["x" * 200] * 100),
}  # fmt: skip


@pytest.fixture
def in_time() -> Iterator[None]:
    """A command that waits for ever ends this test, not the suite."""
    import signal

    def late(*_: object) -> None:
        raise AssertionError("it waits")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_place_that_is_no_file_is_refused_at_once(place: Callable[[Path], Path], tmp_path: Path) -> None:
    path = place(tmp_path)
    began = time.process_time()
    with pytest.raises(GatewiseError):
        gw.open(path)
    assert time.process_time() - began < SECONDS
    for command in ("inspect", "doctor", "repair", "convert", "verify", "diff", "flat"):
        told = ran(*words_of(command, path, tmp_path), "--json")
        assert told.code == 2, (command, told)
        assert "should not have happened" not in told.err, told.err
        answer = json.loads(told.out)
        assert all(each["error"]["next"] for each in answer.get("files", [answer])), told.out  # each file of a folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody cut a file that is mapped")
@pytest.mark.parametrize("size", [0, 100, 20_000])
def test_a_file_that_is_cut_after_it_was_opened_is_refused_and_ends_no_process(size: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(["lstm."], units=40))
    program = (
        "import os, sys, gatewise as gw\n"
        "from gatewise.errors import BrokenFile\n"
        "opened = gw.open(sys.argv[1])\n"
        "os.truncate(sys.argv[1], int(sys.argv[2]))\n"
        "for deed in (lambda: [tensor.array().sum() for tensor in opened.tensors.values()], lambda: opened['lstm'].to('keras.LSTM')):\n"
        "    try: deed()\n"
        "    except BrokenFile as error: print('has been cut' in str(error))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(path), str(size)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told
    assert told.stdout.split() == ["True", "True"], told


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize(
    "sent",
    [b"", b"\x80\x02", b"PK\x03\x04" + bytes(100), bytes(1 << 20)],
    ids=["nothing", "a beginning", "a header", "zeros"],
)
def test_what_is_piped_in_is_refused_or_read(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("inspect", "doctor", "flat"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
        told = ran(command, "-", "--json")
        assert told.code == 2
        assert json.loads(told.out)["error"]["path"] == "-"
