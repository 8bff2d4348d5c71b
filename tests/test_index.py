"""The indexes tell what to import for a file.  They must be what the tables say, and leave nothing out that matters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from random_layers import Case, Sizes, every_case

from gatewise.containers import _asked, containers
from gatewise.cursor import DEFAULT_LIMITS
from gatewise.layouts import layouts, layouts_for
from gatewise.source import Source
from gatewise.tensors import StoredTensor, Tensors

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for path in (ROOT / "tests" / "fixtures").rglob("*") if path.is_file() and path.suffix != ".py")


def test_both_indexes_are_what_the_tables_say() -> None:
    ran = subprocess.run([sys.executable, ROOT / "tools" / "indexes.py", "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


UNASKED = [case for case in every_case(namings=True) if case.layout.unasked != "never"]


def offered(case: Case, own: bool) -> Tensors:
    """Its tensors, in a file of its framework's own, where that matters, or in one that does not tell whose it is."""
    size, told = Sizes(5, 4, 3), own and case.layout.unasked == "own files"
    return case.offer(case.arrays(size, prefix="a/b."), size, "a/b.", told)


def test_a_layout_is_imported_for_every_file_that_may_hold_it() -> None:
    missed = [str(case) for case in UNASKED if case.layout not in layouts_for(offered(case, True))]
    assert missed == []


def test_a_layout_of_its_own_files_alone_is_imported_for_no_other() -> None:
    own = [case for case in UNASKED if case.layout.framework in ("jittor", "mindspore", "tinygrad")]
    assert len(own) > 10
    assert [str(case) for case in own if case.layout in layouts_for(offered(case, False))] == []


def test_a_file_of_other_things_imports_no_table() -> None:
    names = ("fc.weight", "conv1.bias", "transformer.h.0.attn.c_attn.weight", "embedding", "bn.running_mean")
    tensors = Tensors([StoredTensor(name, "float32", (2, 2), lambda: None) for name in names])
    assert len(layouts_for(tensors)) < len(layouts()) / 2


@pytest.mark.parametrize("step", range(8), ids=[f"eighth {number}" for number in range(1, 9)])
def test_the_format_that_a_fixture_is_told_to_be_is_the_one_that_asking_all_of_them_gives(step: int) -> None:
    for path in FILES[step::8]:
        source = Source(path, DEFAULT_LIMITS)
        asked = next((known.name for known in _asked(source) if known.claims(source)), None)
        assert asked == next((known.name for known in containers() if known.claims(source)), None), path
