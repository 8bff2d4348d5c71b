"""OpenVINO: the graph compiled for the CPU, and one run of it from zero states."""

from __future__ import annotations

from ._pieces import Piece


def code(path: str, container: str, pieces: list[Piece]) -> str:  # noqa: ARG001
    return "\n".join([
        "import numpy",
        "import openvino",
        "",
        f'model = openvino.Core().compile_model({path!r}, "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})',
        "batch, time = 3, 7  # any",
        "inputs = {}",
        "for each in model.inputs:",
        "    size = iter([batch, time])",
        "    shape = [next(size) if axis.is_dynamic else len(axis) for axis in each.partial_shape]",
        "    inputs[each.any_name] = numpy.zeros(shape, numpy.float32)",
        "outputs = {each.any_name: value for each, value in model(inputs).items()}",
        "",
    ])  # fmt: skip
