"""Run by tools/old_torch.py in an environment with an old torch; Python 3.7 and later.  Prints one line of JSON.

Loads every whole-module file below the folder given that this torch or an older one wrote, under legacy_torch(), and compares
what it computes with what its own torch recorded beside it.  Left out: quantized modules, which gatewise does not read.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch

from gatewise.live._legacy_torch import legacy_torch

TOLERANCE = 1e-6
VERSION = torch.__version__.split("+")[0]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in version.split("."))


NOT_ONLY_WEIGHTS = {"weights_only": False} if numbers(VERSION) >= (1, 13) else {}  # the files are our own


def files(root: Path) -> Iterator[Path]:
    for path in sorted([*root.glob("torch/*/*.module*.pt"), *root.glob("torch_nn/*/*.module.pt")]):
        if numbers(path.parent.name) <= numbers(VERSION) and ".qdyn" not in path.name:
            yield path


def difference(path: Path) -> float:
    """Load and run one file; the largest difference from what was recorded."""
    module = torch.load(str(path), **NOT_ONLY_WEIGHTS).eval()
    recorded = numpy.load(str(path).split(".module")[0] + ".npz")
    worst = 0.0
    with torch.no_grad():
        if path.name == "classes.module.pt":
            return max(difference_of(module[name], name, recorded) for name in {key.split("/")[0] for key in recorded})
        for state, names in runs(recorded):
            given = torch.from_numpy(recorded["tokens" if "tokens" in recorded else "x"])
            out = list(flat(module(given, state) if state is not None else module(given)))
            for name, tensor in zip(names, out):  # noqa: B905  (Python 3.7)
                worst = max(worst, float(numpy.abs(tensor.numpy() - recorded[name]).max()))
    return worst


def difference_of(module: Any, name: str, recorded: Any) -> float:
    """One of the other classes of torch.nn, whose inputs and first output are recorded under its name."""
    given = [torch.from_numpy(recorded[key]) for key in sorted(recorded) if key.startswith(name + "/in/")]
    return float(numpy.abs(next(flat(module(*given))).numpy() - recorded[name + "/out"]).max())


def runs(recorded: Any) -> Iterator[tuple[Any, list[str]]]:
    """The calls that were recorded: the state given (None: the default) and the names of what came out, in order."""
    if "tokens" in recorded:
        yield None, ["logits"]
    elif "h1" in recorded:  # one step of a cell
        yield given_state(recorded), [name for name in ("h1", "c1") if name in recorded]
    elif "h0" in recorded:
        yield given_state(recorded), [name for name in ("y", "hn", "cn") if name in recorded]
        yield None, [name for name in ("y_zero", "hn_zero", "cn_zero") if name in recorded]
    else:
        yield None, ["y", "hn"]


def given_state(recorded: Any) -> Any:
    state = [torch.from_numpy(recorded[name]) for name in ("h0", "c0") if name in recorded]
    return tuple(state) if len(state) > 1 else state[0]


def flat(out: Any) -> Iterator[Any]:
    if isinstance(out, torch.Tensor):
        yield out
    else:
        for each in out:
            yield from flat(each)


def trouble(path: Path) -> str:
    """Why a file does not do as it should; "" when it does."""
    try:
        found = difference(path)
    except Exception as error:
        return f"{path.parent.name}/{path.name}: {type(error).__name__}: {error}"
    return "" if found < TOLERANCE else f"{path.parent.name}/{path.name}: differs by {found}"


def main(root: Path) -> None:
    sys.path.insert(0, str(root / "torch"))  # legacy_tagger, the user's class in some of the files
    todo = list(files(root))
    dead = [path for path in todo if trouble(path)]
    before = torch.nn.Module.__setstate__
    failed = [] if dead else [f"no file below {root} needs legacy_torch(): nothing is proved"]
    for path in todo:
        with legacy_torch():
            told = trouble(path)
        failed += [told] if told else []
    if torch.nn.Module.__setstate__ is not before or [path for path in todo if trouble(path)] != dead:
        failed.append("torch is not as it was after legacy_torch()")
    report = {
        "torch": VERSION,
        "python": platform.python_version(),
        "proved": max(0, len(todo) - len(failed)),
        "dead": len(dead),
        "failed": failed,
    }
    print(os.linesep + json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
