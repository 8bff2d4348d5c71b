"""What the doctor's tests share: the whole-module fixtures, running them in torch, pickles made by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent.parent / "fixtures" / "torch"
MODULES = sorted(FIXTURES.glob("*/*.module*.pt"))
NN = sorted(FIXTURES.glob("*/nn/*.npz"))
OLD = [path for path in MODULES if path.parent.name in ("1.0.1", "1.3.1") and "cell" not in path.name]


def named(path):
    return "/".join(path.parts[path.parts.index("torch") + 1 :])


def recorded(path):
    """The arrays recorded beside a whole-module file."""
    return np.load(path.parent / f"{path.name.split('.module')[0]}.npz")


def load(path):
    """torch.load as a user of whole modules calls it, with the fixtures' own classes in reach."""
    import torch

    sys.path.insert(0, str(FIXTURES))
    try:
        return torch.load(path, weights_only=False)
    finally:
        sys.path.remove(str(FIXTURES))


def difference(module, arrays):
    """The largest difference between what a module computes and what was recorded: outputs and final states."""
    import torch

    def tensor(name):
        return torch.from_numpy(arrays[name])

    with torch.no_grad():
        if isinstance(module, torch.nn.LSTM):
            y, (h, c) = module(tensor("x"), (tensor("h0"), tensor("c0")))
            found = {"y": y, "hn": h, "cn": c}
        elif isinstance(module, torch.nn.RNNBase):
            y, h = module(tensor("x"), tensor("h0"))
            found = {"y": y, "hn": h}
        elif isinstance(module, torch.nn.LSTMCell):
            h, c = module(tensor("x"), (tensor("h0"), tensor("c0")))
            found = {"h1": h, "c1": c}
        elif isinstance(module, torch.nn.modules.rnn.RNNCellBase):
            found = {"h1": module(tensor("x"), tensor("h0"))}
        elif "tokens" in arrays.files:
            found = {"logits" if "logits" in arrays.files else "logits_quantized": module(tensor("tokens"))}
        else:
            found = {"y": module(tensor("x"))[0]}
    return max(float(np.abs(value.numpy() - arrays[name]).max()) for name, value in found.items())


def reality(path, arrays=None):
    """(stage, error) of what torch really does: ("", "") where the file loads and computes what was recorded."""
    try:
        module = load(path)
    except Exception as error:
        return "load", f"{type(error).__name__}: {error}"
    try:
        apart = difference(module, recorded(path) if arrays is None else arrays)
    except Exception as error:
        return "call", f"{type(error).__name__}: {error}"
    return ("", "") if apart < 1e-6 else ("numbers", "")
