"""The laws of the flat map, over every layout in every form with every choice of optional parts: it names each element
exactly once, packing and unpacking are inverses, and indices, masks, rows and views agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layers import contents, same_bits, same_contents

import gatewise as gw
from gatewise.checkpoint import Layer
from gatewise.conventions import express
from gatewise.layouts import Layout, layouts
from gatewise.layouts._code import encoded, match_of
from gatewise.pairs import Specimen, choices
from gatewise.tensors import Tensors

KNOWN = [layout for layout in layouts() if not layout.outside]


QUICK = {
    "torch.LSTM", "torch.GRU", "torch.RNN", "keras.LSTM", "keras.GRU", "keras.CuDNNGRU", "tf1.BasicLSTMCell", "tf1.CudnnLSTM",
    "tf1.CoupledInputForgetGateLSTMCell", "mxnet.fused_lstm", "mxnet.unpacked_gru", "flax.LSTMCell", "flax.GRUCell",
}  # fmt: skip


def each_layout(words: str) -> pytest.MarkDecorator:
    """A test for each layout.  The quick part has the best known, and one of each way to lie in a buffer."""
    marked = [pytest.param(layout, marks=[pytest.mark.slow] * (layout.name not in QUICK)) for layout in KNOWN]
    return pytest.mark.parametrize("layout", marked, ids=[f"{layout.name} {words}" for layout in KNOWN])


def specimens(
    layout: Layout, unit: int = 4, feature: int = 3, proj: int = 2, dtype: str = "float32"
) -> Iterator[Specimen]:
    """One for each form and choice of parts, as deep and wide as the layout can be."""
    for form, extras in choices(layout):
        yield Specimen(
            layout, form, extras, feature, unit, proj, dtype=dtype,
            layers=2 if layout.is_stack else 1, directions=max(layout.ways),
        )  # fmt: skip


def stored(specimen: Specimen) -> Layer:
    """The specimen as a layer whose tensors are stored in its own layout, as a file's are."""
    stack, layout = specimen.stack(), specimen.layout
    said = express(stack, layout)
    tensors = encoded(said.stack, layout, said.form)
    return Layer(match_of(said.stack, layout, said.form, tensors), Tensors(tensors.values()))


def both(layout: Layout, **sizes: Any) -> Iterator[gw.Flat]:
    """Flat maps of stored tensors, and of stacks that are put into the layout."""
    for specimen in specimens(layout, **sizes):
        yield gw.flat(stored(specimen))
        yield gw.flat(specimen.stack(), layout)


@each_layout("names each element once")
def test_tensors_and_rows_cover_each_element_exactly_once(layout: Layout) -> None:
    for flat in both(layout):
        assert [tensor.offset for tensor in flat.tensors] == list(
            np.cumsum([0, *(tensor.size for tensor in flat.tensors)])[:-1]
        )
        assert len(set(flat.names)) == len(flat.names)
        assert sum(row.size for row in flat.rows) == flat.size == flat.stack.parameters
        assert sorted(flat.where()) == list(range(flat.size))
        assert flat.mask().all()


@each_layout("is unpacked as it was packed")
def test_packing_and_unpacking_are_inverses(layout: Layout) -> None:
    for flat in both(layout):
        vector = flat.pack()
        unpacked = flat.unpack(vector)
        assert tuple(unpacked) == flat.names
        assert same_contents(unpacked.stack, flat.stack)
        again = np.concatenate([array.reshape(-1) for array in unpacked.values()])
        assert same_bits(again, vector)
        assert same_bits(flat.vector, vector)


@each_layout("gives views")
def test_what_is_unpacked_shares_memory_with_the_vector(layout: Layout) -> None:
    for flat in both(layout):
        vector = flat.pack()
        unpacked = flat.unpack(vector)
        assert all(np.shares_memory(array, vector) for array in unpacked.values())
        relabelled = {(row.layer, row.direction, row.role, row.gate) for row in flat.rows if row.relabel}
        for gate, array in contents(unpacked.stack).items():
            assert np.shares_memory(array, vector) or gate in relabelled


@each_layout("is indexed by gate")
def test_indices_masks_rows_and_names_tell_the_same(layout: Layout) -> None:
    for flat in both(layout):
        vector = flat.pack()
        for row in flat.rows:
            said: dict[str, Any] = {"role": row.role, "layer": row.layer, "direction": row.direction}
            said |= {"gate": row.gate} if row.gate else {}
            named = flat.stack[row.layer, row.direction].roles[row.role][row.gate]
            where = flat.where(**said)
            assert same_bits(vector[where].reshape(row.shape), np.ascontiguousarray(named))
            assert sorted(where) == list(np.flatnonzero(flat.mask(**said)))
            if row.contiguous:
                assert same_bits(
                    vector[row.offset : row.offset + row.size].reshape(row.shape), np.ascontiguousarray(named)
                )
                assert flat.slices(**said) == (slice(row.offset, row.offset + row.size),)


@each_layout("is packed into a buffer")
def test_a_ready_buffer_is_filled_and_given_back(layout: Layout) -> None:
    for flat in both(layout, dtype="float64"):
        out = np.full(flat.size, np.nan)
        assert flat.pack(out) is out
        assert same_bits(out, flat.pack())


@pytest.mark.slow
@each_layout("at any size")
@given(unit=st.integers(1, 6), feature=st.integers(1, 7), data=st.data())
@settings(max_examples=3, deadline=None)
def test_the_map_goes_round_at_any_size(layout: Layout, unit: int, feature: int, data: st.DataObject) -> None:
    proj = data.draw(st.integers(1, unit))
    for flat in both(layout, unit=unit, feature=feature, proj=proj):
        assert same_contents(flat.unpack(flat.pack()).stack, flat.stack)
        assert sorted(flat.where()) == list(range(flat.size))
