"""The documentation is true: every example of every page runs, and every output and table is what it is today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import docs

PAGES = {str(page.relative_to(docs.ROOT)): page for page in docs.pages()}
FRAMEWORK_PAGES = {
    name: page for name, page in PAGES.items() if docs.needs_frameworks(page.read_text(encoding="utf-8"))
}


def _ids(pages: dict[str, Path]) -> list[str]:
    return [f"{name} says what is so" for name in pages]


@pytest.mark.parametrize(
    "page",  # the matrix takes as long as all pairs take
    [pytest.param(page, marks=[pytest.mark.slow] * (page.name == "matrix.md")) for page in PAGES.values()],
    ids=_ids(PAGES),
)
def test_a_page_without_frameworks(page: Path) -> None:
    assert docs.renewed(page, frameworks=False) == page.read_text(encoding="utf-8"), "`make docs` renews it"


def _needs(page: Path) -> list[str]:
    """What a page imports beside torch and Keras."""
    text = page.read_text(encoding="utf-8")
    return [
        name
        for name in ("flax", "haiku", "equinox", "optax", "mlx")
        if re.search(rf"^import {name}", text, re.MULTILINE)
    ]


@pytest.mark.framework("torch", "keras")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.framework(*_needs(page))) for page in FRAMEWORK_PAGES.values()],
    ids=_ids(FRAMEWORK_PAGES),
)
def test_a_page_with_frameworks(page: Path) -> None:
    assert docs.renewed(page, frameworks=True) == page.read_text(encoding="utf-8"), "`make docs` renews it"


def test_an_output_that_is_not_so_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ gatewise --version\ngatewise 0.0.0\n$ ls\nkept\n```\n")
    version = __import__("gatewise").__version__
    assert (
        docs.renewed(page, frameworks=False)
        == f"```console\n$ gatewise --version\ngatewise {version}\n$ ls\nkept\n```\n"
    )


def test_an_example_that_fails_names_its_page_and_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        docs.renewed(page, frameworks=False)
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == (page, 8)


def test_a_generated_table_is_renewed_and_then_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(docs.TABLES, "numbers", lambda: "| one |\n")
    page = tmp_path / "page.md"
    page.write_text("<!-- generated: numbers -->\nold\n<!-- end -->\n")
    page.write_text(docs.renewed(page, frameworks=False))
    assert page.read_text() == "<!-- generated: numbers -->\n\n| one |\n\n<!-- end -->\n"
    assert docs.renewed(page, frameworks=False) == page.read_text()


def test_framework_blocks_are_left_alone_without_frameworks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python framework\nraise SystemError\n```\n")
    assert docs.renewed(page, frameworks=False) == page.read_text()
    with pytest.raises(SystemError):
        docs.renewed(page, frameworks=True)


def test_no_page_names_a_file_that_is_not_there() -> None:
    for page in PAGES.values():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
