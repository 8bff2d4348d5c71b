"""Other classes of torch.nn whose old pickles break: attributes that came later, and a class that was renamed.

One of them beside the LSTM breaks the model just as dead.  A row of TABLE is a class, an attribute, the version whose
forward asks for it first, and the value with which today's version computes what the old one did.  Left alone is what
torch itself gives old objects in ``__setstate__``, and what is only asked for by ``repr``'s like.
Source: the instance dictionaries and the forwards of every class of torch.nn in twenty versions, 1.0.1 to 2.13.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..containers._pickled import Global, Stub
from ..containers._torch_objects import Found
from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import TORCH_NN, found, missing_attribute, treated

_Attributes = Mapping[Any, Any]
RENAMED = Global("torch.nn.modules.linear", "_LinearWithBias")
RENAMED_TO = Global("torch.nn.modules.linear", "NonDynamicallyQuantizableLinear")
RENAMED_CODE = "GW115"


@dataclass(frozen=True)
class Row:
    """``value``: the attribute's, or what makes it from the others; ``unless``: where nothing asks for it."""

    code: str
    classes: tuple[str, ...]
    attribute: str
    since: str
    value: Any
    means: str
    unless: Callable[[_Attributes], bool] = lambda _attributes: False
    exactness: str = "exact"
    until: str = ""  # the first version that no longer asks

    @property
    def affects(self) -> str:
        return f">={self.since}" + (f",<{self.until}" if self.until else "")

    def value_for(self, attributes: _Attributes) -> Any:
        return self.value(attributes) if callable(self.value) else self.value


def _old_circular(attributes: _Attributes) -> tuple[int, ...]:
    """What 1.1 to 1.4 padded, last axis first: half of ``padding`` on each side, the larger half before.

    Where the half behind is 0 they padded nothing before either (their ``_pad_circular`` took ``[-n:-0]``, which is
    empty): a padding of 1 did nothing.  Today's __init__ would pad all of ``padding`` on both sides, another function.
    """
    halves = ((size + 1) // 2 if size // 2 else 0 for size in reversed(attributes["padding"]))
    behind = (size // 2 for size in reversed(attributes["padding"]))
    return tuple(size for pair in zip(halves, behind, strict=True) for size in pair)


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
    Row("GW124", ("AvgPool2d", "AvgPool3d"), "divisor_override", "1.2", None, "no override"),
    Row("GW125", ("Conv1d", "Conv2d", "Conv3d"), "_reversed_padding_repeated_twice", "1.5", _old_circular,
        "the padding that the version that wrote it used, which is not what a module made today with padding_mode="
        "'circular' uses", unless=_zero_padded, exactness="exact: what torch 1.1 to 1.4 computed"),
    Row("GW118", ("CrossEntropyLoss",), "label_smoothing", "1.10", 0.0, "no smoothing"),
    Row("GW119", ("EmbeddingBag",), "include_last_offset", "1.5", False, "the offsets as they were"),
    Row("GW119", ("EmbeddingBag",), "padding_idx", "1.9", None, "no padding index"),
    Row("GW120", ("GELU",), "approximate", "1.12", "none", "the exact function"),
    Row("GW121", ("Hardsigmoid", "Hardswish"), "inplace", "1.7", False, "not in place"),
    Row("GW122", ("KLDivLoss",), "log_target", "1.6", False, "the target as it was"),
    Row("GW123", ("SmoothL1Loss",), "beta", "1.7", 1.0, "the transition where it was"),
    Row("GW116", _ATTENTION, "batch_first", "1.9", False, "time first, as it was"),
    Row("GW117", _LAYERS, "norm_first", "1.10", False, "the norm after, as it was"),
    Row("GW117", ("TransformerEncoderLayer",), "activation_relu_or_gelu", "1.12", _activation,
        "as the layer's activation is", unless=_time_first()),
    Row("GW117", ("TransformerEncoder",), "enable_nested_tensor", "1.12", False, "no nested tensors, as it was",
        unless=_time_first("layers", "0"), until="2.1"),
    Row("GW126", ("ParameterList",), "_size", "1.12", lambda attributes: len(attributes["_parameters"]),
        "the number of its parameters"),
    Row("GW126", ("ParameterDict",), "_keys", "1.12", lambda attributes: dict.fromkeys(attributes["_parameters"]),
        "the names of its parameters"),
)  # fmt: skip


def rows(each: Found) -> Iterator[Row]:
    """The rows whose attribute this object lacks."""
    if each.kind.startswith(TORCH_NN):
        for row in TABLE:
            if each.name in row.classes and row.attribute not in each.attributes and not row.unless(each.attributes):
                yield row


def examine(patient: Patient) -> Iterable[Finding]:
    for each in found(patient):
        if each.kind == str(RENAMED):
            yield _renamed(each)
        for row in rows(each):
            yield Finding(
                row.code, "breaks", each.path, f"This pickled {each.name} has no {row.attribute}.",
                f"The attribute came after the version that pickled the object; torch {row.since} and later ask for it.",
                f"torch{row.affects}",
                Remedy(f"set {row.attribute} to {_shown(row.value_for(each.attributes))}: {row.means}", row.exactness),
                _outcomes(each, row), each.order,
            )  # fmt: skip


def _outcomes(each: Found, row: Row) -> tuple[Outcome, ...]:
    """An encoder's layer of 2.0 and later asks for other things before its own norm_first."""
    if each.name != "TransformerEncoderLayer" or row.attribute != "norm_first":
        return missing_attribute(each.name, row.attribute, row.since, row.until)
    owner, first = each.name, row.attribute
    if "batch_first" not in _submodule(each.attributes, "self_attn"):
        owner, first = "MultiheadAttention", "batch_first"
    elif "activation_relu_or_gelu" not in each.attributes and not _time_first()(each.attributes):
        first = "activation_relu_or_gelu"
    return (
        *missing_attribute(each.name, row.attribute, row.since, "2.0"),
        *missing_attribute(owner, first, "2.0", row.until),
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
    here = Found(finding.where, stub, str(stub.cls))
    if finding.code == RENAMED_CODE:
        stub.cls = RENAMED_TO
        return f"its class is now {RENAMED_TO.name}"
    done = []
    for row in TABLE:
        if row.code == finding.code and f"no {row.attribute}." in finding.what:
            stub.attributes[row.attribute] = row.value_for(here.attributes)
            done.append(f"{row.attribute} set to {_shown(stub.attributes[row.attribute])}")
    return "; ".join(done)


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
