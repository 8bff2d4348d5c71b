"""What an old torch.nn module lacks today: from its pickled state, the attributes that make it whole.

Pure functions of the state, for the repair of files (where its values are inert) and for live modules alike.  Imports
nothing of ours and keeps to Python 3.7: ``make old-torch`` runs it under the Pythons of old torch versions.

Source: every class of torch.nn pickled by twenty versions, 1.0.1 to 2.13.0, and loaded by 2.13.0; a default is the value
under which the newest version computes what the old one did.  Not known: GaussianNLLLoss of 1.8 (its formula changed).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

RECURRENT = ("RNNBase", "LSTM", "GRU", "RNN")


def reversed_padding(state: Mapping[Any, Any]) -> tuple[int, ...]:
    """What F.pad is to add to a convolution's input, last axis first.  Up to 1.4 "circular" padded half of ``padding`` on each
    side, the odd one first, and nothing at all for a padding of 1 (their slice ``[-n:-0]`` was empty): kept, for the same
    numbers.  Zeros where the padding is no list of sizes, but a name."""
    padding = state.get("padding")
    sizes = padding if isinstance(padding, tuple) else (0,) * len(state.get("kernel_size") or ())
    pairs = [(size, size) for size in sizes]
    if state.get("padding_mode") == "circular" and not state.get("transposed"):
        pairs = [(0, 0) if size == 1 else ((size + 1) // 2, size // 2) for size in sizes]
    return tuple(side for pair in reversed(pairs) for side in pair)


def recompute_scale_factor(state: Mapping[Any, Any]) -> bool | None:
    """Up to 1.5 interpolation computed the scale anew from the output's size; from 1.6 on, which brought
    ``_non_persistent_buffers_set`` too, it does not.  Since 2.1 torch takes every old object for one of the first kind."""
    return True if state.get("size") is None and "_non_persistent_buffers_set" not in state else None


# Attribute -> value, or a function of the state.  TransformerEncoder(Layer): the fast path, which old versions had not, stays off.
_CONV = {
    "padding_mode": "zeros",
    "_reversed_padding_repeated_twice": reversed_padding,
}  # in this order: the second asks for the first
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "AvgPool2d": {"divisor_override": None},
    "AvgPool3d": {"divisor_override": None},
    "CTCLoss": {"zero_infinity": False},
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "Conv3d": _CONV,
    "ConvTranspose1d": _CONV,
    "ConvTranspose2d": _CONV,
    "ConvTranspose3d": _CONV,
    "CrossEntropyLoss": {"label_smoothing": 0.0},
    "EmbeddingBag": {"include_last_offset": False, "padding_idx": None},
    "GELU": {"approximate": "none"},
    "Hardsigmoid": {"inplace": False},
    "Hardswish": {"inplace": False},
    "KLDivLoss": {"log_target": False},
    "MultiheadAttention": {
        "_qkv_same_embed_dim": True,
        "kdim": lambda state: state["embed_dim"],
        "vdim": lambda state: state["embed_dim"],
        "batch_first": False,
    },
    "PReLU": {"init": 0.25},
    "ParameterDict": {"_keys": lambda state: dict.fromkeys(state["_parameters"])},
    "ParameterList": {"_size": lambda state: len(state["_parameters"])},
    "RNN": {"nonlinearity": lambda state: state["mode"].partition("_")[2].lower()},
    "SmoothL1Loss": {"beta": 1.0},
    "Transformer": {"batch_first": False},
    "TransformerDecoderLayer": {"norm_first": False},
    "TransformerEncoder": {"enable_nested_tensor": False, "mask_check": True, "use_nested_tensor": False},
    "TransformerEncoderLayer": {"norm_first": False, "activation_relu_or_gelu": 0},
    "Upsample": {"recompute_scale_factor": recompute_scale_factor},
}

# Classes that pickles name and that are gone: (module, class) -> what to use instead, the newest name first.
GONE = {("torch.nn.modules.linear", "_LinearWithBias"): ("NonDynamicallyQuantizableLinear", "Linear")}


def lacks(classes: Iterable[str], state: Mapping[Any, Any]) -> dict[str, Any]:
    """The attributes to set so that a module of these torch.nn classes (its own and those it inherits from) is whole.

    Empty for a healthy one.  The state is not changed.
    """
    found: dict[str, Any] = {}
    for name in classes:
        if name in RECURRENT and "_all_weights" not in found:
            found.update(_recurrent(state))
        for attribute, default in DEFAULTS.get(name, {}).items():
            if attribute not in state and attribute not in found:
                found[attribute] = default({**state, **found}) if callable(default) else default
    return found


def _recurrent(state: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The private lists that forward and ``_apply`` use: instance attributes since 1.4, a property before."""
    if "mode" not in state:
        return  # not yet initialised, or no recurrent state at all: nothing to go by
    if "proj_size" not in state:
        yield "proj_size", 0
    if type(state.get("dropout")) is int:  # up to 1.0; TorchScript wants a float
        yield "dropout", float(state["dropout"])
    names = weight_names(state)
    if names is not state.get("_all_weights"):
        yield "_all_weights", names
    if "_flat_weights_names" not in state:
        yield "_flat_weights_names", [name for layer in names for name in layer]
    if "_flat_weights" not in state:
        parameters = state.get("_parameters", {})
        yield "_flat_weights", [parameters.get(name, state.get(name)) for layer in names for name in layer]


def weight_names(state: Mapping[Any, Any]) -> list[list[str]]:
    """The names of a recurrent module's weights, a list for each layer and direction, in torch's order.

    As the state has them; built from its sizes where it has tensors instead (before 0.2).
    """
    told = state.get("_all_weights")
    if told and told[0] and isinstance(told[0][0], str):
        return told  # type: ignore[no-any-return]
    kinds = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if state.get("bias", True) else [])
    kinds += ["weight_hr"] if state.get("proj_size") else []
    directions = ("", "_reverse") if state.get("bidirectional") else ("",)
    layers = range(state.get("num_layers", 1))
    return [[f"{kind}_l{layer}{end}" for kind in kinds] for layer in layers for end in directions]
