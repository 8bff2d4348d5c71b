"""Figures of gates: against numpy's and torch's own, and how long a cell remembers."""

from __future__ import annotations

import numpy as np
import pytest
from makers import Case, cases

import gatewise as gw
from gatewise.cell import kept
from gatewise.errors import UsageError
from gatewise.proof import random_input

every = pytest.mark.parametrize("case", cases())


@every
def test_there_is_a_row_for_every_gate_and_it_is_of_its_numbers(case: Case) -> None:
    _, layers = case.make()
    for live in layers:
        rows = gw.statistics(live, random_input(live)[0])
        assert sum(row.elements for row in rows) == live.parameters
        for row in rows:
            array = np.asarray(live[row.layer, row.direction].roles[row.role][row.gate], np.float64)
            np.testing.assert_allclose((row.mean, row.std, row.largest, row.frobenius), (array.mean(), array.std(), array.max(), (array**2).sum() ** 0.5))  # fmt: skip
            if array.ndim == 2:
                np.testing.assert_allclose(row.spectral_norm, np.linalg.svd(array)[1][0])
                assert (row.spectral_radius is not None) == (row.role == "recurrent_kernel" and array.shape[0] == array.shape[1])  # fmt: skip
        told = [row for row in rows if row.memory is not None]
        assert len(told) == (len(live.cells) if live.cell != "rnn" else 0)
        assert all(row.memory_measured is not None and row.memory_measured > 1 for row in told)


@every
def test_what_is_kept_bounds_how_the_state_moves(case: Case) -> None:
    """What an LSTM adds to f·c is at most 1, and what a GRU adds to its share of h at most the rest."""
    for live in case.make()[1]:
        x, state = random_input(live)
        found = kept(live, x, state)
        if live.cell not in ("lstm", "gru") or live.dialect.activation != "tanh":
            assert live.cell != "rnn" or not found
            continue
        old = state[-1][0]  # of the first layer, forward
        for time in range(x.shape[1]):
            new, keeps = gw.run(live, x[:, : time + 1], state)[1][-1][0], found[0, "forward"][:, time]
            assert (np.abs(new - keeps * old) <= (1.0 if live.cell == "lstm" else 1.0 - keeps) + 1e-12).all()
            old = new


@pytest.mark.framework("torch")
def test_a_forget_bias_of_one_remembers_three_point_seven_steps() -> None:
    import torch

    module = gw.set_forget_bias(torch.nn.LSTM(3, 5, 2), 1.0)
    told = [row.memory for row in gw.statistics(module) if row.memory]
    np.testing.assert_allclose(told, [1 / (1 - 1 / (1 + np.exp(-1)))] * 2, rtol=1e-6)


@pytest.mark.framework("torch")
def test_what_is_measured_is_the_mean_of_torchs_own_forget_gate() -> None:
    import torch

    torch.manual_seed(1)
    cell, x = torch.nn.LSTMCell(3, 5).double(), torch.randn(4, 9, 3).double()
    h = c = torch.zeros(4, 5).double()
    opened = []
    for step in x.unbind(1):
        pre = step @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
        opened.append(pre[:, 5:10].sigmoid())
        h, c = cell(step, (h, c))
    mean = torch.stack(opened).mean((0, 1))
    (row,) = [row for row in gw.statistics(cell, x) if row.memory_measured]
    np.testing.assert_allclose(row.memory_measured, float((1 / (1 - mean)).mean().detach()), rtol=1e-9)


@pytest.mark.framework("torch")
def test_rows_are_plain_and_a_wrong_input_is_told() -> None:
    import json

    import torch

    module = torch.nn.GRU(3, 5)
    assert json.loads(json.dumps([row.as_dict() for row in gw.statistics(module)]))[0]["role"] == "kernel"
    with pytest.raises(UsageError, match=r"x has shape \[2, 7, 4\], and no layer takes that\. .*gru 3"):
        gw.statistics(module, np.zeros((2, 7, 4)))
