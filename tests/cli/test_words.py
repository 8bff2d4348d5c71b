"""Plain command lines are read without argparse.  What is read so is what argparse reads; the rest is left to it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import pytest
from together import in_thirds

from gatewise.cli._argparse import read
from gatewise.cli._command import command, command_names
from gatewise.cli._parse import add_json, parse
from gatewise.cli._words import Noted, NotPlain
from gatewise.errors import UsageError

FILES = ("a.pt", "-", "b/c d.h5")
VALUES = ("x", "1", "2.5", "torch.LSTM", "before", "forward", "full", "", "-1", "-", "--json")


def noted(name: str) -> Noted:
    found = Noted()
    command(name).add_arguments(found)
    add_json(found)
    return found


def lines(name: str) -> Iterator[list[str]]:
    """Lines of every option of a command with every value, with none to three files, before, between and behind them."""
    options = [*noted(name)._options, "--nothing", "-h", "--", "--js"]
    out = ["-o", "out"] if name == "convert" else []  # which it wants
    for files in ([], ["a.pt", *out], ["a.pt", "-", *out], [*FILES, *out]):
        yield files
        for option in options:
            yield [option, *files]
            yield [*files, option]
            for value in VALUES:
                yield [*files, option, value]
                yield [option, value, *files]
                yield [*files[:1], f"{option}={value}", *files[1:]]
        yield from (
            [*files, *two]
            for two in itertools.chain(*([[f"{a}=1", b, "x"], [a, "x", b]] for a, b in itertools.pairwise(options)))
        )
        for one, other in itertools.pairwise(options):
            yield [one, *files, other]
            yield [one, "1", *files, other, "1"]


@in_thirds
@pytest.mark.parametrize("name", command_names())
def test_what_is_read_without_argparse_is_what_argparse_reads(name: str, third: int) -> None:
    plain = 0
    for line in itertools.islice(lines(name), third, None, 3):
        try:
            ours = noted(name).read(line)
        except NotPlain:
            continue
        plain += 1
        assert ours == vars(read(command(name), line)), line
    assert plain


@pytest.mark.parametrize("name", [name for name in command_names() if name not in ("layouts", "formats")])
def test_a_line_without_options_is_plain(name: str) -> None:
    """Else a change of a command would quietly bring argparse back."""
    files = ["a.pt", "b.pt"] if name == "diff" else ["a.pt"]
    assert noted(name).read([*files, "-o", "out"] if name == "convert" else files)["json"] is False


@pytest.mark.parametrize("line", [["--help"], ["--nothing"], [], ["a.pt", "--forget-bias", "x"]])
def test_what_is_not_plain_is_left_to_argparse(line: list[str]) -> None:
    with pytest.raises(NotPlain):
        noted("inspect").read(line)


def test_argparse_still_says_what_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"Did you mean .*tensors"):
        parse(["inspect", "a.pt", "--tensor"])


def test_a_plain_line_imports_no_argparse() -> None:
    code = (
        "import sys; from gatewise.cli._parse import parse; parse(['inspect', 'a.pt', '--layer', 'x', '--json']); "
        "print({'argparse', 'gettext', 'locale'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
