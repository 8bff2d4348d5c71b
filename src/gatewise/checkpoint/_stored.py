"""Reading a written file back: is everything in it, and is it what was written?

What its layers compute is proved elsewhere; that lets a bit pass which changes less than the tolerance.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..containers import open_tensors
from ..containers._supply import same_bytes
from ..errors import ContainerError, ProofFailed
from ..tensors import StoredTensor, Tensors


def check(written: Path, content: Tensors, carried: list[StoredTensor]) -> Tensors:
    """The tensors of a written file.  It must hold all of the ``content``, whatever it calls it, and the tensors that are
    ``carried`` along byte for byte; else ProofFailed."""
    try:
        stored = open_tensors(written)
        _all_there(written, stored, content)
        _same_carried(written, stored, carried)
        return stored
    except ContainerError as error:
        raise damaged(written, f"it cannot be read: {error.message}") from error


def _all_there(written: Path, stored: Tensors, content: Tensors) -> None:
    missing = Counter(tensor.shape for tensor in content.values())
    missing.subtract(tensor.shape for tensor in stored.values())
    shape = next((shape for shape, count in missing.items() if count > 0), None)
    if shape is not None:
        raise damaged(written, f"a tensor of the shape {shape} is not in it")


def _same_carried(written: Path, stored: Tensors, carried: list[StoredTensor]) -> None:
    for tensor in carried:
        found = stored.get(tensor.name)
        if found is None or (found.dtype, found.shape) != (tensor.dtype, tensor.shape):
            raise damaged(written, f"tensor {tensor.name!r} is not in it")
        if not same_bytes(tensor.pieces(), found.pieces()):
            raise damaged(written, f"tensor {tensor.name!r} has other elements")


def damaged(written: Path, how: str) -> ProofFailed:
    return ProofFailed(
        f"what was written does not come back as it was: {how.rstrip('.')}.", path=written,
        next="Nothing was kept. Look after the disk and the memory; where they are well, this is a defect of gatewise.",
    )  # fmt: skip
