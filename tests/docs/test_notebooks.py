"""The notebooks are true: their cells run in order, without Jupyter, and print what stands under them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import notebooks

BOOKS = notebooks.notebooks()


@pytest.mark.framework("torch", "keras")
@pytest.mark.parametrize("path", BOOKS, ids=[f"{path.name} prints what stands in it" for path in BOOKS])
def test_a_notebook(path: Path) -> None:
    assert notebooks.renewed(path) == path.read_text(encoding="utf-8"), "tools/notebooks.py renews it"


@pytest.mark.parametrize("path", BOOKS, ids=[f"{path.name} is a notebook" for path in BOOKS])
def test_a_notebook_is_one(path: Path) -> None:
    """What the format (nbformat 4.5) asks of every cell, and that it is small."""
    text = path.read_text(encoding="utf-8")
    book = json.loads(text)
    assert text == notebooks.as_text(book)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in book["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    for cell in book["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            wanted |= {"execution_count", "outputs"}
            assert all(set(each) == {"name", "output_type", "text"} for each in cell["outputs"])
        assert set(cell) == wanted
    assert len(text) < 40_000


def test_the_notebook_of_names_shows_the_same_names_and_the_right_counts() -> None:
    book = json.loads((notebooks.ROOT / "docs/notebooks/names.ipynb").read_text(encoding="utf-8"))
    told = "".join(line for cell in book["cells"] for each in cell.get("outputs", ()) for line in each["text"])
    for layout, numbers in (("keras.LSTM", 4 * 16 * (8 + 16 + 1)), ("mine.LSTM", 4 * 16 * (8 + 16 + 1)), ("torch.LSTM", 2 * 4 * 16 * (8 + 16 + 2 + 32 + 16 + 2))):  # fmt: skip
        shown = [part for part in told.split(" numbers in all\n") if layout in part]
        assert len(shown) == (2 if layout == "torch.LSTM" else 1)
        for each in shown:
            assert each.endswith(f" {numbers}")
            for role in ("kernel", "recurrent_kernel", "bias"):
                gates = re.search(rf"0 forward  {role} +(\w) (\w) (\w) (\w) ", each)
                assert gates is not None
                assert sorted(gates.groups()) == ["f", "g", "i", "o"]


def test_an_output_that_is_not_so_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "book.ipynb"
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# One"]},
        {"cell_type": "code", "execution_count": 1, "id": "b", "metadata": {}, "outputs": [], "source": ["x = 1\n", "print(x)"]},
        {"cell_type": "code", "execution_count": 2, "id": "c", "metadata": {}, "outputs": [], "source": ["print(x + 1)"]},
    ]  # fmt: skip
    path.write_text(notebooks.as_text({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    new = notebooks.renewed(path)
    assert new != path.read_text()
    assert [cell["outputs"][0]["text"] for cell in json.loads(new)["cells"][1:]] == [["1\n"], ["2\n"]]
    path.write_text(new)
    assert notebooks.renewed(path) == new


def test_a_cell_that_fails_names_its_notebook(tmp_path: Path) -> None:
    path = tmp_path / "book.ipynb"
    cell = {"cell_type": "code", "execution_count": 1, "id": "b", "metadata": {}, "outputs": [], "source": ["assert False"]}  # fmt: skip
    path.write_text(notebooks.as_text({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(AssertionError) as caught:
        notebooks.renewed(path)
    assert str(caught.traceback[-1].path) == "book.ipynb, cell 1" or "book.ipynb" in str(caught.traceback[-1])
