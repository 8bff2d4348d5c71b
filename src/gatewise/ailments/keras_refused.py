"""Model files that Keras 3 refuses to load, each with Keras's own words; most are written anew as Keras 3's.

One finding for each sort of reason, at the first layer that has it.  Only what Keras meets first is what it says;
the others come when that is mended, so they have no outcome of their own.
Source: what Keras 3.15.1 said to the files in tests/fixtures/keras; keras/src/saving/saving_api.py, ``load_model``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from ..checkpoint import Checkpoint
from ..errors import NotRepresentable
from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy
from . import _keras3 as keras3
from ._keras3 import Refusal, refusals
from ._keras_modern import modernise
from ._keras_renew import make_modern, version_of

AFFECTS = "keras>=3"
_CODES = {
    keras3.KERAS_1: "GW233", keras3.ARGUMENT: "GW204", keras3.INITIALIZER: "GW231", keras3.WRAPPED: "GW206",
    keras3.CUDNN: "GW232", keras3.CUSTOM: "GW236", keras3.MOVED: "GW230", keras3.CALL_FORM: "GW234",
    keras3.INPUT_SHAPE: "GW205", keras3.NAME: "GW237", keras3.RESET: "GW216", keras3.LAMBDA: "GW605",
}  # fmt: skip
_TOLD = {
    keras3.KERAS_1: ("The model is described in the words of Keras 1.", "Its config is a list, or names its settings as Keras 1 did (output_dim, inner_activation)."),
    keras3.ARGUMENT: ("The config of {kind} says {subject}.", "Keras 3 no longer has this argument and takes no other than its own."),
    keras3.INITIALIZER: ("An initializer is configured with {subject}.", "tf.keras 1.x wrote a dtype into every initializer; Keras 3's take none."),
    keras3.WRAPPED: ("The {subject} inside a wrapper does not say its module.", "Keras 3 looks up what Bidirectional, TimeDistributed and RNN hold by module and class; files of before 2.13 have the class alone."),
    keras3.CUDNN: ("The model has a {subject}.", "Keras 3 has no such class: its LSTM and GRU run cuDNN by themselves, and keep their kernels otherwise."),
    keras3.CUSTOM: ("The model has a {subject}, a class that is not of Keras.", "The file holds its name and settings, not what it computes."),
    keras3.MOVED: ("The config looks for {subject} in a module of Keras 2.", "Keras 3 has moved or dropped that module."),
    keras3.CALL_FORM: ("The {subject} is called with its initial states as further inputs.", "Keras 3 hands all inputs of an old config's call to the first argument."),
    keras3.INPUT_SHAPE: ("A Sequential says its input by batch_input_shape.", "Keras 3 takes it for the shape without the batch and adds an axis."),
    keras3.NAME: ("The layer name {subject!r} has a slash.", "Keras 3 allows none."),
    keras3.RESET: ("The GRU {subject!r} does not say reset_after.", "It was False when the file was written, and is True in Keras 3, which has two biases then."),
}  # fmt: skip
_EXACT = {keras3.CUDNN: "exact up to one rounding (an LSTM's two biases are added)"}
_OTHER = "the whole model is written as Keras 3 writes it; every layer, name and weight is kept"
_CURES = {
    keras3.CUDNN: "the CuDNN layer becomes a plain one of sigmoid gates (GRU: reset_after), its kernels put back in order",
    keras3.KERAS_1: "settings in Keras 3's words, and the tensors of each gate joined",
    keras3.NAME: "slashes in names become underscores",
}  # fmt: skip


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None or not checkpoint.tensors.container.startswith("keras"):
        return
    yield from _by_name(checkpoint)
    yield from _by_config(checkpoint)


def _by_name(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Keras 3 believes a file's suffix."""
    path, container = checkpoint.path, checkpoint.tensors.container
    if container == "keras-h5" and path.endswith(".keras"):
        error = (
            f"ValueError: File not found: filepath={path}. Please ensure the file is an accessible `.keras` zip file."
        )
        yield Finding(
            "GW235", "breaks", "", "The file is called .keras and is HDF5.",
            "tf.keras before 2.13 wrote HDF5 whatever the suffix; Keras 3 takes .keras for a zip archive.", AFFECTS,
            Remedy("written as what its name says", "exact"), (_fails(error),),
        )  # fmt: skip


def _fails(error: str) -> Outcome:
    return Outcome(">=3", "fails in load_model", LOAD, error)


def _by_config(checkpoint: Checkpoint) -> Iterator[Finding]:
    config = checkpoint.tensors.metadata.get("config")
    if not isinstance(config, dict):
        return
    grouped: dict[str, list[Refusal]] = {}
    first: Refusal | None = None
    for refusal in refusals(config):
        first = first or refusal
        if refusal.sort != keras3.LAMBDA:  # the ailment of code in files tells that
            grouped.setdefault(_CODES[refusal.sort], []).append(refusal)
    reason = _hopeless(checkpoint) if grouped else ""
    for code, same in grouped.items():
        yield _finding(code, same, same[0] is first, reason)


def _hopeless(checkpoint: Checkpoint) -> str:
    """Why the model cannot be said in Keras 3, or ""."""
    try:
        modernise(copy.deepcopy(checkpoint.tensors.metadata["config"]), version_of(checkpoint) < (2,))
    except NotRepresentable as error:
        return f"{error.message} {error.next or ''}".strip()
    return ""


def _finding(code: str, same: list[Refusal], is_first: bool, hopeless: str) -> Finding:
    refusal = same[0]
    what, why = _TOLD[refusal.sort]
    kind = refusal.error.partition("passed to ")[2].partition(":")[0]
    more = f" So {'has' if len(same) == 2 else 'have'} {len(same) - 1} more." if len(same) > 1 else ""
    remedy = None
    if not hopeless:
        remedy = Remedy(_CURES.get(refusal.sort, _OTHER), _EXACT.get(refusal.sort, "exact"))
    return Finding(
        code, "breaks", refusal.where, f"{what.format(subject=refusal.subject, kind=kind or 'a layer')}{more} {hopeless}".strip(),
        why, AFFECTS, remedy, (_fails(refusal.error),) if is_first else (), order=1,
    )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    if patient.checkpoint is None:
        return ""
    make_modern(patient.draft, patient.checkpoint)
    return finding.remedy.what if finding.remedy else ""


AILMENT = Ailment(
    "keras_refused",
    "Models that Keras 3 does not load",
    {
        "GW204": "The config has an argument that Keras 3 does not know, mostly `time_major`.",
        "GW205": "`batch_input_shape` in a Sequential, which Keras 3 takes for something else.",
        "GW206": "What a wrapper holds does not say its module, so Keras 3 cannot locate its class.",
        "GW216": "A GRU that does not say `reset_after`, of which Keras 3 has another default.",
        "GW230": "A class is looked for in a module that Keras 3 does not have.",
        "GW231": "An initializer has an argument that Keras 3 does not know, mostly `dtype`.",
        "GW232": "A CuDNNLSTM or CuDNNGRU, which Keras 3 does not have.",
        "GW233": "A model in the words of Keras 1.",
        "GW234": "Initial states are listed as further inputs, as Keras 3 does not read them.",
        "GW235": "A file called `.keras` that is HDF5.",
        "GW236": "A class of the user's own.",
        "GW237": "A layer name with a slash.",
    },
    examine,
    treat,
    source="keras/src/saving of Keras 3.15.1; files of Keras 1.2.2 to tf.keras 2.15.1",
)
