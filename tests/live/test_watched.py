"""A view of a weight in memory says when it is written, by whatever means of numpy's."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatewise.live._watched import watched

Change = Callable[[Any], Any]


def _of(function: Callable[..., Any], *words: Any, **named: Any) -> Change:
    return lambda view: function(view, *words, **named)


def _iadd(view: Any) -> None:
    view += 1


def _part(view: Any) -> None:
    view[1:][0] = 7


def _transposed(view: Any) -> None:
    view.T[...] = 5


def _item(view: Any) -> None:
    view[0, 0] = 3


WRITES: dict[str, Change] = {
    "assigning an element": _item,
    "assigning to a part of a part": _part,
    "assigning to its transpose": _transposed,
    "adding in place": _iadd,
    "a ufunc's out": lambda view: np.multiply(view, 2, out=view),
    "a ufunc's out of two": lambda view: np.divmod(view + 9, 2, out=(view, np.empty_like(view))),
    "ufunc.at": lambda view: np.add.at(view, (0, 0), 1),
    "fill": lambda view: view.fill(4),
    "put": lambda view: view.put(0, 9),
    "sort": lambda view: view[::-1].sort(0),
    "np.copyto": lambda view: np.copyto(view, 8),
    "np.put": lambda view: np.put(view, [0], 8),
    "np.place": lambda view: np.place(view, view < 9, 8),
    "np.putmask": lambda view: np.putmask(view, view < 9, 8),
    "np.fill_diagonal": lambda view: np.fill_diagonal(view, 8),
    "np.clip's out": lambda view: np.clip(view, 1, 2, out=view),
}
READS: dict[str, Change] = {
    "reading an element": lambda view: float(view[0, 0]),
    "computing with it": lambda view: (view * 2 + (view @ view.T).sum()).sum(),
    "comparing": lambda view: bool((view == view).all()),
    "np.concatenate": lambda view: np.concatenate([view, view]),
    "np.linalg.norm": lambda view: np.linalg.norm(view),
    "copying": lambda view: view.copy(),
    "copying deeply": copy.deepcopy,
    "pickling": pickle.dumps,
    "its repr": repr,
}


def made() -> tuple[Any, Any, list[int]]:
    memory, calls = np.arange(6.0).reshape(2, 3), []
    return memory, watched(memory, lambda: calls.append(1)), calls


@pytest.mark.parametrize("write", WRITES.values(), ids=[f"{name} is told" for name in WRITES])
def test_writing(write: Change) -> None:
    memory, view, calls = made()
    before = memory.copy()
    write(view)
    assert calls
    assert (memory != before).any()
    assert (memory == view).all()


@pytest.mark.parametrize("read", READS.values(), ids=[f"{name} is not" for name in READS])
def test_reading(read: Change) -> None:
    memory, view, calls = made()
    before = memory.copy()
    read(view)
    assert not calls
    assert (memory == before).all()


def test_what_is_computed_is_a_plain_array_and_a_copy_is_nobodys() -> None:
    memory, view, calls = made()
    assert type(view * 2) is np.ndarray
    assert type(view.sum(0)) is np.ndarray
    assert type(copy.deepcopy(view)) is np.ndarray
    assert type(pickle.loads(pickle.dumps(view))) is np.ndarray
    mine = view.copy()
    mine[...] = 0
    assert not calls
    assert memory.any()


@pytest.mark.framework("torch")
@pytest.mark.parametrize("write", [_iadd, _part, lambda view: view.fill(1.0), lambda view: np.copyto(view, 2.0)], ids=["adding in place", "a part", "fill", "np.copyto"])  # fmt: skip
def test_autograd_knows_of_a_change_through_a_view(write: Change) -> None:
    import torch

    import gatewise as gw

    layer = torch.nn.LSTM(3, 4)
    live = gw.of(layer)
    view = live[0, "forward"].kernel["f"]
    loss = (layer.weight_ih_l0**2).sum()
    write(view)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = (layer.weight_ih_l0**2).sum()
    loss.backward()
