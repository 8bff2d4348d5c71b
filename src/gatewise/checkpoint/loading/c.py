"""C: one time step of the first layer, in the words of the header; the header itself says the equations of every layer."""

from __future__ import annotations

import re
from pathlib import Path

from ._pieces import Piece

_STEPS = {
    "lstm": (
        "void step(const float *x, float *h, float *c) {  /* the new state in the old one's place */",
        "  float h_new[OUTPUTS];",
        "  for (int j = 0; j < UNITS; j++) {",
        "    float i = sigmoid(SUM(i)), f = sigmoid(SUM(f)), g = tanhf(SUM(g)), o = sigmoid(SUM(o));",
        "    c[j] = f * c[j] + i * g;",
        "    h_new[j] = o * tanhf(c[j]);",
        "  }",
    ),
    "gru": (
        "void step(const float *x, float *h) {  /* the new state in the old one's place */",
        "  float h_new[OUTPUTS];",
        "  for (int j = 0; j < UNITS; j++) {",
        "    float r = sigmoid(SUM(r)), z = sigmoid(SUM(z));",
        "    float inner = dot({prefix}_recurrent_kernel_n[j], h, OUTPUTS) + {prefix}_recurrent_bias_n[j];",
        "    float n = tanhf(dot({prefix}_kernel_n[j], x, INPUTS) + {prefix}_bias_n[j] + r * inner);",
        "    h_new[j] = z * h[j] + (1 - z) * n;",
        "  }",
    ),
    "rnn": (
        "void step(const float *x, float *h) {  /* the new state in the old one's place */",
        "  float h_new[OUTPUTS];",
        "  for (int j = 0; j < UNITS; j++) h_new[j] = tanhf(SUM(h));",
    ),
}


def code(path: str, container: str, pieces: list[Piece]) -> str:  # noqa: ARG001
    """Lines that compile; where the layer is not the plain one, what to change stands in the header."""
    piece = pieces[0]
    prefix = re.sub(r"\W+", "_", piece.name, flags=re.ASCII).strip("_") or piece.stack.cell
    big, own = prefix.upper(), f"{prefix}_l0"
    plain = piece.stack.dialect == piece.layout.meaning and piece.stack.spec.proj_size == 0
    return "\n".join([
        "#include <math.h>",
        "#include <string.h>",
        f'#include "{Path(path).name}"',
        "",
        *([] if plain else ["/* This layer is not the plain one: take its equations from the header's comment. */"]),
        f"enum {{ INPUTS = {big}_INPUTS, UNITS = {big}_UNITS, OUTPUTS = {big}_OUTPUTS }};",
        "static float sigmoid(float v) { return 1 / (1 + expf(-v)); }",
        "static float dot(const float *w, const float *v, int n) {",
        "  float sum = 0;",
        "  for (int k = 0; k < n; k++) sum += w[k] * v[k];",
        "  return sum;",
        "}",
        f"#define SUM(gate) (dot({own}_kernel_##gate[j], x, INPUTS) \\",
        f"  + dot({own}_recurrent_kernel_##gate[j], h, OUTPUTS) + {own}_bias_##gate[j])",
        *(line.replace("{prefix}", own) for line in _STEPS[piece.stack.cell]),
        "  memcpy(h, h_new, sizeof h_new);",
        "}",
        "",
    ])  # fmt: skip
