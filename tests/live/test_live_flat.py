"""Laws of the flat map for the layers of every framework in memory (tests/live/makers): its own order is the order in which
the framework itself lists the weights, and a vector that is loaded is what is there, in any order that can say it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makers import Case, cases, result_of

import gatewise as gw
from gatewise.errors import NotRepresentable
from gatewise.live import of_several
from gatewise.proof import prove, tolerance_of

every = pytest.mark.parametrize("case", cases())


def distinct(flat: gw.Flat, start: int = 0) -> np.ndarray:
    """Numbers between one and three that are all different, in the map's dtype where it can tell so many apart."""
    steps = {"float16": 2**10, "bfloat16": 2**7}.get(flat.dtype, 2**22)
    vector = flat.pack()
    vector[...] = 1 + (start + np.arange(flat.size)) % steps / steps
    return vector


@every
def test_the_own_order_is_the_frameworks(case: Case) -> None:
    subject, layers = case.make()
    for number, live in enumerate(layers):
        flat = gw.flat(live)
        assert flat.size == live.parameters == sum(row.size for row in flat.rows)
        assert sorted(flat.where()) == list(range(flat.size))
        vector = distinct(flat, start=number * 10**5)
        flat.load(vector)
        numbers = case.elements(result_of(subject, layers))
        theirs = numbers[np.isin(numbers, vector.astype(np.float64))]
        if len(theirs) == flat.size and len(set(theirs)) == flat.size:  # else some are computed from others
            np.testing.assert_array_equal(theirs, vector.astype(np.float64))
        np.testing.assert_array_equal(gw.flat(live).pack().astype(np.float64), vector.astype(np.float64))


@every
@pytest.mark.parametrize("order", ["torch", "cudnn", "keras", "jax", "onnx"])
def test_a_vector_in_any_order_is_loaded(case: Case, order: str) -> None:
    subject, layers = case.make()
    said = 0
    for live in layers:
        try:
            flat = gw.flat(live, order)
        except NotRepresentable:
            continue
        vector: Any = flat.pack() * flat.pack().dtype.type(0.5)
        flat.load(vector)
        stack, said = flat.unpack(vector).stack, said + 1
        allowed = tolerance_of(flat.dtype, live._width) * 4
        assert prove(stack, live, tolerance=allowed).same, order
    if said and layers[0].holder.functional:
        again = of_several(result_of(subject, layers), **case.maker.said)
        assert [each.name for each in again] == [each.name for each in layers]
