"""Other classes of torch.nn whose old pickles break: attributes that came later, and a class that was renamed.

One of them beside the LSTM breaks the model just as dead.  A row of TABLE is a class, an attribute, the version whose
forward asks for it first, and what the value means with which today's version computes what the old one did
(``_torch_state``'s, which live modules get too).  Left alone is what
torch itself gives old objects in ``__setstate__``, and what is only asked for by ``repr``'s like.
Source: the instance dictionaries and the forwards of every class of torch.nn in twenty versions, 1.0.1 to 2.13.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..containers._pickled import Global, Stub
from ..containers._torch_objects import Found
from ..containers._torch_state import DEFAULTS, GONE
from ..containers._torch_tree import class_name
from . import LOAD, SCRIPT, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import TORCH_NN, found, missing_attribute, treated

_Attributes = Mapping[Any, Any]
((_MODULE, _OLD), (_NEW, *_)) = next(iter(GONE.items()))
RENAMED, RENAMED_TO = Global(_MODULE, _OLD), Global(_MODULE, _NEW)
RENAMED_CODE = "GW115"


@dataclass(frozen=True)
class Row:
    """``value``: what makes the attribute's from the others, where it is not what DEFAULTS has; ``unless``: where nothing
    asks for it."""

    code: str
    classes: tuple[str, ...]
    attribute: str
    since: str
    means: str
    value: Callable[[_Attributes], Any] | None = None
    unless: Callable[[_Attributes], bool] = lambda _attributes: False
    exactness: str = "exact"
    until: str = ""  # the first version that no longer asks
    script: bool = False  # only torch.jit.script asks

    @property
    def affects(self) -> str:
        return f">={self.since}" + (f",<{self.until}" if self.until else "")

    def value_for(self, attributes: _Attributes) -> Any:
        value = self.value or DEFAULTS[self.classes[0]][self.attribute]
        return value(attributes) if callable(value) else value


def _activation(attributes: _Attributes) -> int:
    """1 for relu, 2 for gelu, 0 for others: which fast path may stand in for the layer."""
    activation = attributes.get("activation")
    name = activation.name if isinstance(activation, Global) else "relu" if activation is None else ""
    return {"relu": 1, "gelu": 2}.get(name, 0)


def _zero_padded(attributes: _Attributes) -> bool:
    return attributes.get("padding_mode", "zeros") != "circular" or not isinstance(attributes.get("padding"), tuple)


def _submodule(attributes: _Attributes, *names: str) -> _Attributes:
    """The attributes of a module's module's module, empty where there is none."""
    for name in names:
        stub = (attributes.get("_modules") or {}).get(name)
        attributes = stub.attributes if isinstance(stub, Stub) else {}
    return attributes


def _time_first(*path: str) -> Callable[[_Attributes], bool]:
    """Is the attention below ``path`` one that takes time first?  The fast paths, and what they ask for, want batch first."""
    return lambda attributes: _submodule(attributes, *path, "self_attn").get("batch_first") is not True


_ATTENTION = ("MultiheadAttention", "Transformer")
_LAYERS = ("TransformerEncoderLayer", "TransformerDecoderLayer")
TABLE = (
    Row("GW124", ("AvgPool2d", "AvgPool3d"), "divisor_override", "1.2", "no override"),
    Row("GW125", ("Conv1d", "Conv2d", "Conv3d"), "_reversed_padding_repeated_twice", "1.5",
        "the padding that the version that wrote it used, which is not what a module made today with padding_mode="
        "'circular' uses", unless=_zero_padded, exactness="exact: what torch 1.1 to 1.4 computed"),
    Row("GW125", ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
        "_reversed_padding_repeated_twice", "1.5", "which padding_mode='zeros' does not use",
        unless=lambda attributes: not _zero_padded(attributes), script=True),
    Row("GW118", ("CrossEntropyLoss",), "label_smoothing", "1.10", "no smoothing"),
    Row("GW119", ("EmbeddingBag",), "include_last_offset", "1.5", "the offsets as they were"),
    Row("GW119", ("EmbeddingBag",), "padding_idx", "1.9", "no padding index"),
    Row("GW120", ("GELU",), "approximate", "1.12", "the exact function"),
    Row("GW121", ("Hardsigmoid", "Hardswish"), "inplace", "1.7", "not in place"),
    Row("GW122", ("KLDivLoss",), "log_target", "1.6", "the target as it was"),
    Row("GW123", ("SmoothL1Loss",), "beta", "1.7", "the transition where it was"),
    Row("GW116", _ATTENTION, "batch_first", "1.9", "time first, as it was"),
    Row("GW117", _LAYERS, "norm_first", "1.10", "the norm after, as it was"),
    Row("GW117", ("TransformerEncoderLayer",), "activation_relu_or_gelu", "1.12",
        "as the layer's activation is", _activation, unless=_time_first()),
    Row("GW117", ("TransformerEncoderLayer",), "activation_relu_or_gelu", "1.12",
        "as the layer's activation is", _activation, unless=lambda attributes: not _time_first()(attributes), script=True),
    Row("GW117", ("TransformerEncoder",), "enable_nested_tensor", "1.12", "no nested tensors, as it was",
        unless=_time_first("layers", "0"), until="2.1"),
    Row("GW126", ("ParameterList",), "_size", "1.12",
        "the number of its parameters"),
    Row("GW126", ("ParameterDict",), "_keys", "1.12",
        "the names of its parameters"),
)  # fmt: skip


def rows(each: Found) -> Iterator[Row]:
    """The rows whose attribute this object lacks."""
    if each.kind.startswith(TORCH_NN):
        for row in TABLE:
            if each.name in row.classes and row.attribute not in each.attributes and not row.unless(each.attributes):
                yield row


def examine(patient: Patient) -> Iterable[Finding]:
    objects = list(found(patient))
    stacked = {id(layer) for each in objects if each.name in _STACKS for layer in _layers(each)}
    for each in objects:
        if each.kind == str(RENAMED):
            yield _renamed(each)
        for row in rows(each):
            yield Finding(
                row.code, "note" if row.script else "breaks", each.path, f"This pickled {each.name} has no {row.attribute}.",
                f"The attribute came after the version that pickled the object; torch {row.since} and later ask for it"
                f"{', though only in torch.jit.script' if row.script else ''}.",
                f"torch{row.affects}",
                Remedy(f"set {row.attribute} to {_shown(row.value_for(each.attributes))}: {row.means}", row.exactness),
                _outcomes(each, row, id(each.stub) in stacked), each.order,
            )  # fmt: skip


_STACKS = ("TransformerEncoder", "TransformerDecoder")


def _layers(each: Found) -> list[Any]:
    return list((_submodule(each.attributes, "layers").get("_modules") or {}).values())


def _outcomes(each: Found, row: Row, stacked: bool) -> tuple[Outcome, ...]:
    """Which attribute is asked for first.  Measured: transformers of 1.2.0 to 1.9.1 in 1.9.1 to 2.13.0."""
    if row.script:
        says = f"RuntimeError: Module '{each.name}' has no attribute '{row.attribute}'"
        return (Outcome(row.affects, "torch.jit.script fails", SCRIPT, says),)
    attributes, owner, first = each.attributes, each.name, row.attribute
    turn = "2.1" if stacked or each.name == "TransformerDecoderLayer" else "2.0"  # from then on others come first
    if each.name == "TransformerEncoder":
        layer = next((layer.attributes for layer in _layers(each) if isinstance(layer, Stub)), {})
        asked = [name for name in ("norm_first", "activation_relu_or_gelu") if name not in layer]
        owner, first = ("TransformerEncoderLayer", asked[0]) if asked else (owner, first)
        return missing_attribute(owner, first, row.since, row.until)
    if row.attribute != "norm_first" or (each.name == "TransformerDecoderLayer" and not stacked):
        return missing_attribute(owner, first, row.since, row.until)
    if "batch_first" not in _submodule(attributes, "self_attn"):
        owner, first = "MultiheadAttention", "batch_first"
    elif (
        each.name == "TransformerEncoderLayer"
        and "activation_relu_or_gelu" not in attributes
        and not _time_first()(attributes)
    ):
        first = "activation_relu_or_gelu"
    return (
        *missing_attribute(each.name, row.attribute, row.since, turn),
        *missing_attribute(owner, first, turn, row.until),
    )


def _renamed(each: Found) -> Finding:
    return Finding(
        RENAMED_CODE, "breaks", each.path, f"This object's class is {RENAMED}, which exists in torch 1.6 to 1.8 only.",
        "PyTorch 1.9 renamed this private class of MultiheadAttention's output layer; an old pickle asks for the old name.",
        "torch>=1.9", Remedy(f"name the class {RENAMED_TO.name}, as torch calls it since", "exact"),
        (Outcome(">=1.9", "fails in torch.load", LOAD,
                 f"AttributeError: Can't get attribute '{RENAMED.name}' on <module '{RENAMED.module}'"),), each.order,
    )  # fmt: skip


def _shown(value: Any) -> str:
    return repr(value) if not isinstance(value, dict) else repr(list(value))


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    if stub is None:
        return ""
    if finding.code == RENAMED_CODE:
        stub.cls = RENAMED_TO
        return f"its class is now {RENAMED_TO.name}"
    here = Found(finding.where, stub, class_name(stub.cls))
    for row in rows(here):
        if row.code == finding.code and f"no {row.attribute}." in finding.what:
            stub.attributes[row.attribute] = row.value_for(stub.attributes)
            return f"{row.attribute} set to {_shown(stub.attributes[row.attribute])}"
    return ""


AILMENT = Ailment(
    "torch_nn_attributes",
    "Other classes of torch.nn whose old pickles lack what today's forward asks for",
    {
        RENAMED_CODE: "A pickled MultiheadAttention of torch 1.6 to 1.8 names the class `_LinearWithBias`.",
        **{
            code: "A pickled " + ", ".join(dict.fromkeys(name for row in TABLE if row.code == code for name in row.classes))
            + " lacks " + ", ".join(dict.fromkeys(f"`{row.attribute}`" for row in TABLE if row.code == code)) + "."
            for code in dict.fromkeys(row.code for row in TABLE)
        },
    },
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules",
)  # fmt: skip
