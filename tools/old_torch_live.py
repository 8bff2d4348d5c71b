"""Run by tools/old_torch.py in an environment with an old torch and Python 3.10 or later.  Prints one line of JSON.

Proves layers in memory on that torch: of every kind of recurrent module, plain and in each wrapper that this torch has, what
gatewise reads is what runs, what it writes is what runs afterwards, and the doctor finds nothing stale.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import torch
from torch.nn.utils import prune

import gatewise as gw

TOLERANCE = 1e-6
X = numpy.random.default_rng(3).standard_normal((2, 5, 3))
Case = tuple[str, Callable[[], Any], bool]  # what it is, what makes it, whether it can be written


def fresh(kind: str = "LSTM", **said: Any) -> Any:
    torch.manual_seed(11)
    return getattr(torch.nn, kind)(3, 4, **said)


def cases() -> Iterator[Case]:
    for kind in ("LSTM", "GRU", "RNN"):
        for layers in (1, 2):
            for both in (False, True):
                for bias in (False, True):
                    said = {"num_layers": layers, "bidirectional": both, "bias": bias}
                    yield f"{kind} {said}", lambda kind=kind, said=said: fresh(kind, **said), True
    for kind in ("LSTMCell", "GRUCell", "RNNCell"):
        yield kind, lambda kind=kind: fresh(kind), True
    if "proj_size" in vars(fresh()):
        yield "projected LSTM", lambda: fresh(proj_size=2), True
    yield from wrapped()


def wrapped() -> Iterator[Case]:
    utils = torch.nn.utils
    yield "old weight_norm", lambda: utils.weight_norm(fresh(), "weight_hh_l0"), True
    yield "old spectral_norm", lambda: utils.spectral_norm(fresh(), "weight_hh_l0"), False
    yield "pruned", lambda: prune.l1_unstructured(fresh(), "weight_hh_l0", 0.3), True
    yield "DataParallel", lambda: torch.nn.DataParallel(fresh()), True
    yield "a model", lambda: torch.nn.Sequential(fresh()), True
    known = getattr(utils, "parametrizations", None)
    for name, can in (("weight_norm", True), ("spectral_norm", False), ("orthogonal", False)):
        if known is not None and hasattr(known, name):
            yield f"{name}, a parametrization", lambda name=name: getattr(known, name)(fresh(), "weight_hh_l0"), can


def trouble(make: Callable[[], Any], writable: bool) -> str:
    """Why a case does not do as it should; "" when it does."""
    module = make()
    live = gw.of(module)
    follows(module)
    if not live.prove().same:
        return "what is read is not what runs"
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = numpy.random.default_rng(5)
    try:
        for _, weights in live:
            for gates in weights.roles.values():
                for gate in gates:
                    now = gates[gate]
                    gates[gate] = numpy.where(now == 0, 0, random.uniform(-0.6, 0.6, now.shape))
    except gw.GatewiseError as error:
        return "" if not writable and unchanged_but_for(module, before) else f"refused: {error}"
    if not writable:
        return "was not refused"
    error = live.prove().max_abs_error
    stale = [finding.code for finding in gw.diagnose(module) if finding.code in ("GW404", "GW417")]
    if told := lies(live):
        return told
    return f"differs by {error}" if not error < TOLERANCE else f"stale: {stale}" if stale else ""


def lies(live: Any) -> str:
    """Is a backward pass over numbers that were written since an error, where it uses them?"""
    parameter = next(iter(live.holder.weights.values())).parameters()[0]
    if not parameter.requires_grad or parameter.ndim != 2 or "weight_ih" not in "".join(live.holder.weights):
        return ""
    product = (parameter * parameter).sum()
    gates = live[0, "forward"].kernel
    gate = next(iter(gates))
    gates[gate] = 0.5 * gates[gate]
    try:
        product.backward()
    except RuntimeError as error:
        return "" if "modified by an inplace operation" in str(error) else str(error)
    return "a backward pass over numbers that were written since was no error"


def moves() -> str:
    """Why a gate that gw.freeze holds does not stay, alone, through training and copies; "" when it does."""
    module, plain = fresh(num_layers=2), fresh(num_layers=2)
    x, parameter, names = torch.randn(5, 2, 3), module.weight_hh_l0, list(module.state_dict())
    gw.freeze(module, role="recurrent_kernel", gate="f")
    if not torch.allclose(module(x)[0], plain(x)[0], atol=TOLERANCE):
        return "holding a gate changed the function"
    for _ in range(2):
        module = copy.deepcopy(module)
        parameter = module.parametrizations.weight_hh_l0.original
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3)
        for _ in range(2):
            optimizer.zero_grad()
            module(x)[0].sum().backward()
            optimizer.step()
        still = module.weight_hh_l0 == plain.weight_hh_l0
        if not bool(still[4:8].all()) or bool(still[:4].any()):
            return "training moved it, or not the others"
        if not gw.of(module).prove().same or gw.diagnose(module):
            return "what is read is not what runs"
    gw.unfreeze(module)
    if module.weight_hh_l0 is not parameter or list(module.state_dict()) != names or module._forward_pre_hooks:
        return "unfreezing did not give the plain parameter back"
    return "" if gw.of(module).prove().same and not gw.diagnose(module) else "unfrozen, it runs with other weights"


def follows(module: Any) -> None:
    """Before 2.0 a parametrization of an LSTM has no effect on it, of which the doctor tells; treated, it has."""
    if any(finding.code == "GW404" for finding in gw.diagnose(module)):
        gw.repair(module, in_place=True)


def unchanged_but_for(module: Any, before: dict[str, Any]) -> bool:
    """Was nothing changed of the matrix that is computed?"""
    now = module.state_dict()
    return all(bool((now[name] == value).all()) for name, value in before.items() if "weight_hh_l0" in name)


def main() -> None:
    failed, proved = [], 0
    tries = [(name, functools.partial(trouble, make, writable)) for name, make, writable in cases()]
    for name, tried in [*tries, ("a gate held by gw.freeze", moves)]:
        try:
            told = tried()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        proved += not told
        failed += [f"{name}: {told}"] if told else []
    version = torch.__version__.split("+")[0]
    report = {"torch": version, "python": platform.python_version(), "proved": proved, "failed": failed}
    print(os.linesep + json.dumps(report))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
