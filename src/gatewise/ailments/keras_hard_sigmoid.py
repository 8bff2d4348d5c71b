"""hard_sigmoid of before Keras 3: the name is the same, the slope is not, and nothing warns.

Keras 1 and 2 compute clip(0.2 x + 0.5, 0, 1), Keras 3 clip(x/6 + 0.5, 0, 1).  It was the gates' default before Keras
2.3 and in tf.keras 1, and ConvLSTM's in all of tf.keras 2.  The same function in Keras 3 has the gates' rows times
1.2, see :mod:`gatewise.conventions`.  Files of bare weights are another case: there the model's code says the
activation, and Keras 3's default is the sigmoid.
Source: keras 2.2.4 keras/activations.py; keras/src/backend/*/nn.py of 3.15.1; measured on the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..cell import run
from ..checkpoint import Checkpoint, Layer
from ..containers import open_draft
from ..containers._keras_draft import KerasDraft, nodes_below
from ..conventions import ONE_ROUNDING
from ..errors import GatewiseError, NotRepresentable
from ..proof import largest, random_input
from ..weights import Dialect
from . import NUMBERS, Ailment, Finding, Outcome, Patient, Remedy
from ._keras_renew import (
    OLD_SLOPE,
    expressed,
    has_old_slope,
    keras_layers,
    make_modern,
    old_slopes_elsewhere,
    scale_leaf,
    version_of,
)

OLD, BARE = "GW220", "GW219"
_NEW_SLOPE = "hard_sigmoid(1/6)"
_LARGEST = 4_000_000  # parameters of a layer that is run to measure the difference
_REMEDY = Remedy(
    "the gates' weights and biases times 1.2, with which Keras 3's hard_sigmoid computes the old one", ONE_ROUNDING
)
_WHY = "Keras 1 and 2 compute clip(0.2 x + 0.5, 0, 1), Keras 3 under the same name clip(x/6 + 0.5, 0, 1)."


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None or not checkpoint.tensors.container.startswith("keras"):
        return
    if isinstance(checkpoint.tensors.metadata.get("config"), dict):
        yield from _in_models(checkpoint)
    else:
        yield from _in_bare_weights(checkpoint)


def _in_models(checkpoint: Checkpoint) -> Iterator[Finding]:
    old = [layer for layer in keras_layers(checkpoint) if has_old_slope(layer)]
    before_3 = version_of(checkpoint) and version_of(checkpoint) < (3,)
    elsewhere = list(_elsewhere(checkpoint)) if before_3 else []
    if not old and not elsewhere:
        return
    cure = _cure(checkpoint)  # reads the file once more, which most files need not be
    for layer in old:
        gap = _measured(layer, _with_slope(layer.dialect, _NEW_SLOPE))
        yield _finding(layer.name, f"The gates of {layer.name} use the old hard_sigmoid.", gap, *cure)
    for name, kind in elsewhere:
        yield _finding(name, f"{kind} {name!r} uses the old hard_sigmoid.", None, *cure)


def _finding(where: str, what: str, gap: float | None, remedy: Remedy | None, hopeless: str) -> Finding:
    size = f" Its outputs differ by up to {gap:.2g} on a random input." if gap is not None else ""
    return Finding(
        OLD, "wrong-results", where, what, f"{_WHY}{size} {hopeless}".strip(), "keras>=3", remedy,
        (Outcome(">=3", "loads without an error, and computes other numbers", NUMBERS),),
    )  # fmt: skip


def _elsewhere(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """(name, class) of the other layers that use it."""
    config = checkpoint.tensors.metadata["config"]
    gated = ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "CuDNNLSTM", "CuDNNGRU")
    for node in nodes_below(config):
        body = node.get("config")
        if not isinstance(body, dict) or node.get("class_name") in gated:
            continue
        if "hard_sigmoid" in (body.get("activation"), body.get("recurrent_activation")):
            yield str(body.get("name") or node.get("name")), str(node["class_name"])


def _cure(checkpoint: Checkpoint) -> tuple[Remedy | None, str]:
    """The remedy, or why there is none."""
    try:
        draft = open_draft(checkpoint.path)
        for layer in keras_layers(checkpoint):
            if has_old_slope(layer):
                expressed(layer)
        if isinstance(draft, KerasDraft) and version_of(checkpoint) < (3,):
            for leaf in old_slopes_elsewhere(draft):
                scale_leaf(leaf)
    except NotRepresentable as error:
        return None, error.message
    return _REMEDY, ""


def _with_slope(dialect: Dialect, new: str) -> Dialect:
    return replace(
        dialect,
        recurrent_activation=new if dialect.recurrent_activation == OLD_SLOPE else dialect.recurrent_activation,
        activation=new if dialect.activation == OLD_SLOPE else dialect.activation,
        output_activation=new if dialect.output_activation == OLD_SLOPE else dialect.output_activation,
    )


def _measured(layer: Layer, other: Dialect) -> float | None:
    """How far a layer's outputs are from the same weights' in another dialect, on a fixed random input."""
    if layer.parameters > _LARGEST:
        return None
    try:
        x, state = random_input(layer)
        return largest(run(layer, x, state)[0], run(layer.replaced(dialect=other), x, state)[0])
    except GatewiseError:
        return None


def _in_bare_weights(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Weights without a config, of a version whose gates had the hard sigmoid unless the model's code said otherwise."""
    for layer in keras_layers(checkpoint):
        if layer.dialect.recurrent_activation != OLD_SLOPE or layer.layout.startswith("keras.CuDNN"):
            continue
        gap = _measured(layer, replace(layer.dialect, recurrent_activation="sigmoid"))
        size = (
            f" A layer of Keras 3's defaults differs by up to {gap:.2g} on a random input." if gap is not None else ""
        )
        yield Finding(
            BARE, "wrong-results", layer.name, f"The weights of {layer.name} are of a Keras whose gates had hard_sigmoid by default.",
            f"The file does not say the activations. Keras 3's default is sigmoid, and its hard_sigmoid has another slope.{size} "
            "`gatewise convert` to keras.LSTM or keras.GRU writes a model of the same function.", "keras>=2.3", None,
            (Outcome(">=2.3", "load_weights into default layers gives other numbers", NUMBERS),),
        )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    if finding.code != OLD or patient.checkpoint is None:
        return ""
    make_modern(patient.draft, patient.checkpoint)
    return _REMEDY.what


AILMENT = Ailment(
    "keras_hard_sigmoid",
    "The hard_sigmoid of before Keras 3",
    {
        OLD: "A layer uses the hard_sigmoid of before Keras 3, which loads without an error and computes something else.",
        BARE: "Bare weights of a Keras whose gates had another default activation.",
    },
    examine,
    treat,
    source="keras 2.2.4 keras/activations.py; keras 3.15.1 keras/src/backend",
)
