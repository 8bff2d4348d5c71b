"""The matrix a layer really uses, where the file stores something else in its place.

    weight_hh_l0_g, weight_hh_l0_v                 weight norm:  g * v / |v|          (Salimans & Kingma 2016)
    parametrizations.weight_hh_l0.original0/1      the same, since torch 1.12's parametrizations
    weight_hh_l0_orig, weight_hh_l0_mask           pruning:      orig * mask
    weight_hh_l0_orig, weight_hh_l0_u, _v          spectral norm: orig / (u W v)      (Miyato et al. 2018)
    parametrizations.weight_hh_l0.original, .0._u  the same, as a parametrization (torch 1.9 to 1.11: .0.u)
    parametrizations.weight_hh_l0.original, .0.frozen, .0.held   a part held by gw.freeze: held where frozen, else original
    weight_hh_l0_raw                               weight drop (AWD-LSTM, fastai): at inference the raw matrix itself
    _recurrent_kernel_, _bias_                     xLSTM's sLSTM: heads, each of which sees its own units only

Each rule is a row of RULES.  A resolved tensor gets the plain name, so that every layout finds it, and says in
``made_from`` how it came about.  Computed in float64 and rounded once to the stored dtype, when asked for.
Source: torch/nn/utils/{weight_norm,spectral_norm,prune,parametrizations}.py; awd-lstm-lm weight_drop.py;
xlstm/blocks/slstm/cell.py (``_recurrent_kernel_ext2int``, ``_bias_ext2int`` of both backends).
Not known here: parametrizations whose function the file does not tell (orthogonal, a user's own); they are named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from .errors import few
from .record import record
from .tensors import StoredTensor, Tensors, numpy_dtype

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from .tensors import Array

Shape = tuple[int, ...]
_BASE = r"(?P<base>(?:weight|bias)\w*?)"
_PATH = r"(?P<path>(?:.*\.)?)"


@record
class Rule:
    """One way of standing in for a matrix.

    ``found`` matches the name of the first source and gives path and base; ``others`` are the further sources'
    names below the path; ``shape_of`` which source has the true shape; ``compute`` takes the sources in order;
    ``fits`` takes their shapes, so that unrelated tensors which happen to be called alike are left alone.
    ``target`` and ``shape`` where the result has a name and a shape of its own.
    """

    what: str
    found: str  # a pattern; compiled when a file has such names
    others: tuple[str, ...]
    shape_of: int
    compute: Callable[..., Array]
    formula: str
    fits: Callable[..., bool]
    target: str = ""
    shape: Callable[..., Shape] | None = None


def _weight_norm(g: Array, v: Array) -> Array:
    import numpy as np

    # g keeps one length per slice of v: its axes of length 1 are those over which the norm was taken.
    axes = tuple(axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1)
    norm = np.sqrt(np.sum(v * v, axis=axes, keepdims=True))
    result: Array = v * (g.reshape(norm.shape) / norm)
    return result


def _spectral_norm(weight: Array, u: Array, v: Array) -> Array:
    matrix = weight.reshape(len(weight), -1)
    if len(u) != len(matrix) or (len(u) == len(v) and _aligned(matrix.T, u, v) > max(0.9, _aligned(matrix, u, v))):
        matrix = matrix.T  # spectral_norm(dim=1); the file does not say, but u points where the true matrix sends v
    result: Array = weight / (u @ matrix @ v)
    return result


def _aligned(matrix: Array, u: Array, v: Array) -> float:
    """The cosine of u and matrix·v: 1 where a power iteration made them."""
    import numpy as np

    sent = matrix @ v
    return float(u @ sent / (np.linalg.norm(u) * np.linalg.norm(sent) or 1.0))


def _raw(raw: Array) -> Array:
    return raw


def _pruned(orig: Array, mask: Array) -> Array:
    result: Array = orig * mask
    return result


def _lengths_of(g: Shape, v: Shape) -> bool:
    """One length for all of v, or one for each slice along some of its axes."""
    return g in ((), (1,)) or (len(g) == len(v) and all(one in (1, size) for one, size in zip(g, v, strict=True)))


def _vectors_of(weight: Shape, u: Shape, v: Shape) -> bool:
    return len(u) == len(v) == 1 and len(weight) > 1 and (weight[0], math.prod(weight[1:])) in (u + v, v + u)


def _held(original: Array, frozen: Array, held: Array) -> Array:
    import numpy as np

    result: Array = np.where(frozen, held, original)
    return result


def _alike(*shapes: Shape) -> bool:
    return len(set(shapes)) == 1


# sLSTM.  The vanilla backend keeps its kernel as [head][gate·out, in] and its bias as [gate, head, dim]; the CUDA backend
# as [head][in, gate·out] and [head, gate, dim]: the shape of the kernel tells which, that of the bias does not.
# What goes in is the four gates' own shares, side by side, so the input's matrix is one that only picks.


def _vanilla(kernel: Shape, bias: Shape) -> bool:
    return len(kernel) == 3 and kernel[1] == 4 * kernel[2] and bias == (kernel[0] * kernel[1],)


def _cuda(kernel: Shape, bias: Shape) -> bool:
    return len(kernel) == 3 and kernel[2] == 4 * kernel[1] and bias == (kernel[0] * kernel[2],)


def _heads(kernel: Array, _bias: Array) -> Array:
    import numpy as np

    heads, units = len(kernel), min(kernel.shape[1:])
    by_gate = kernel if kernel.shape[2] == units else kernel.transpose(0, 2, 1)  # [head, gate·out, in]
    full = np.zeros((4, heads, units, heads, units))
    for head in range(heads):
        full[:, head, :, head] = by_gate[head].reshape(4, units, units)
    return full.reshape(4 * heads * units, heads * units)


def _picks(bias: Array, _kernel: Array) -> Array:
    import numpy as np

    return np.eye(len(bias))


def _bias_by_gate(bias: Array, kernel: Array) -> Array:
    result: Array = bias.reshape(len(kernel), 4, -1).transpose(1, 0, 2).reshape(-1)
    return result


def _of_heads(backend: str, fits: Callable[[Shape, Shape], bool]) -> tuple[Rule, ...]:
    def swapped(bias: Shape, kernel: Shape) -> bool:
        return fits(kernel, bias)

    kernel, bias = "(?P<base>_recurrent_kernel_)", "(?P<base>_bias_)"
    rules = (
        Rule("sLSTM's heads", _PATH + kernel, ("_bias_",), 0, _heads, "{base}, zeros between its heads", fits,
             f"{backend}.recurrent_kernel", lambda _, bias: (bias[0], bias[0] // 4)),
        Rule("sLSTM's input", _PATH + bias, ("_recurrent_kernel_",), 0, _picks, "each gate takes its own share", swapped,
             f"{backend}.kernel", lambda bias, _: (bias[0], bias[0])),
        Rule("sLSTM's bias", _PATH + bias, ("_recurrent_kernel_",), 0, _bias_by_gate, "{base} by gates", swapped,
             f"{backend}.bias"),
    )  # fmt: skip
    return rules if fits is _cuda else rules[:2]


def _rule(what: str, first: str, others: tuple[str, ...], shape_of: int, compute: Callable[..., Array], formula: str,
          fits: Callable[..., bool]) -> Rule:  # fmt: skip
    return Rule(what, _PATH + first.replace("BASE", _BASE), others, shape_of, compute, formula, fits)


_OF_P = r"parametrizations\.BASE\.original"
RULES = (
    _rule("weight norm", r"BASE_g", ("{base}_v",), 1, _weight_norm, "{base}_g * {base}_v / |{base}_v|", _lengths_of),
    _rule("weight norm", _OF_P + "0", ("parametrizations.{base}.original1",), 1, _weight_norm,
          "original0 * original1 / |original1|", _lengths_of),
    _rule("pruning", r"BASE_orig", ("{base}_mask",), 0, _pruned, "{base}_orig * {base}_mask", _alike),
    _rule("spectral norm", r"BASE_orig", ("{base}_u", "{base}_v"), 0, _spectral_norm, "{base}_orig / (u W v)", _vectors_of),
    _rule("spectral norm", _OF_P, ("parametrizations.{base}.0._u", "parametrizations.{base}.0._v"), 0, _spectral_norm,
          "original / (u W v)", _vectors_of),
    _rule("frozen part", _OF_P, ("parametrizations.{base}.0.frozen", "parametrizations.{base}.0.held"), 0, _held,
          "held where frozen, else original", _alike),
    # torch 1.9 to 1.11 spelled the buffers without the underscore.
    _rule("spectral norm", _OF_P, ("parametrizations.{base}.0.u", "parametrizations.{base}.0.v"), 0, _spectral_norm,
          "original / (u W v)", _vectors_of),
    # AWD-LSTM keeps the raw matrix beside the others, fastai on the wrapper around `module`.
    _rule("weight drop", r"(?=weight_[ih]h)BASE_raw", (), 0, _raw, "{base}_raw", _alike),
    *_of_heads("slstm", _vanilla),
    *_of_heads("slstm_cuda", _cuda),
)  # fmt: skip
_UNKNOWN = _PATH + r"parametrizations\." + _BASE + r"\.original0?"


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
    said = [f"{what}: the true matrix was computed for {few(names)}" for what, names in notes.items()]
    said += _unresolved(tensors, made)
    if not made:
        return tensors.with_tensors(tensors.values(), said)
    return tensors.with_tensors(_in_place(tensors, made), said)


def _stands_in(name: str) -> bool:
    return name.endswith(("_g", "_orig", "_raw", "_recurrent_kernel_")) or "parametrizations." in name


def _apply(rule: Rule, name: str, tensors: Tensors) -> StoredTensor | None:
    found = re.fullmatch(rule.found, name)
    if not found:
        return None
    path, base = found["path"], found["base"]
    sources = [name, *(path + other.format(base=base) for other in rule.others)]
    if any(source not in tensors for source in sources):
        return None
    target = _beside(path, base, tensors) if rule.what == "weight drop" else path + (rule.target or base)
    stored = [tensors[source] for source in sources]
    if not rule.fits(*(source.shape for source in stored)) or _more_to_it(path, base, sources, tensors):
        return None
    shape = stored[rule.shape_of]

    def compute() -> Array:
        import numpy as np

        true = rule.compute(*(np.asarray(source.array(), np.float64) for source in stored))
        result: Array = true.astype(numpy_dtype(shape.dtype))
        return result

    data = stored[0].data if rule.compute is _raw else compute
    made_shape = rule.shape(*(source.shape for source in stored)) if rule.shape else shape.shape
    return StoredTensor(
        target, shape.dtype, made_shape, data, shape.where, f"{rule.what}: {rule.formula.format(base=base)}",
        tuple(sources),
    )  # fmt: skip


def _more_to_it(path: str, base: str, sources: list[str], tensors: Tensors) -> bool:
    """Does a second parametrization of the same matrix keep tensors that no rule reads?"""
    below = f"{path}parametrizations.{base}."
    return any(name.startswith(below) and name not in sources for name in tensors.below(below[:-1]))


def _beside(path: str, base: str, tensors: Tensors) -> str:
    """fastai keeps ``weight_hh_l0_raw`` on the wrapper; the layer's other tensors lie below its ``module``."""
    wrapped = re.compile(re.escape(path) + r"module\.(weight|bias)_[ih]h\w*")
    inside = not path.endswith("module.") and any(map(wrapped.fullmatch, tensors.below(f"{path}module")))
    return f"{path}module.{base}" if inside else path + base


def _in_place(tensors: Tensors, made: dict[str, StoredTensor]) -> list[StoredTensor]:
    """The file's order, each made tensor where its first source stands; a stale copy of the same name gives way."""
    first: dict[str, list[StoredTensor]] = {}
    for tensor in made.values():
        first.setdefault(tensor.sources[0], []).append(tensor)
    result = []
    for name, tensor in tensors.items():
        if name not in made:
            result.append(tensor)
        result += first.get(name, ())
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
