"""Gates of one tensor that are asked for together share its array; the file is looked after all the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from filemakers import torch_arrays, torch_zip

import gatewise as gw
from gatewise.containers._zip import ZipFile
from gatewise.errors import BrokenFile


def test_a_packed_tensor_is_unpacked_once_for_gates_that_are_held_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, **torch_arrays("lstm", 30, 40))
    kernel = gw.open(path).only()[0, "forward"].kernel
    unpacked: list[str] = []
    inflate = ZipFile._inflate

    def counted(self: ZipFile, member: object, raw: memoryview) -> memoryview:
        unpacked.append(member.name)  # type: ignore[attr-defined]
        return inflate(self, member, raw)  # type: ignore[arg-type]

    monkeypatch.setattr(ZipFile, "_inflate", counted)
    held = dict(kernel)
    assert unpacked == ["weight_ih_l0.npy"]
    assert len(held) == 4
    del held
    assert kernel["f"].shape == (40, 30)
    assert len(unpacked) == 2  # nothing was kept for it


@pytest.mark.skipif(os.name != "posix", reason="elsewhere no mapped file can be cut")
def test_a_file_that_is_cut_while_a_gate_is_held_is_told_at_the_next(tmp_path: Path) -> None:
    path = torch_zip(tmp_path / "model.pt", torch_arrays("lstm", 30, 40))
    kernel = gw.open(path).only()[0, "forward"].kernel
    held = kernel["i"]
    os.truncate(path, 100)
    with pytest.raises(BrokenFile, match="has been cut to 100 bytes since it was opened"):
        kernel["f"]
    assert held.shape == (40, 30)
