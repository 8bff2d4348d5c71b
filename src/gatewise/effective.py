"""The matrix a layer really uses, where the file stores something else in its place.

    weight_hh_l0_g, weight_hh_l0_v                 weight norm:  g * v / |v|          (Salimans & Kingma 2016)
    parametrizations.weight_hh_l0.original0/1      the same, since torch 1.12's parametrizations
    weight_hh_l0_orig, weight_hh_l0_mask           pruning:      orig * mask
    weight_hh_l0_orig, weight_hh_l0_u, _v          spectral norm: orig / (u W v)      (Miyato et al. 2018)
    parametrizations.weight_hh_l0.original, .0._u  the same, as a parametrization
    weight_hh_l0_raw                               weight drop (AWD-LSTM, fastai): at inference the raw matrix itself

Each rule is a row of RULES.  A resolved tensor gets the plain name, so that every layout finds it, and says in
``made_from`` how it came about.  Computed in float64 and rounded once to the stored dtype, when asked for.
Source: torch/nn/utils/{weight_norm,spectral_norm,prune,parametrizations}.py; awd-lstm-lm weight_drop.py.
Not known here: parametrizations whose function the file does not tell (orthogonal, a user's own); they are named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tensors import StoredTensor, Tensors, numpy_dtype

if TYPE_CHECKING:
    from .tensors import Array

_BASE = r"(?P<base>(?:weight|bias)\w*?)"
_PATH = r"(?P<path>(?:.*\.)?)"


@dataclass(frozen=True)
class Rule:
    """One way of standing in for a matrix.

    ``found`` matches the name of the first source and gives path and base; ``others`` are the further sources'
    names below the path; ``shape_of`` which source has the true shape; ``compute`` takes the sources in order.
    """

    what: str
    found: str  # a pattern; compiled when a file has such names
    others: tuple[str, ...]
    shape_of: int
    compute: Callable[..., Array]
    formula: str
    at: str = "{path}{base}"


def _weight_norm(g: Array, v: Array) -> Array:
    import numpy as np

    # g keeps one length per slice of v: its axes of length 1 are those over which the norm was taken.
    axes = tuple(axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1)
    norm = np.sqrt(np.sum(v * v, axis=axes, keepdims=True))
    result: Array = v * (g.reshape(norm.shape) / norm)
    return result


def _spectral_norm(weight: Array, u: Array, v: Array) -> Array:
    flat = weight if len(u) == weight.shape[0] else weight.T
    result: Array = weight / (u @ flat.reshape(len(u), -1) @ v)
    return result


def _raw(raw: Array) -> Array:
    return raw


def _pruned(orig: Array, mask: Array) -> Array:
    result: Array = orig * mask
    return result


def _rule(what: str, first: str, others: tuple[str, ...], shape_of: int, compute: Callable[..., Array], formula: str,
          at: str = "{path}{base}") -> Rule:  # fmt: skip
    return Rule(what, _PATH + first.replace("BASE", _BASE), others, shape_of, compute, formula, at)


RULES = (
    _rule("weight norm", r"BASE_g", ("{base}_v",), 1, _weight_norm, "{base}_g * {base}_v / |{base}_v|"),
    _rule("weight norm", r"parametrizations\.BASE\.original0", ("parametrizations.{base}.original1",), 1, _weight_norm,
          "original0 * original1 / |original1|"),
    _rule("pruning", r"BASE_orig", ("{base}_mask",), 0, _pruned, "{base}_orig * {base}_mask"),
    _rule("spectral norm", r"BASE_orig", ("{base}_u", "{base}_v"), 0, _spectral_norm, "{base}_orig / (u W v)"),
    _rule("spectral norm", r"parametrizations\.BASE\.original",
          ("parametrizations.{base}.0._u", "parametrizations.{base}.0._v"), 0, _spectral_norm, "original / (u W v)"),
    _rule("spectral norm", r"parametrizations\.BASE\.original",  # as torch 1.9 to 1.11 named the two vectors
          ("parametrizations.{base}.0.u", "parametrizations.{base}.0.v"), 0, _spectral_norm, "original / (u W v)"),
    # AWD-LSTM keeps the raw matrix beside the others, fastai on the wrapper around `module`.
    _rule("weight drop", r"module\.BASE_raw", (), 0, _raw, "{base}_raw", at="{path}module.{base}"),
    _rule("weight drop", r"BASE_raw", (), 0, _raw, "{base}_raw"),
)  # fmt: skip
_UNKNOWN = _PATH + r"parametrizations\." + _BASE + r"\.original"


def resolve(tensors: Tensors) -> Tensors:
    """The same tensors with every true matrix added under its plain name, and sentences about what was resolved."""
    if not any(_stands_in(name) for name in tensors):
        return tensors
    made: dict[str, StoredTensor] = {}
    notes: dict[str, list[str]] = {}
    for name in tensors:
        for rule in RULES:
            tensor = _apply(rule, name, tensors)
            if tensor is not None and tensor.name not in made:
                made[tensor.name] = tensor
                notes.setdefault(rule.what, []).append(tensor.name)
    said = [f"{what}: the true matrix was computed for {', '.join(names)}" for what, names in notes.items()]
    said += _unresolved(tensors, made)
    if not made:
        return tensors.with_tensors(tensors.values(), said)
    return tensors.with_tensors(_in_place(tensors, made), said)


def _stands_in(name: str) -> bool:
    return name.endswith(("_g", "_orig", "_raw")) or "parametrizations." in name


def _apply(rule: Rule, name: str, tensors: Mapping[str, StoredTensor]) -> StoredTensor | None:
    found = re.fullmatch(rule.found, name)
    if not found:
        return None
    path, base = found["path"], found["base"]
    sources = [name, *(path + other.format(base=base) for other in rule.others)]
    if any(source not in tensors for source in sources):
        return None
    target = rule.at.format(path=path, base=base)
    if rule.what == "weight drop":
        target = _beside(target, path, base, tensors)
    stored = [tensors[source] for source in sources]
    shape = stored[rule.shape_of]

    def compute() -> Array:
        import numpy as np

        true = rule.compute(*(np.asarray(source.array(), np.float64) for source in stored))
        result: Array = true.astype(numpy_dtype(shape.dtype))
        return result

    data = stored[0].data if rule.compute is _raw else compute
    return StoredTensor(
        target, shape.dtype, shape.shape, data, shape.where, f"{rule.what}: {rule.formula.format(base=base)}",
        tuple(sources),
    )  # fmt: skip


def _beside(target: str, path: str, base: str, tensors: Mapping[str, StoredTensor]) -> str:
    """fastai keeps ``weight_hh_l0_raw`` on the wrapper; the layer's other tensors lie below its ``module``."""
    partner = f"{path}module.{base.replace('weight_hh', 'weight_ih')}"
    return f"{path}module.{base}" if partner in tensors and not path.endswith("module.") else target


def _in_place(tensors: Tensors, made: dict[str, StoredTensor]) -> list[StoredTensor]:
    """The file's order, each made tensor where its first source stands; a stale copy of the same name gives way."""
    first = {tensor.sources[0]: tensor for tensor in made.values()}
    result = []
    for name, tensor in tensors.items():
        if name not in made:
            result.append(tensor)
        if name in first:
            result.append(first[name])
    return result


def _unresolved(tensors: Mapping[str, StoredTensor], made: Mapping[str, StoredTensor]) -> list[str]:
    said = []
    for name in tensors:
        found = re.fullmatch(_UNKNOWN, name)
        if found and found["path"] + found["base"] not in made:
            said.append(
                f"{found['path']}{found['base']} is made by a parametrization whose function the file does not tell "
                f"(only {name} is stored); load the model in torch, call remove_parametrizations, and save it again"
            )
    return said
