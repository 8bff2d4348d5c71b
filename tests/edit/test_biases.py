"""Two biases merged and split: the same function, and zeros where they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from makers import Case, cases, result_of

import gatewise as gw
from gatewise.edit.biases import two_sums
from gatewise.errors import UsageError
from gatewise.live import of_several
from gatewise.proof import random_input

every = pytest.mark.parametrize("case", cases())
DEEDS = {"merged": lambda given: gw.merge_biases(given), "merged into the other": lambda given: gw.merge_biases(given, into="recurrent_bias"), "split": lambda given: gw.split_biases(given, 0.25)}  # fmt: skip


@every
@pytest.mark.parametrize("deed", DEEDS)
def test_the_function_stays_and_the_biases_are_where_they_are_said_to_be(case: Case, deed: str) -> None:
    subject, layers = case.make()
    before, given = case.elements(subject), gw.of(subject, **case.maker.said)
    double = [live for live in layers if live.spec.bias == "double"]
    if not double or all(set(two_sums(live)) >= set(live[0, "forward"].recurrent_bias) for live in double):
        with pytest.raises(UsageError, match=r"not two\.|are not added up"):
            DEEDS[deed](given)
        np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)
        return
    runs = [gw.run(live, random_input(live)[0])[0] for live in layers]
    coarse = layers[0].spec.dtype in ("float16", "bfloat16")
    for live, y in zip(of_several(DEEDS[deed](given), **case.maker.said), runs, strict=True):
        np.testing.assert_allclose(gw.run(live, random_input(live)[0])[0], y, atol=0.02 if coarse else 3e-7)
        assert live.prove().same
        for _, cell in live:
            for gate in set(cell.bias) & set(cell.recurrent_bias) - set(two_sums(live)):
                one, other = (np.asarray(each, np.float64) for each in (cell.bias[gate], cell.recurrent_bias[gate]))
                if deed == "split":
                    np.testing.assert_allclose(one, 0.25 * (one + other), rtol=0.02 if coarse else 1e-5)
                else:
                    assert not (other if deed == "merged" else one).any()
            for gate in set(two_sums(live)) & set(cell.recurrent_bias):
                assert cell.bias[gate].all()
                assert cell.recurrent_bias[gate].all()


@pytest.mark.framework("torch")
def test_only_the_gates_that_are_named() -> None:
    import torch

    module = torch.nn.GRU(3, 5, 2)
    kept = module.bias_hh_l1.clone()
    assert gw.merge_biases(module, gate="z", layer=1) is module
    assert not module.bias_hh_l1[5:10].any()
    assert bool((module.bias_hh_l1[:5] == kept[:5]).all())
    assert bool(module.bias_hh_l0.all())


@pytest.mark.framework("torch")
def test_what_cannot_be_merged_is_told() -> None:
    import torch

    with pytest.raises(UsageError, match=r"the two n biases of the GRU are not added up: r multiplies the second"):
        gw.merge_biases(torch.nn.GRU(3, 5), gate="n")
    with pytest.raises(UsageError, match="the LSTM has no bias, not two"):
        gw.split_biases(torch.nn.LSTM(3, 5, bias=False))
    with pytest.raises(UsageError, match="no bias called 'b'"):
        gw.merge_biases(torch.nn.LSTM(3, 5), into="b")
