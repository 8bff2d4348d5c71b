"""Every number of a large matrix is compared, wherever it stands and however both sides lie: one changed bit is found.

Small arrays are compared at once, large ones in stretches and, where the rows of one are the columns of the other, in tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import safetensors, torch_arrays

import gatewise as gw
from gatewise.checkpoint import _convert
from gatewise.errors import ProofFailed
from gatewise.proof._numbers import _SMALL, _TALL, _WIDE, _count, same_bits

Array = np.ndarray[Any, Any]
SHAPES = [
    (_SMALL + 1,),
    (_SMALL + 1, 1),
    (1, _SMALL + 1),
    (_TALL * 2 + 1, _WIDE + 1),
    (_WIDE + 3, _TALL + 1),
    (33, 10, 101),
]
LYING: dict[str, Callable[[Array], Array]] = {
    "row by row": np.ascontiguousarray,
    "column by column": np.asfortranarray,
    "a part of more": lambda array: np.pad(array, 2)[(slice(2, -2),) * array.ndim],
}


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Corners, and the numbers on both sides of each tile's edge."""
    edges = [
        sorted({0, size // 2, *(at for at in (_TALL - 1, _TALL, _WIDE - 1, _WIDE, size - 1) if at < size)})
        for size in shape
    ]
    return [tuple(axis[(number * (1 + step)) % len(axis)] for step, axis in enumerate(edges)) for number in range(len(max(edges, key=len)))] + [
        tuple(size - 1 for size in shape)
    ]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_bit_anywhere_is_found_however_both_lie(shape: tuple[int, ...]) -> None:
    whole = np.random.default_rng(0).standard_normal(shape).astype("<f4")
    for mine in LYING.values():
        one = mine(whole)
        for theirs in LYING.values():
            assert same_bits(one, theirs(whole))
            for place in places(shape):
                changed = theirs(whole).copy(order="K")
                changed.view("<u4")[place] ^= 1
                assert not same_bits(one, changed), place
                assert not same_bits(changed, one), place
                assert _count(one, changed, finite=True) == whole.size - 1, place


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
def test_a_nan_a_sign_and_an_infinity_are_found_in_every_dtype(dtype: str) -> None:
    whole = np.ones((_TALL + 3, _WIDE + 5), dtype)
    whole[-1, -1] = 0.0
    for theirs in LYING.values():
        for value in (np.nan, np.inf, -0.0):
            other = theirs(whole).copy(order="K")
            other[-1, -1] = value
            assert not same_bits(whole, other), value
            assert same_bits(other, theirs(other)) == (value == 0), "what is no number equals nothing"
            assert same_bits(other, theirs(other), finite=False)


def test_one_bit_of_a_large_file_that_lies_the_other_way_round_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras's kernels are torch's, turned; no sample runs the unit."""
    units = 200
    safetensors(tmp_path / "a.safetensors", torch_arrays("lstm", units, units, prefix="rnn."))
    kernel = np.ascontiguousarray(gw.open(tmp_path / "a.safetensors").tensors["rnn.weight_hh_l0"].array().T)
    where = (0, 0), (127, 150), (128, 350), (199, 799)
    check, turns = _convert.check, iter(where)

    def spoiled(written: Path, *more: Any) -> Any:
        raw = bytearray(Path(written).read_bytes())
        raw[raw.index(kernel.tobytes()) + 4 * np.ravel_multi_index(next(turns), kernel.shape)] ^= 1
        Path(written).write_bytes(raw)
        return check(written, *more)

    monkeypatch.setattr(_convert, "check", spoiled)
    for _ in where:
        with pytest.raises(ProofFailed, match="numbers are not those written"):
            gw.convert(tmp_path / "a.safetensors", tmp_path / "b.weights.h5", verify="sample")
