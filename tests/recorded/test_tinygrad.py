"""tinygrad's LSTMCell: what tinygrad computed, read as torch's, whose it is in all but its name."""

from __future__ import annotations

import pytest
from model_help import FIXTURES, files, largest_error, record_of
from recorded_help import claimed, error, named

import gatewise as gw

FILES = files("tinygrad", ".safetensors")


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what tinygrad recorded" for path in FILES])
def test_a_file(path):
    found, claimed = largest_error(path)
    assert found <= claimed


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} may be said to be tinygrad's" for path in FILES])
def test_the_same_by_its_own_table(path):
    layer = gw.open(path, layout="tinygrad.LSTMCell").only()
    assert layer.layout == "tinygrad.LSTMCell"
    assert error(layer, record_of(path)) <= claimed(layer)


def test_a_file_that_does_not_tell_is_read_as_torch_s():
    layer = gw.open(FIXTURES / "tinygrad" / "0.14.0" / "LSTMCell.safetensors").only()
    assert (layer.layout, layer.sure) == ("torch.LSTMCell", True)
