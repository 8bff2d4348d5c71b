"""Thirty lines of C that run what a header holds, put together from the header's own words; compiled with cc."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
_HEAD = """
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "weights.h"
static double sigmoid(double v) { return 1 / (1 + exp(-v)); }
#define FOR(k, n) for (int k = 0; k < (n); k++)
#define SUM(P, g, v) (dot(P##_kernel_##g[j], x, in) + dot(P##_recurrent_kernel_##g[j], v, OUT) + P##_bias_##g[j])
#define dot(w, v, n) ({ double s = 0; FOR(k, n) s += (double)(w)[k] * (v)[k]; s; })
#define IN_ORDER(T, reverse) FOR(at, T) { int t = (reverse) ? T - 1 - at : at; const double *x = in_ + t * in; double n_[OUT];
"""
_STEPS = {
    "lstm": """
#define RUN(P, reverse, column) { double h[OUT] = {0}, c[UNITS] = {0}; IN_ORDER(T, reverse)
  FOR(j, UNITS) { double i = sigmoid(SUM(P, i, h)), f = sigmoid(SUM(P, f, h)), g = tanh(SUM(P, g, h));
    double o = sigmoid(SUM(P, o, h)); c[j] = f * c[j] + i * g; n_[j] = o * tanh(c[j]); }
  memcpy(h, n_, sizeof h); FOR(j, OUT) out_[t * width + column + j] = h[j]; } }
""",
    "gru": """
#define RUN(P, reverse, column) { double h[OUT] = {0}; IN_ORDER(T, reverse)
  FOR(j, UNITS) { double r = sigmoid(SUM(P, r, h)), z = sigmoid(SUM(P, z, h));
    double inner = dot(P##_recurrent_kernel_n[j], h, OUT) + P##_recurrent_bias_n[j];
    double n = tanh(dot(P##_kernel_n[j], x, in) + P##_bias_n[j] + r * inner); n_[j] = z * h[j] + (1 - z) * n; }
  memcpy(h, n_, sizeof h); FOR(j, OUT) out_[t * width + column + j] = h[j]; } }
""",
    "rnn": """
#define RUN(P, reverse, column) { double h[OUT] = {0}; IN_ORDER(T, reverse)
  FOR(j, UNITS) n_[j] = tanh(SUM(P, h, h));
  memcpy(h, n_, sizeof h); FOR(j, OUT) out_[t * width + column + j] = h[j]; } }
""",
}


def program(cell: str, prefix: str, layers: int, directions: int, time: int) -> str:
    big = prefix.upper()
    step = "\n".join(_STEPS[cell].strip().splitlines()).replace("\n", " \\\n")
    head = _HEAD.replace(
        "const double *x = in_ + t * in; double n_[OUT];", "const double *x = in_ + t * in; double n_[OUT];"
    )
    lines = [head, step, f"enum {{ T = {time}, UNITS = {big}_UNITS, OUT = {big}_OUTPUTS, width = OUT * {big}_DIRECTIONS }};",
             "static double a[T * 64], b[T * 64];", "int main(void) {", f"  int in = {big}_INPUTS; double *in_ = a, *out_ = b, *swap;",
             '  FOR(k, T * in) if (scanf("%lf", a + k) != 1) return 1;']  # fmt: skip
    for layer in range(layers):
        lines.append(f"  RUN({prefix}_l{layer}, 0, 0)")
        if directions == 2:
            lines.append(f"  RUN({prefix}_l{layer}_reverse, 1, OUT)")
        lines.append("  swap = in_; in_ = out_; out_ = swap; in = width;")
    return "\n".join([*lines, '  FOR(k, T * width) printf("%.17g\\n", in_[k]);', "  return 0;", "}", ""])


def run(folder: Path, cell: str, prefix: str, layers: int, directions: int, x: np.ndarray) -> np.ndarray:
    """What the compiled program makes of one sequence, from zero states."""
    (folder / "run.c").write_text(program(cell, prefix, layers, directions, len(x)))
    subprocess.run(
        [COMPILER, "-std=gnu99", "-O1", "-Wno-unused", "-o", folder / "run", folder / "run.c", "-lm"], check=True
    )
    text = "\n".join(repr(float(number)) for number in x.reshape(-1))
    done = subprocess.run([folder / "run"], input=text, capture_output=True, text=True, check=True)
    return np.array([float(line) for line in done.stdout.split()]).reshape(len(x), -1)
