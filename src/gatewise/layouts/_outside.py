"""What merely looks like a recurrent layer that gatewise reads: named, with the reason, and left alone.

A class that the file declares and no layout claims is a lookalike, however well its shapes fit; so is a layer whose
declared sizes are not those of its tensors.  Moments that an optimizer keeps are no layers at all.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..record import record
from ..tensors import Declared, Tensors
from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout
from ._match import Group, Match, claims
from ._settings import told_by_settings

# Declared kinds that are recurrent and outside: (pattern, why).  Patterns match the whole kind.
OUTSIDE = (
    (r".*\bConvLSTM\w*", "its gates are convolutions, not matrices; gatewise names it and does not convert it"),
    (
        r".*\b(quantized|quantizable)\b.*\b(LSTM|GRU|RNN)(Cell)?",
        "its weights are quantised; gatewise does not dequantise",
    ),
)
_STACKED = (
    "each of its tensors has one axis more than a layer's: copies that lie along it (vmap, or scan over layers); gatewise "
    "does not take them apart"
)
# The same told by tensor names alone: (a text in them, pattern with the layer's path, kind, why).
OUTSIDE_NAMES = (
    (
        "._all_weight_values.",
        r"(?P<path>.*)\._all_weight_values\..*",
        "torch.ao.nn.quantized.dynamic recurrent layer",
        OUTSIDE[1][1],
    ),
)
_RECURRENT_CLASS = r"(?i)(lstm|gru|rnn)"
# Scales of a normalisation, by the rest of their name below a cell's own path.
_NORM = r"(?i)(layer_?norm|ln|norm)_?(i|h|c|f|g|o|ih|hh|ii|hi|x|cell|hidden|input|gates?)?\w{0,2}[./](weight|bias|gamma|beta)"
_BIAS = r"(?i)(b|bias|biases)(_?[ifgozrnxhc]{1,2})?"
# Optimizers keep tensors shaped and named as the weights, below a word of their own: torch.optim's state keys, the slots
# of Keras's and TensorFlow's optimizers (``Adam/m/lstm/kernel``), optax's (``opt_state/0/mu``); MindSpore's stand first.
_MOMENTS = frozenset(
    ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg", "acc_delta"]
)
_OPTIMIZER = frozenset((
    *(word + end for word in ("optim", "optimizer") for end in ("", "_state", "s", "_variables", "_weights")), "opt_state",
    "adam", "adamw", "adamax", "nadam", "nadamw", "nadamax", "rmsprop", "sgd", "adagrad", "adadelta", "ftrl", "lion", "lamb",
))  # fmt: skip
_SLOTS = frozenset((
    "m", "v", "vhat", "mu", "nu", "momentum", "momentums", "velocity", "velocities", "accumulator", "accumulators", "rms",
))  # fmt: skip
_FIRST = frozenset((
    "moment1", "moment2", "moments", "accum", "accum_update", "adam_m", "adam_v", "lamb_m", "lamb_v", "mean_grad",
    "mean_square",
))  # fmt: skip
_OPTAX = _SLOTS | {"trace", "ema", "acc_grads", "sum_of_squares", "nu_max"}


@record
class Lookalike:
    """Something recurrent that gatewise names but does not read: its place, what it is, and why."""

    name: str
    kind: str
    why: str
    tensors: tuple[str, ...] = ()
    match: Match | None = None  # with the table that knows it, so that its gates can be shown


def is_moment(path: str) -> bool:
    """Is this the path of an optimizer's moments?  A layer of a model called ``optimizer`` is not meant."""
    pieces = path.lower().replace("/", ".").split(".")
    slots = (_SLOTS.intersection(pieces[at + 1 : at + 3]) for at, piece in enumerate(pieces) if piece in _OPTIMIZER)
    return bool(_MOMENTS.intersection(pieces)) or pieces[0] in _FIRST or any(slots) or _of_optax(pieces)


def _of_optax(pieces: list[str]) -> bool:
    """Optax's states lie in tuples, however deep: ``opt_state/1/0/mu/lstm``; bare ones in a tuple: ``1/0/nu/lstm``."""
    at = pieces.index("opt_state") if "opt_state" in pieces else len(pieces)
    numbered = (before.isdigit() and piece in ("mu", "nu") for before, piece in itertools.pairwise(pieces))
    return bool(_OPTAX.intersection(pieces[at:])) or any(numbered)


def named_outside(match: Match) -> Lookalike:
    """A layer whose own table says that its cell is not plain."""
    return Lookalike(match.name, match.layout.name, match.layout.outside, match.tensors, match)


class Beside:
    """What lies below a path, by its names: looked at once, however many layouts are found there."""

    def __init__(self, tensors: Tensors):
        self._tensors = tensors
        self._norms: dict[str, list[str]] = {}
        self._biases: dict[str, list[str]] = {}
        self._is_norm = functools.cache(_is_norm)  # below many paths the same few names
        self._is_bias = functools.cache(_is_bias)

    def norms(self, path: str) -> list[str]:
        """Scales of a normalisation."""
        if path not in self._norms:
            self._norms[path] = [name for name, own in self._below(path) if self._is_norm(own)]
        return self._norms[path]

    def biases(self, path: str) -> list[str]:
        """What is called as a bias is."""
        if path not in self._biases:
            self._biases[path] = [name for name, own in self._below(path) if self._is_bias(own)]
        return self._biases[path]

    def _below(self, path: str) -> Iterator[tuple[str, str]]:
        start = len(path) + 1 if path else 0
        return ((name, name[start:]) for name in self._tensors.below(path))


def _is_norm(own: str) -> bool:
    # The first test saves a file without such names the compiling of the pattern.
    return own.lower().startswith(("layer", "ln", "norm")) and bool(re.fullmatch(_NORM, own))


def _is_bias(own: str) -> bool:
    return bool(re.fullmatch(_BIAS, own))


def lookalike(match: Match, beside: Beside, chosen: bool = False) -> Lookalike | None:
    """A match whose place the file declares to be something else: another class, other sizes, mixed directions; or,
    where it declares nothing, whose neighbours say so.  Not where the user ``chose`` the layout."""
    declared = match.declared
    if match.layout.outside:
        return named_outside(match)
    if chosen:
        return None
    if declared is None or not declared.kind:
        why = _norms_beside(match, beside)
        return Lookalike(match.name, "normalised recurrent layer", why, match.tensors) if why else None
    if claims(match.layout, declared):
        why = _contradiction(match, declared) or _mixed_directions(match, declared)
    else:
        why = _reason(declared.kind) or (
            f"its shapes fit {match.layout.name}, but the file says it is a {declared.kind}, whose gate order gatewise "
            "does not know; describe it with --from (a layout's name, or a TOML file)"
        )
    return Lookalike(match.name, declared.kind, why, match.tensors) if why else None


def _norms_beside(match: Match, beside: Beside) -> str:
    """Scales of a normalisation under the cell's own path: the names are the layout's, the equations are not."""
    for name in beside.norms(match.group.path):
        if name not in match.tensors:
            return (
                f"{name!r} beside its weights says that it normalises, which {match.layout.name} does not; if that "
                f"tensor is another module's, say --from {match.layout.name}"
            )
    return ""


def bias_beside(match: Match, tensors: Tensors, beside: Beside) -> str:
    """Right beside a layer without a bias, what may be its bias under a name that its layout does not know: the name is
    somebody else's, and so may be the order of the gates.  "" where there is none."""
    if any(
        role in BIAS + RECURRENT_BIAS for index, *_ in match.group.names for role in match.layout.parts[index].roles
    ):
        return ""
    size = len(match.layout.gates) * match.sizes[0, "forward"]["unit"]
    shapes = ((size,), (1, size), (2 * size,), (2, size))
    for name in beside.biases(match.group.path):
        if name not in match.tensors and tensors[name].shape in shapes:
            return f"{name!r} beside its weights may be its bias, which {match.layout.name} would call otherwise"
    return ""


def convolution(layout: Layout, group: Group, tensors: Tensors, declared: Declared | None) -> list[Lookalike]:
    """Two kernels with more than two axes: a convolutional recurrent layer, declared or not.  One is a convolution's."""
    names = tuple(group.names.values())
    if group.declared is not None:  # an operator's own tables say how many axes its inputs have
        return []
    if _is_stacked(layout, group, tensors):
        return [Lookalike(group.name, f"{layout.name}, several in one", _STACKED, names)]
    kernels = {
        role for (index, *_), name in group.names.items() if len(tensors[name].shape) > 2
        for role in layout.parts[index].roles
    }  # fmt: skip
    if not {*KERNEL, *RECURRENT_KERNEL} <= kernels:
        return []
    if len({name for name in names if len(tensors[name].shape) > 2}) < 2 and not re.search(
        _RECURRENT_CLASS, group.name
    ):
        return []
    kind = declared.kind if declared and declared.kind else "convolutional recurrent layer"
    name = declared.name if declared and declared.name else group.name
    return [Lookalike(name, kind, OUTSIDE[0][1], names)]


def _is_stacked(layout: Layout, group: Group, tensors: Tensors) -> bool:
    """Does each tensor of both kernels and the rest have one axis more, as long in each of them?"""
    places = [(layout.parts[index], tensors[name].shape) for (index, *_), name in group.names.items()]
    roles = {role for part, _ in places for role in part.roles}
    leading = {shape[0] for _, shape in places if shape}
    more = all(len(shape) == len(part.parsed.axes) + 1 for part, shape in places)
    return more and len(places) > 2 and len(leading) == 1 and {*KERNEL, *RECURRENT_KERNEL} <= roles


def declared_outside(tensors: Tensors, claimed: set[str], named: set[str]) -> list[Lookalike]:
    """Objects declared with a recurrent class that no layout read; and what tensor names alone give away."""
    found = list(_by_name(tensors))
    own_tensors = _OwnTensors(tensors)
    for declared in tensors.declared:
        name = declared.name or declared.path
        reason = _reason(declared.kind)
        last = re.split(r"[./]", declared.kind or declared.path)[-1]
        if reason is None and not re.search(_RECURRENT_CLASS, last):
            continue
        given = tuple(name for name in declared.inputs.values() if name in tensors)
        own = given if declared.inputs else own_tensors.of(declared.path)
        matrices = [name for name in own if len(tensors[name].shape) > 1 and tensors[name].size > 1]
        if reason is None and len(matrices) > 1:
            what = declared.kind or f"layer of that name ({last})"
            reason = (
                f"no layout that gatewise knows is a {what} with these tensors; describe it with --from (a TOML file)"
            )
        if reason and name not in named and not claimed.intersection(own):
            found.append(Lookalike(name, declared.kind or "custom layer", reason, own))
    return found


def _by_name(tensors: Tensors) -> Iterator[Lookalike]:
    for text, pattern, kind, why in OUTSIDE_NAMES:
        paths: dict[str, list[str]] = defaultdict(list)
        for name in tensors:
            if text in name and (hit := re.fullmatch(pattern, name)):
                paths[hit["path"]].append(name)
        for path, names in paths.items():
            yield Lookalike(path, kind, why, tuple(names))


class _OwnTensors:
    """The tensors below a path that belong to no object declared deeper.  Sorted once: a file may declare thousands."""

    def __init__(self, tensors: Tensors):
        self._tensors = tensors
        self._paths = sorted({other.path for other in tensors.declared if other.kind or other.name})
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, path: str) -> tuple[str, ...]:
        if path not in self._known:
            first = bisect.bisect_right(self._paths, path)
            begun = itertools.takewhile(
                lambda other: other.startswith(path), itertools.islice(self._paths, first, None)
            )
            theirs = {name for deeper in begun for name in self._tensors.below(deeper)}
            self._known[path] = tuple(name for name in self._tensors.below(path) if name not in theirs)
        return self._known[path]


def _reason(kind: str) -> str | None:
    return next((why for pattern, why in OUTSIDE if re.fullmatch(pattern, kind)), None)


def _contradiction(match: Match, declared: Declared) -> str:
    """Where the file declares a size and the tensors show another, the layer is not what it seems."""
    first = match.sizes[0, "forward"]
    shown = {
        "unit": first["unit"], "feature": first["feature"],
        "layers": len({layer for layer, _ in match.sizes}), "directions": len({way for _, way in match.sizes}),
    }  # fmt: skip
    for fact in match.layout.facts:
        said = next((declared.settings[name] for name in fact.names if name in declared.settings), None)
        meant = fact.values.get(said) if fact.values is not None and isinstance(said, (str, bool, int)) else said
        if isinstance(meant, int) and meant != shown[fact.of]:
            return f"the file declares {meant} {fact.of}(s) here, and the tensors show {shown[fact.of]}"
    return ""


def _mixed_directions(match: Match, declared: Declared) -> str:
    """A reverse direction with settings of its own, which mean another function than the forward one's."""
    own = declared.settings.get(match.layout.reverse_settings)
    if not isinstance(own, Mapping):
        return ""
    forward = told_by_settings(match.layout, declared.settings, declared.version)
    reverse = told_by_settings(match.layout, own, declared.version)
    differ = [name for name, value in reverse.items() if name != "go_backwards" and forward.get(name, value) != value]
    return f"its two directions differ in {differ[0]}; gatewise reads layers whose directions agree" if differ else ""
