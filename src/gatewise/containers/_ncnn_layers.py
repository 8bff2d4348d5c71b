"""Which weights ncnn's layers keep in the ``.bin``, in the order in which they are loaded.

Source: ``load_param`` and ``load_model`` of every file in ncnn's src/layer, July 2026.  A kind of layer that is not listed
has none.  Not known here: files; Gemm's and attention's weights of four and six bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

FLAGGED, PLAIN = 0, 1  # is there a word before the elements that says how they are stored?
Blob = tuple[str, tuple[int, ...], int]
Parameters = dict[int, "Any"]


class Unknown(Exception):
    """The layer's weights are stored in a way that is not listed here."""


def _whole(parameters: Parameters, key: int, default: int = 0) -> int:
    value = parameters.get(key, default)
    if not isinstance(value, int):
        raise Unknown(f"its parameter {key} is no whole number")
    return value


def _convolution(
    parameters: Parameters, group: bool = False, dynamic: int = 19, integers: bool = True
) -> Iterator[Blob]:
    outputs, scales = _whole(parameters, 0), _whole(parameters, 8) if integers else 0
    if _whole(parameters, dynamic):
        return
    yield "weight", (_whole(parameters, 6),), FLAGGED
    if _whole(parameters, 5):
        yield "bias", (outputs,), PLAIN
    if scales:
        many = outputs if not group else _whole(parameters, 7, 1) if scales in (1, 101) else 1
        yield "weight_int8_scales", (many,), PLAIN
        yield "bottom_blob_int8_scales", (1,), PLAIN
    if scales > 100:
        yield "top_blob_int8_scales", (1,), PLAIN


def _deconvolution(parameters: Parameters) -> Iterator[Blob]:
    return _convolution(parameters, dynamic=28, integers=False)


def _volume(parameters: Parameters) -> Iterator[Blob]:
    return _convolution(parameters, dynamic=-1, integers=False)


def _inner_product(parameters: Parameters) -> Iterator[Blob]:
    yield "weight", (_whole(parameters, 2),), FLAGGED
    if _whole(parameters, 1):
        yield "bias", (_whole(parameters, 0),), PLAIN
    if _whole(parameters, 8):
        yield "weight_int8_scales", (_whole(parameters, 0),), PLAIN
        yield "bottom_blob_int8_scales", (1,), PLAIN


def _embed(parameters: Parameters) -> Iterator[Blob]:
    yield "weight", (_whole(parameters, 3),), FLAGGED
    if _whole(parameters, 2):
        yield "bias", (_whole(parameters, 0),), PLAIN
    if _whole(parameters, 18):
        yield "weight_int8_scale", (1,), PLAIN


def _scale(parameters: Parameters) -> Iterator[Blob]:
    size = _whole(parameters, 0)
    if size != -233:  # given by another layer
        yield "scale", (size,), PLAIN
        if _whole(parameters, 1):
            yield "bias", (size,), PLAIN


def _memory(parameters: Parameters) -> Iterator[Blob]:
    shape = [_whole(parameters, key) for key in (2, 11, 1, 0)]
    if any(shape):
        yield "data", tuple(size for size in shape if size), _whole(parameters, 21, 1)


def _norm(size: int, affine: int, *names: str) -> Callable[[Parameters], Iterator[Blob]]:
    def blobs(parameters: Parameters) -> Iterator[Blob]:
        if _whole(parameters, affine, 1):
            yield from ((name, (_whole(parameters, size),), PLAIN) for name in names)

    return blobs


def _optional(name: str, size: int) -> Callable[[Parameters], Iterator[Blob]]:
    def blobs(parameters: Parameters) -> Iterator[Blob]:
        if _whole(parameters, size):
            yield name, (_whole(parameters, size),), PLAIN

    return blobs


def _quantise(*names: tuple[str, int, int]) -> Callable[[Parameters], Iterator[Blob]]:
    def blobs(parameters: Parameters) -> Iterator[Blob]:
        for name, key, default in names:
            if _whole(parameters, key, default):
                yield name, (_whole(parameters, key, default),), PLAIN

    return blobs


def _gemm(parameters: Parameters) -> Iterator[Blob]:
    m, n, k = (_whole(parameters, key) for key in (7, 8, 9))
    quantised = _whole(parameters, 18)
    if quantised not in (0, 1):
        raise Unknown(f"its weights are packed in a way ({quantised}) that is not read")
    if _whole(parameters, 4) == 1:
        yield "A", (k, m) if _whole(parameters, 2) else (m, k), FLAGGED
    if _whole(parameters, 5) == 1:
        yield "B", (n, k) if _whole(parameters, 3) else (k, n), FLAGGED
    shapes = {0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n)}
    if _whole(parameters, 6) == 1 and (kind := _whole(parameters, 10)) in shapes:
        yield "C", shapes[kind], FLAGGED
    if quantised and _whole(parameters, 4) == 1:
        yield "A_int8_scales", (m,), PLAIN
    if quantised and _whole(parameters, 5) == 1:
        yield "B_int8_scale", (1,), PLAIN


def _attention(parameters: Parameters) -> Iterator[Blob]:
    width, size = _whole(parameters, 0), _whole(parameters, 2)
    quantised = _whole(parameters, 18)
    if quantised not in (0, 1) or not width:
        raise Unknown(f"its weights are packed in a way ({quantised}) that is not read")
    query = size // width
    inputs = {"q": query, "k": _whole(parameters, 3, width), "v": _whole(parameters, 4, width)}
    for name, each in inputs.items():
        yield f"{name}_weight", (width, each), FLAGGED
        yield f"{name}_bias", (width,), PLAIN
    yield "out_weight", (query, width), FLAGGED
    yield "out_bias", (query,), PLAIN
    if quantised:
        yield from ((f"{name}_weight_int8_scales", (width,), PLAIN) for name in inputs)
        yield "out_weight_int8_scale", (1,), PLAIN


def _recurrent(rows: int, biases: int, hidden: bool = False) -> Callable[[Parameters], Iterator[Blob]]:
    """LSTM, GRU, RNN: the names are those of the source's members, without ``_data``."""

    def blobs(parameters: Parameters) -> Iterator[Blob]:
        ways = 2 if _whole(parameters, 2) == 2 else 1
        outputs = _whole(parameters, 0)
        units = _whole(parameters, 3, outputs) if hidden else outputs
        if units <= 0:
            raise Unknown("it has no units")
        yield "weight_xc", (ways, rows * units, _whole(parameters, 1) // (ways * units * rows)), FLAGGED
        yield "bias_c", (ways, biases, units), FLAGGED
        yield "weight_hc", (ways, rows * units, outputs), FLAGGED
        if units != outputs:
            yield "weight_hr", (ways, outputs, units), FLAGGED
        if _whole(parameters, 8):
            yield "weight_xc_int8_scales", (ways, rows * units), PLAIN
            yield "weight_hc_int8_scales", (ways, rows * units), PLAIN

    return blobs


RECURRENT = ("LSTM", "GRU", "RNN")
BLOBS: dict[str, Callable[[Parameters], Iterator[Blob]]] = {
    "LSTM": _recurrent(4, 4, hidden=True), "GRU": _recurrent(3, 4), "RNN": _recurrent(1, 1),
    "Convolution": _convolution, "ConvolutionDepthWise": lambda parameters: _convolution(parameters, group=True),
    **dict.fromkeys(("Convolution1D", "ConvolutionDepthWise1D"), lambda parameters: _convolution(parameters, integers=False)),
    **dict.fromkeys(
        ("Deconvolution", "DeconvolutionDepthWise", "Deconvolution1D", "DeconvolutionDepthWise1D"), _deconvolution
    ),
    **dict.fromkeys(
        ("Convolution3D", "ConvolutionDepthWise3D", "Deconvolution3D", "DeconvolutionDepthWise3D", "DeformableConv2D"), _volume
    ),
    "InnerProduct": _inner_product, "Embed": _embed, "Scale": _scale, "MemoryData": _memory, "Gemm": _gemm,
    "MultiHeadAttention": _attention,
    "BatchNorm": _quantise(*((name, 0, 0) for name in ("slope", "mean", "var", "bias"))),
    "Bias": _optional("bias", 0), "PReLU": _optional("slope", 0), "Padding": _optional("per_channel_pad", 6),
    "Normalize": _optional("scale", 3),
    "LayerNorm": _norm(0, 2, "gamma", "beta"), "RMSNorm": _norm(0, 2, "gamma"),
    "InstanceNorm": _norm(0, 2, "gamma", "beta"), "GroupNorm": _norm(1, 3, "gamma", "beta"),
    "Quantize": _quantise(("scale", 0, 1)), "Dequantize": _quantise(("scale", 0, 1), ("bias", 1, 0)),
    "Requantize": _quantise(("scale_in", 0, 1), ("scale_out", 1, 1), ("bias", 2, 0)),
}  # fmt: skip
