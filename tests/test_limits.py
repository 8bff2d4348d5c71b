"""Limits are lifted by who trusts a file: in the call, or for every command by the environment; and a refusal says how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw
from gatewise.cursor import _said
from gatewise.errors import LimitExceeded, UsageError


@pytest.fixture(scope="module")
def zeros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Honest: an embedding that nobody has trained, packed by numpy to a thousandth."""
    path = tmp_path_factory.mktemp("zeros") / "zeros.npz"
    np.savez_compressed(path, embedding=np.zeros((17, 1 << 20), np.float32), weight=np.eye(3, dtype=np.float32))
    return path


def test_a_refusal_says_how_to_lift_it_and_that_lifts_it(zeros: Path) -> None:
    tensors = gw.open(zeros).tensors
    assert tensors["weight"].array()[1, 1] == 1.0
    with pytest.raises(LimitExceeded) as refused:
        tensors["embedding"].array()
    asked = str(refused.value.next).rpartition("GATEWISE_LIMITS=")[2].rstrip(".")
    assert asked.startswith("large_ratio=")
    lifted = gw.open(zeros, limits=_said(asked))
    assert not lifted.tensors["embedding"].array().any()
    program = "import sys, gatewise; print(gatewise.open(sys.argv[1]).tensors['embedding'].array().sum())"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(zeros)], capture_output=True, text=True, check=False,
        env={**os.environ, "GATEWISE_LIMITS": asked},
    )  # fmt: skip
    assert ran.stdout.strip() == "0.0", ran.stderr


@pytest.mark.parametrize("what", ["members", "tensors", "nesting", "objects", "rank", "header_bytes", "plain_bytes"])
def test_every_limit_is_lifted_by_its_name(what: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        gw.Limits(**{what: 5}).check(what, 6)
    assert _said(str(refused.value.next).rpartition("GATEWISE_LIMITS=")[2].rstrip(".")).check(what, 6) == 6


@pytest.mark.parametrize(
    "text", ["ratio", "ratio=", "ratio=-1", "ratio=1e9", "evil=1", "=", "rank=1,what=2", "check=1"]
)
def test_what_is_no_limit_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(UsageError, match="GATEWISE_LIMITS says"):
        _said(text)


def test_nothing_said_changes_nothing() -> None:
    assert _said("") == gw.Limits()


def test_the_command_line_refuses_what_is_no_limit_in_one_sentence() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gatewise", "inspect", "x.pt"], capture_output=True, text=True, check=False,
        env={**os.environ, "GATEWISE_LIMITS": "evil=1"},
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("gatewise: GATEWISE_LIMITS says 'evil=1'"), ran.stderr
    assert "Traceback" not in ran.stderr
