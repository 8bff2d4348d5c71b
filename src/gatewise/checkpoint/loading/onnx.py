"""ONNX: a session of onnxruntime, and one run of it from zero states."""

from __future__ import annotations

from ._pieces import Piece


def code(path: str, container: str, pieces: list[Piece]) -> str:  # noqa: ARG001
    return "\n".join([
        "import numpy",
        "import onnxruntime",
        "",
        f"session = onnxruntime.InferenceSession({path!r})",
        'sizes = {"time": 7, "batch": 3}  # any',
        "inputs = {",
        "    each.name: numpy.zeros([sizes.get(size, size) for size in each.shape], numpy.float32)",
        "    for each in session.get_inputs()",
        "}",
        "outputs = dict(zip([each.name for each in session.get_outputs()], session.run(None, inputs)))",
        "",
    ])  # fmt: skip
