"""Which torch wrote a file: what a module's pickled ``__dict__`` has and lacks, held against twenty measured versions.

The table was condensed from the instance dictionaries of every class of torch.nn, dumped by torch 1.0.1, 1.1.0, 1.2.0,
1.3.1, 1.4.0, 1.5.1, 1.6.0, 1.7.1, 1.8.1, 1.9.1, 1.10.2, 1.11.0, 1.12.1, 1.13.1, 2.0.1, 2.1.2, 2.3.1, 2.6.0, 2.9.1 and
2.13.0; it holds only what changes.  Not known: versions before 1.0.1 and those between the measured ones, so a bound
is the minor version after the last one measured on the other side.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from ..record import record
from ..tensors import WrittenBy

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

# class, attribute, measured last without it, measured first with it, measured last with it, measured first without it
# ("Module": what every class has).  None: always, or never again, within the measured versions.
_Row = tuple[str, str, "str | None", "str | None", "str | None", "str | None"]
HISTORY: tuple[_Row, ...] = (
    ("AvgPool2d", "divisor_override", "1.1.0", "1.2.0", None, None),
    ("AvgPool3d", "divisor_override", "1.1.0", "1.2.0", None, None),
    ("CTCLoss", "zero_infinity", "1.0.1", "1.1.0", None, None),
    ("Conv1d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("Conv1d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("Conv2d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("Conv2d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("Conv3d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("Conv3d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("ConvTranspose1d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("ConvTranspose1d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("ConvTranspose2d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("ConvTranspose2d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("ConvTranspose3d", "_reversed_padding_repeated_twice", "1.4.0", "1.5.1", None, None),
    ("ConvTranspose3d", "padding_mode", "1.0.1", "1.1.0", None, None),
    ("CrossEntropyLoss", "label_smoothing", "1.9.1", "1.10.2", None, None),
    ("EmbeddingBag", "include_last_offset", "1.4.0", "1.5.1", None, None),
    ("EmbeddingBag", "padding_idx", "1.8.1", "1.9.1", None, None),
    ("GELU", "approximate", "1.11.0", "1.12.1", None, None),
    ("GRU", "_flat_weights_names", "1.3.1", "1.4.0", None, None),
    ("GRU", "_flat_weights", "1.3.1", "1.4.0", None, None),
    ("GRU", "proj_size", "1.7.1", "1.8.1", None, None),
    ("Hardsigmoid", "inplace", "1.6.0", "1.7.1", None, None),
    ("Hardswish", "inplace", "1.6.0", "1.7.1", None, None),
    ("KLDivLoss", "log_target", "1.5.1", "1.6.0", None, None),
    ("LSTM", "_flat_weights_names", "1.3.1", "1.4.0", None, None),
    ("LSTM", "_flat_weights", "1.3.1", "1.4.0", None, None),
    ("LSTM", "proj_size", "1.7.1", "1.8.1", None, None),
    ("Module", "_backend", None, None, "1.2.0", "1.3.1"),
    ("Module", "_backward_pre_hooks", "1.13.1", "2.0.1", None, None),
    ("Module", "_forward_hooks_always_called", "2.0.1", "2.1.2", None, None),
    ("Module", "_forward_hooks_with_kwargs", "1.13.1", "2.0.1", None, None),
    ("Module", "_forward_pre_hooks_with_kwargs", "1.13.1", "2.0.1", None, None),
    ("Module", "_is_full_backward_hook", "1.7.1", "1.8.1", None, None),
    ("Module", "_load_state_dict_post_hooks", "1.11.0", "1.12.1", None, None),
    ("Module", "_non_persistent_buffers_set", "1.5.1", "1.6.0", None, None),
    ("Module", "_state_dict_pre_hooks", "1.13.1", "2.0.1", None, None),
    ("MultiheadAttention", "_qkv_same_embed_dim", "1.1.0", "1.2.0", None, None),
    ("MultiheadAttention", "batch_first", "1.8.1", "1.9.1", None, None),
    ("MultiheadAttention", "kdim", "1.1.0", "1.2.0", None, None),
    ("MultiheadAttention", "scaling", None, None, "1.1.0", "1.2.0"),
    ("MultiheadAttention", "vdim", "1.1.0", "1.2.0", None, None),
    ("PReLU", "init", "2.0.1", "2.1.2", None, None),
    ("ParameterDict", "_initialized", "1.6.0", "1.7.1", "1.11.0", "1.12.1"),
    ("ParameterDict", "_keys", "1.11.0", "1.12.1", None, None),
    ("ParameterList", "_initialized", "1.6.0", "1.7.1", "1.11.0", "1.12.1"),
    ("ParameterList", "_size", "1.11.0", "1.12.1", None, None),
    ("RNN", "_flat_weights_names", "1.3.1", "1.4.0", None, None),
    ("RNN", "_flat_weights", "1.3.1", "1.4.0", None, None),
    ("RNN", "nonlinearity", "1.3.1", "1.4.0", None, None),
    ("RNN", "proj_size", "1.7.1", "1.8.1", None, None),
    ("RNNBase", "_flat_weights_names", "1.3.1", "1.4.0", None, None),
    ("RNNBase", "_flat_weights", "1.3.1", "1.4.0", None, None),
    ("RNNBase", "proj_size", "1.7.1", "1.8.1", None, None),
    ("ReLU", "threshold", None, None, "1.0.1", "1.1.0"),
    ("ReLU", "value", None, None, "1.0.1", "1.1.0"),
    ("SmoothL1Loss", "beta", "1.6.0", "1.7.1", None, None),
    ("SyncBatchNorm", "ddp_gpu_size", None, None, "1.8.1", "1.9.1"),
    ("Transformer", "batch_first", "1.8.1", "1.9.1", None, None),
    ("TransformerDecoderLayer", "activation", "1.2.0", "1.3.1", None, None),
    ("TransformerDecoderLayer", "norm_first", "1.9.1", "1.10.2", None, None),
    ("TransformerEncoder", "enable_nested_tensor", "1.11.0", "1.12.1", None, None),
    ("TransformerEncoder", "mask_check", "1.12.1", "1.13.1", None, None),
    ("TransformerEncoder", "use_nested_tensor", "2.0.1", "2.1.2", None, None),
    ("TransformerEncoderLayer", "activation", "1.2.0", "1.3.1", None, None),
    ("TransformerEncoderLayer", "activation_relu_or_gelu", "1.11.0", "1.12.1", None, None),
    ("TransformerEncoderLayer", "norm_first", "1.9.1", "1.10.2", None, None),
    ("Upsample", "recompute_scale_factor", "1.10.2", "1.11.0", None, None),
    ("UpsamplingBilinear2d", "recompute_scale_factor", "1.10.2", "1.11.0", None, None),
    ("UpsamplingNearest2d", "recompute_scale_factor", "1.10.2", "1.11.0", None, None),
)


@functools.cache
def _of_class() -> dict[str, tuple[_Row, ...]]:
    """Class → its rows and those of every class, in the table's order."""
    kinds = dict.fromkeys(row[0] for row in HISTORY)
    return {kind: tuple(row for row in HISTORY if row[0] in ("Module", kind)) for kind in kinds}


@record
class Bound:
    """One piece of evidence.  ``lower``: written by ``minor`` or newer; else by something older than ``minor``.

    An upper bound is weak: a module that an old torch made and a new one saved again still lacks what is new.
    """

    lower: bool
    minor: tuple[int, int]
    text: str

    def __str__(self) -> str:
        return f"{'>=' if self.lower else '<'}{self.minor[0]}.{self.minor[1]}"


def at_least(after: str, text: str) -> Bound:
    """Newer than the measured version ``after``."""
    major, minor = _minor(after)
    return Bound(True, _NEXT_MINOR.get((major, minor), (major, minor + 1)), text)


def older_than(version: str, text: str) -> Bound:
    """Older than the measured version."""
    return Bound(False, _minor(version), text)


_NEXT_MINOR = {(1, 13): (2, 0)}  # there is no 1.14


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _attribute(kind: str, row: _Row, present: bool) -> Iterator[Bound]:
    """What the presence or the absence of one attribute says."""
    _class, name, absent, first, last, gone = row
    if present:
        if absent:
            yield at_least(absent, f"{kind} state has {name} (absent in {absent})")
        if gone:
            yield older_than(gone, f"{kind} state has {name} (gone in {gone})")
    elif first and not last:
        yield older_than(first, f"{kind} state has no {name} (first in {first})")
    elif last and not first:
        yield at_least(last, f"{kind} state has no {name} (last in {last})")


def bounds_of(kind: str, attributes: Mapping[Any, Any]) -> Iterator[Bound]:
    """The evidence in one module's ``__dict__``; ``kind`` is its class's full name."""
    module, _, name = kind.rpartition(".")
    ours = name if module.startswith("torch.nn.modules.") else ""
    shown = name or kind
    for row in _of_class().get(ours, _of_class()["Module"]):
        yield from _attribute(shown, row, row[1] in attributes)
    if type(attributes.get("_parameters")) is dict:
        yield at_least("2.3.1", f"{shown} keeps its parameters in a dict (an OrderedDict in 2.3.1)")
    if ours in ("LSTM", "GRU", "RNN"):
        if type(attributes.get("dropout")) is int:
            yield older_than("1.1.0", f"{shown} has an integer dropout (a float from 1.1.0)")
        for name in ("dropout_state", "_data_ptrs"):  # source of 0.4.0's RNNBase.__init__; gone in 1.0.1
            if name in attributes:
                yield older_than("1.0.1", f"{shown} state has {name} (gone in 1.0.1)")


def written_by(
    modules: Iterable[tuple[str, Mapping[Any, Any]]], container: Iterable[Bound] = (), otherwise: str = ""
) -> tuple[WrittenBy, ...]:
    """The tightest bounds over all modules and the container's own evidence, and what set them.

    Where upper bounds contradict lower ones the file was saved again by a newer torch: the lower bounds stand, and the
    contradiction is told.  ``otherwise`` is the reason to give when nothing bounds the version.
    """
    bounds = [*container, *(bound for kind, attributes in modules for bound in bounds_of(kind, attributes))]
    lower = max((bound for bound in bounds if bound.lower), key=lambda bound: bound.minor, default=None)
    uppers = [bound for bound in bounds if not bound.lower]
    fits = [bound for bound in uppers if lower is None or bound.minor > lower.minor]
    contradict = [bound for bound in uppers if lower is not None and bound.minor <= lower.minor]
    upper = min(fits, key=lambda bound: bound.minor, default=None)
    older = min(contradict, key=lambda bound: bound.minor, default=None)
    set_by = [bound for bound in (lower, upper) if bound is not None]
    because = "; ".join(bound.text for bound in set_by) or otherwise
    if older is not None:
        because += f"; {older.text}: an older torch made that object, this one saved it again"
    return (WrittenBy("torch", ",".join(str(bound) for bound in set_by), because),)
