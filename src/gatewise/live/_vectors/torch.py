"""torch's tensors as vectors.  Gradients go through what is cut from them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def owns(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def given(array: Any, like: Any) -> Any:
    torch = importlib.import_module("torch")
    found = torch.from_numpy(array)
    return found if like is None else found.to(like.device)


def contiguous(value: Any) -> bool:
    return bool(value.is_contiguous())


@contextmanager
def filling(out: Any) -> Iterator[Any]:
    """The tensor's own memory; where numpy cannot look at that (a GPU's), a copy that is put there at the end."""
    from .._torch_weight import as_numpy, as_tensor, changed, in_reach

    torch = importlib.import_module("torch")
    array = as_numpy(out)
    yield array
    if in_reach(out):
        changed(out)  # else autograd would not know
    else:
        with torch.no_grad():
            out.copy_(as_tensor(array, out))
