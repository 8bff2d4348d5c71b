"""What TF1's variable names tell: which TensorFlow wrote them, what follows what, which are averages of others.

Source: rnn_cell.py of TF 0.12, 1.0, 1.2 and 1.15 (``Matrix``, ``weights``, ``kernel``), training/moving_averages.py,
and files of all of these.  Not known here: cells and gates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..tensors import Declared, StoredTensor, WrittenBy

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

# (what a name matches, the versions that name variables so, why)
_VERSIONS = (
    (r"(.*/)?(RNN|BiRNN)/.*|.*/(Linear/(Matrix|Bias)|MultiRNNCell/Cell\d+/.*)", "<1.0", "variables are called as before TensorFlow 1.0"),
    (r".*_cell/((gates|candidate|projection)/)?(weights|biases)", ">=1.0,<1.2", "a cell's variables are called weights and biases, as in TensorFlow 1.0 and 1.1"),
    (r".*_cell/((gates|candidate|projection)/)?(kernel|bias)", ">=1.2", "a cell's variables are called kernel and bias, as since TensorFlow 1.2"),
)  # fmt: skip
_SHADOW = "ExponentialMovingAverage"
# A cell's variables lie in its scope, some of them one or two levels deeper.
_DEEPER = frozenset((
    "gates", "candidate", "Gates", "Candidate", "Linear", "linear", "projection", "input_projection", "hidden_projection",
    "input", "transform", "forget", "output", "state",
))  # fmt: skip
_PLACES = re.compile(r"\d{1,9}|(?<=/)(?:bw|BW)(?=/)")
_PLACED_OTHERWISE = re.compile(r"(?<!\d)[1-9]\d|/(?:bw|BW)/")
_STACKED = re.compile(r"(?P<before>(.*/)?(multi_rnn_cell|MultiRNNCell)/(cell_|Cell))(?P<index>\d+)(?P<behind>/[^/]+)?")
# stack_bidirectional_dynamic_rnn, whose own scope may be called anything.
_LEVELS = re.compile(r"(?P<before>(.*/)?(cell_|Layer))(?P<index>\d+)(?P<behind>/(bidirectional_rnn|BiRNN))/.*")

_DIRECTLY = "its input is the output of the cell before it (a ResidualWrapper leaves no trace in a checkpoint)"


def written_by(names: Iterable[str], version: str | None) -> list[WrittenBy]:
    """The writer, by the version that a graph tells, or by the names."""
    if version:
        return [WrittenBy("tensorflow", version, "tensorflow_version in the graph beside the weights")]
    listed = "\n".join(names)
    for pattern, versions, because in _VERSIONS:
        if re.search(rf"^(?:{pattern})$", listed, re.MULTILINE):
            return [WrittenBy("tensorflow", versions, because)]
    return [WrittenBy("tensorflow", "", "a TensorFlow checkpoint")]


def without_shadows(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """Moving averages get a scope of their own, so that they are layers beside the ones they are averages of:
    ``rnn/kernel/ExponentialMovingAverage`` is called ``ExponentialMovingAverage/rnn/kernel``."""
    plain, shadows = [], []
    for tensor in tensors:
        variable, _, last = tensor.name.rpartition("/")
        if last == _SHADOW and variable:
            shadows.append(tensor.renamed(f"{_SHADOW}/{variable}"))
        else:
            plain.append(tensor)
    taken = {tensor.name for tensor in plain}
    return plain + [shadow for shadow in shadows if shadow.name not in taken]


def in_order(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """A file sorts names by the alphabet: here cell_2 comes before cell_10, and forward before backward."""
    tensors = list(tensors)
    if not _PLACED_OTHERWISE.search("\n".join(tensor.name for tensor in tensors)):
        return tensors
    return sorted(tensors, key=lambda tensor: _PLACES.sub(_sortable, tensor.name))


def _sortable(found: re.Match[str]) -> str:
    text = found[0]
    return {"bw": "fw~", "BW": "FW~"}.get(text) or text.zfill(9)


def cell_scope(variable: str) -> str:
    """The scope of the cell that a variable belongs to: ``rnn/gru_cell/gates/kernel`` → ``rnn/gru_cell``."""
    pieces = variable.split("/")[:-1]
    while len(pieces) > 1 and pieces[-1] in _DEEPER:
        pieces.pop()
    return "/".join(pieces)


def declared_cells(names: Iterable[str], told: Mapping[str, Mapping[str, Any]], version: str | None) -> list[Declared]:
    """What is known of each cell's scope: ``told`` (by a graph), and which cell's output it takes."""
    scopes = dict.fromkeys((*(cell_scope(name) for name in names), *told))
    known = {scope: dict(said) for scope in scopes if (said := told.get(scope.removeprefix(f"{_SHADOW}/")))}
    places = _places(scopes)
    for path, level in places.values():
        known.setdefault(path, {})["level"] = level
    after = {
        path: places[before, level - 1][0]
        for (before, _), (path, level) in places.items()
        if (before, level - 1) in places
    }
    _both_ways(known)
    return [
        Declared(
            scope,
            "",
            settings,
            None,
            (after[scope],) if scope in after else (),
            version,
            supposed=_DIRECTLY if scope in after else "",
        )
        for scope, settings in known.items()
    ]


def _places(scopes: Iterable[str]) -> dict[tuple[str, int], tuple[str, int]]:
    """The layers of every stack, (what all of it is called, level) → (the layer's scope, level)."""
    found = {}
    for scope in scopes:
        for pattern in (_STACKED, _LEVELS):
            if hit := pattern.fullmatch(scope):
                level = int(hit["index"])
                found[hit["before"], level] = f"{hit['before']}{hit['index']}{hit['behind'] or ''}", level
    return found


def _both_ways(known: dict[str, dict[str, Any]]) -> None:
    """What is told of the two directions of a bidirectional layer is also told of their common scope."""
    for scope, settings in list(known.items()):
        found = re.fullmatch(r"(?P<layer>(.*/)?bidirectional_rnn|BiRNN)/(fw|FW)(?P<rest>/.*)?", scope)
        if found:
            back = known.get(re.sub(r"/fw(?=/|$)", "/bw", re.sub(r"/FW(?=/|$)", "/BW", scope)), {})
            known[found["layer"]] = {**known.get(found["layer"], {}), **settings, "bw": dict(back)}
