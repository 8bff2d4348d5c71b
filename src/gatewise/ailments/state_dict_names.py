"""Names in a state dict with which ``load_state_dict`` of the plain model refuses it; and the rename that it takes.

    module.rnn.weight_ih_l0      torch.nn.DataParallel and DistributedDataParallel call the model ``module``
    _orig_mod.rnn.weight_ih_l0   torch.compile's wrapper
    rnn.weight_hh_l0_raw         weight drop (AWD-LSTM, fastai 1): the true matrix, beside a thinned copy of it
    rnn.weight_ih_l1_reverse     is missing where l0 has one: the state of another layer, or a cut one

A prefix is one only where every name of the state dict has it.  That a cell's names (``weight_ih``) will not load
into a layer (``weight_ih_l0``) is not told: the file does not know what it is loaded into.
Source: torch/nn/parallel/data_parallel.py, torch/_dynamo/eval_frame.py; awd-lstm-lm weight_drop.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..checkpoint import Checkpoint
from ..errors import few
from . import Ailment, Finding, Outcome, Patient, Remedy

REVERSE, PARALLEL, COMPILED, RAW, TWICE = "GW301", "GW303", "GW304", "GW306", "GW313"
_WRAPPERS = {"module.": (PARALLEL, "DataParallel"), "_orig_mod.": (COMPILED, "torch.compile")}
_HOLDERS = re.compile(r"(model_?)?(state(_?dict)?|weights|params|net|model|ema)(_?dict|_state)?\.")
_RAW = re.compile(r"(?P<path>(?:.*\.)?)(?P<base>weight_\w+_l\d+(?:_reverse)?)_raw")
_KERNEL = re.compile(r"(?P<path>(?:.*\.)?)weight_ih_l(?P<layer>\d{1,6})(?P<reverse>_reverse)?")
_CONTAINERS = ("torch-zip", "torch-legacy", "torch-tar", "safetensors")


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None or checkpoint.tensors.container not in _CONTAINERS:
        return
    if not checkpoint.tensors.declared:  # in a pickled module the names are the classes' own
        names = _stored(checkpoint)
        yield from _wrapped(names)
        yield from _raw(names)
        yield from _half(names)
    yield from _twice(checkpoint)


def _stored(checkpoint: Checkpoint) -> list[str]:
    """The names as they stand in the file."""
    return [name for name, tensor in checkpoint.tensors.items() if not tensor.made_from] + [
        source
        for tensor in checkpoint.tensors.values()
        for source in tensor.sources
        if source not in checkpoint.tensors
    ]


def _holder(names: Iterable[str]) -> str:
    """The key under which a checkpoint keeps its only state dict (``state_dict.``), or ""."""
    found = {match[0] for name in names if (match := _HOLDERS.match(name))}
    return found.pop() if len(found) == 1 else ""


def _state(names: list[str]) -> tuple[str, list[str]]:
    """(holder, the names below it)."""
    for holder in ("", _holder(names)):
        inner = [name.removeprefix(holder) for name in names if name.startswith(holder)]
        if inner and (_prefix(inner) or holder):
            return holder, inner
    return "", names


def _prefix(names: list[str]) -> str:
    """The wrappers' words that all names begin with: ``_orig_mod.module.``"""
    prefix = ""
    while names and any(all(name.startswith(prefix + word) for name in names) for word in _WRAPPERS):
        prefix += next(word for word in _WRAPPERS if all(name.startswith(prefix + word) for name in names))
    return prefix


def _wrapped(names: list[str]) -> Iterator[Finding]:
    holder, inner = _state(names)
    prefix = _prefix(inner)
    if prefix:
        words = [word for word in prefix.split(".") if word]
        code, _ = _WRAPPERS[f"{words[0]}."]
        who = " and ".join(_WRAPPERS[f"{word}."][1] for word in words)
        shown = inner[0]
        yield Finding(
            code, "breaks", holder.rstrip("."), f"Every name begins with {prefix!r}, as {shown}.",
            f"The state was saved from the wrapper of {who}; the model itself has no such names.", "torch",
            Remedy(f"{prefix!r} is taken off every name", "exact"),
            (Outcome("", f'load_state_dict of the bare model fails: Missing key(s) in state_dict: "{shown.removeprefix(prefix)}" …'),),
        )  # fmt: skip


def _raw(names: list[str]) -> Iterator[Finding]:
    raws = [match for name in names if (match := _RAW.fullmatch(name))]
    if raws:
        first = raws[0]
        more = f" and {len(raws) - 1} more" if len(raws) > 1 else ""
        yield Finding(
            RAW, "breaks", first["path"].rstrip("."), f"The true matrix is called {first[0].removeprefix(first['path'])}{more}.",
            "A weight drop keeps it under this name, and a copy with some weights zeroed under the plain one. A plain LSTM asks for "
            "the plain name, and must not get the copy.", "torch",
            Remedy("the raw matrices take the plain names; their copies are left out", "exact"),
            (Outcome("", f'load_state_dict of a plain layer fails: Unexpected key(s) in state_dict: "{first[0]}" …'),),
        )  # fmt: skip


def _half(names: list[str]) -> Iterator[Finding]:
    """Layers of which only some have a reverse direction."""
    found: dict[str, dict[bool, set[int]]] = {}
    for name in names:
        if match := _KERNEL.fullmatch(name):
            found.setdefault(match["path"], {False: set(), True: set()})[bool(match["reverse"])].add(
                int(match["layer"])
            )
    for path, has in found.items():
        if has[True] and has[True] != has[False]:
            missing = [f"weight_ih_l{layer}_reverse" for layer in sorted(has[False] - has[True])]
            missing += [f"weight_ih_l{layer}" for layer in sorted(has[True] - has[False])]
            yield Finding(
                REVERSE, "breaks", path.rstrip("."), f"Some layers have both directions and others one: {few(missing)} is missing.",
                "A bidirectional layer has both in every layer. The state is cut, or was put together from two; what is missing is "
                "not in the file.", "torch", None,
                (Outcome("", f'load_state_dict fails: Missing key(s) in state_dict: "{path}{missing[0]}" …'),),
            )  # fmt: skip


def _twice(checkpoint: Checkpoint) -> Iterator[Finding]:
    for layer in checkpoint.layers:
        if layer.also_at:
            others = few(layer.also_at)
            yield Finding(
                TWICE, "note", layer.name, f"The same weights are in the file as {others}.",
                "They share their bytes: changing one name's tensor in memory changes the other's, and safetensors refuses to save both.",
                "torch",
            )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    if patient.checkpoint is None or finding.remedy is None:
        return ""
    # All renames are one: after the first finding's treatment there is nothing left to rename.
    renames = _renames(list(patient.draft.tensors("state-dict")))
    if renames:
        patient.draft.rename(renames)
    return finding.remedy.what


def _renames(names: list[str]) -> dict[str, str]:
    """Every rename at once, so that none meets the names of another: old name in the state dict → new, "" to leave out."""
    _, inner = _state(names)
    prefix = _prefix(inner)
    renames = {name: name.removeprefix(prefix) for name in inner} if prefix else {}
    for name in inner:
        if match := _RAW.fullmatch(name):
            path, base = match["path"], match["base"]
            for copy in (f"{path}{base}", f"{path}module.{base}"):
                if copy in inner:
                    renames[copy] = ""
            renames |= {
                other: f"{path}{other.removeprefix(f'{path}module.')}".removeprefix(prefix)
                for other in inner if other.startswith(f"{path}module.") and renames.get(other) != ""
            }  # fmt: skip
            renames[name] = f"{path.removesuffix('module.')}{base}".removeprefix(prefix)
    return {old: new for old, new in renames.items() if old != new}


AILMENT = Ailment(
    "state_dict_names",
    "State dicts whose names the plain model refuses",
    {
        REVERSE: "Some layers of a state dict have a reverse direction and others not.",
        PARALLEL: "Every name begins with `module.`, DataParallel's word.",
        COMPILED: "Every name begins with `_orig_mod.`, torch.compile's word.",
        RAW: "A weight drop's `_raw` matrix in place of the plain name.",
        TWICE: "The same weights under two names.",
    },
    examine,
    treat,
    forms=("state-dict", "tensors", "checkpoint"),
)
