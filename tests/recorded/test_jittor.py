"""Jittor's files: what Jittor 1.3.11 computed."""

from __future__ import annotations

import pytest
from recorded_help import claimed, error, named, record_of, recorded

import gatewise as gw

FILES = recorded("jittor", ".pkl")


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Jittor recorded" for path in FILES])
def test_a_file(path):
    checkpoint = gw.open(path)
    layer, record = checkpoint.only(), record_of(path)
    assert layer.layout == f"jittor.{path.stem}"
    assert (layer.spec.num_layers, layer.spec.directions) == (2, 2)
    assert {name: tensor.array().tolist() for name, tensor in checkpoint.tensors.items()} == {
        name.removeprefix("w:"): array.tolist() for name, array in record.items() if name.startswith("w:")
    }
    assert error(layer, record, time_major=True) <= claimed(layer)


def test_both_cases_are_there():
    assert {path.stem for path in FILES} == {"LSTM", "RNN"}
