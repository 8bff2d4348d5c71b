"""C headers: a compiler reads what is written, bit for bit, and thirty lines of C compute what the reference does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import c_program
import numpy as np
import pytest
from filemakers import afresh
from random_layers import Recipe
from together import rarely

import gatewise as gw
from gatewise.errors import GatewiseError, NotRepresentable

FIXTURES = Path(__file__).parent.parent / "fixtures"
needs_cc = pytest.mark.skipif(c_program.COMPILER is None, reason="no C compiler here")
SHAPES = [(1, 1), (3, 1), (1, 2), (2, 2)]


def written(tmp_path: Path, stack: gw.Stack, layout: str | None = None) -> Path:
    gw.save(stack, tmp_path / "weights.h", layout, force=True)
    return tmp_path / "weights.h"


@needs_cc
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("layers", "directions"), rarely(SHAPES[::-1], 4))
def test_thirty_lines_of_c_compute_what_the_reference_does(tmp_path, cell, layers, directions):
    stack = Recipe(cell, feature=5, unit=4, layers=layers, directions=directions).stack
    written(tmp_path, stack)
    x = np.random.default_rng(3).standard_normal((7, 5))
    y, _ = gw.run(gw.open(tmp_path / "weights.h").layers[0], x[None])
    assert np.abs(c_program.run(tmp_path, cell, cell, layers, directions, x) - y[0]).max() < 1e-6
    source, _ = gw.run(stack, x[None])
    assert np.abs(y - source).max() < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_what_is_written_is_read_bit_for_bit(tmp_path, cell, dtype):
    stack = Recipe(cell, feature=6, unit=3, layers=2, directions=2, bias="single", dtype=dtype).stack
    stack = stack.replaced(dialect=replace(stack.dialect, reset="before") if cell == "gru" else None)
    back = gw.open(written(tmp_path, stack)).layers[0]
    for place, weights in stack:
        for role, gates in weights.roles.items():
            for gate, array in gates.items():
                np.testing.assert_array_equal(back[place].role(role)[gate], array)
    assert back.dialect == stack.dialect


def test_hard_numbers_stay_what_they_are(tmp_path):
    stack = Recipe("rnn", feature=4, unit=4, bias="single").stack
    info = np.finfo(np.float32)
    hard = [0.1, 1 / 3, info.max, info.tiny, info.smallest_subnormal, -0.0, 1e-7, 16777217.0, 3e38, 1.17549421e-38,
            2.0**-24, 1 - 2.0**-24, 7.038531e-26, 5.877472e-39, -1.5, 8388609.5]  # fmt: skip
    kernel = np.array(hard, np.float32).reshape(4, 4)
    weights = stack[0, "forward"]
    changed = stack.replaced(
        {(0, "forward"): weights.with_roles(kernel=weights.kernel.mapped(lambda _gate, _array: kernel))}
    )
    path = tmp_path / "x.h"
    gw.save(changed, path)
    found = gw.open(path).layers[0][0, "forward"].kernel["h"]
    assert found.dtype == np.float32
    assert found.tobytes() == kernel.tobytes()


@needs_cc
def test_the_compiler_reads_the_same_bits(tmp_path):
    import subprocess

    stack = Recipe("rnn", feature=5, unit=4, bias="single", seed=9).stack
    written(tmp_path, stack)
    (tmp_path / "bits.c").write_text(
        '#include <stdio.h>\n#include "weights.h"\nint main(void) { fwrite(rnn_l0_kernel_h, 1, sizeof rnn_l0_kernel_h,'
        " stdout); return 0; }\n"
    )
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused"]
    subprocess.run([c_program.COMPILER, *warnings, "-o", tmp_path / "bits", tmp_path / "bits.c"], check=True)
    raw = subprocess.run([tmp_path / "bits"], capture_output=True, check=True).stdout
    assert raw == np.ascontiguousarray(stack[0, "forward"].kernel["h"], "<f4").tobytes()


def test_the_same_layer_gives_the_same_text(tmp_path):
    stack = Recipe("lstm", proj=2, peephole="ifo").stack
    texts = []
    for name in ("a.h", "b.h"):
        gw.save(stack, tmp_path / name)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert b"static const float lstm_l0_peephole_o[4] = {" in texts[0]
    assert b"static const float lstm_l0_projection[2][4] = {" in texts[0]


def test_layers_that_follow_each_other_and_others_are_told_apart(tmp_path):
    done = gw.convert(FIXTURES / "tfjs" / "4.22.0" / "cells", tmp_path / "x.h", recurrent_activation="sigmoid")
    assert done.proof.same
    back = gw.open(tmp_path / "x.h")
    assert [layer.layout for layer in back.layers] == ["c.LSTM", "c.LSTM"]
    assert len(back.chains()) == 1


def test_layers_called_as_keras_calls_them_get_names_of_their_own(tmp_path):
    done = gw.convert(FIXTURES / "keras" / "keras-3" / "stacked_lstm.keras", tmp_path / "x.h")  # lstm and lstm_1
    assert done.proof.same
    assert [layer.name for layer in gw.open(tmp_path / "x.h").layers] == ["lstm", "lstm_1"]
    text = (tmp_path / "x.h").read_text()
    assert "lstm_l0_kernel_i[" in text
    assert "lstm1_l0_kernel_i[" in text


def test_every_cell_says_its_equations(tmp_path):
    for cell, says in (("lstm", "c' = f * c + i * g"), ("gru", "n = tanh(W_n x + b_n + r * (R_n h + recurrent_bias_n))"),
                       ("rnn", "h' = tanh(W_h x + R_h h + b_h)")):  # fmt: skip
        text = written(tmp_path, Recipe(cell).stack).read_text()
        assert f" *   {says}\n" in text
        assert f"#define {cell.upper()}_UNITS 4\n" in text


def test_numbers_that_are_none_are_refused(tmp_path):
    stack = Recipe("rnn").stack
    weights = stack[0, "forward"]
    sick = weights.with_roles(kernel=weights.kernel.mapped(lambda _gate, array: array * np.nan))
    with pytest.raises(GatewiseError):
        gw.save(stack.replaced({(0, "forward"): sick}), tmp_path / "x.h")
    assert not (tmp_path / "x.h").exists()


def test_what_c_cannot_say_is_refused(tmp_path):
    stack = Recipe("lstm").stack
    turned = stack.replaced(dialect=replace(stack.dialect, go_backwards=True))
    with pytest.raises(NotRepresentable, match="backwards"):
        gw.save(turned, tmp_path / "x.h")


# Reading.


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("// gatewise layer: {", "// gatewise layer: {]", "does not tell a layer"),
        ('"path": ""', '"path": 3', "does not tell a layer"),
        ("[4][5]", "[4][9]", "the tensors show 9"),
        ("},\n", ", 1.0f},\n", "numbers, its shape"),
        ("},\n", ", 1.0.0f},\n", "is not a number"),
        ("[4][5]", "[400][900]", "has no room"),
        ("};", "} ;", "has no end"),
    ],
)
def test_an_edited_header_is_refused(tmp_path, old, new, says):
    path = written(tmp_path, Recipe("gru").stack)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    def looked_at():
        gw.open(path).gates()
        gw.open(path).only()

    with pytest.raises(GatewiseError, match=says):
        looked_at()


@pytest.mark.slow
def test_a_header_cut_or_with_a_byte_flipped_is_refused_or_harmless(tmp_path):
    path = written(tmp_path, Recipe("rnn", feature=2, unit=2).stack)
    data = bytearray(path.read_bytes())
    for cut in range(30, len(data), 17):
        afresh(path, data[:cut])
        try:
            gw.open(path).gates()
        except GatewiseError:
            continue
    for at in range(len(data)):
        data[at] ^= 0x15
        afresh(path, data)
        try:
            gw.open(path).gates()
        except GatewiseError:
            data[at] ^= 0x15
            continue
        data[at] ^= 0x15


@needs_cc
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_lines_that_are_printed_compile_and_compute_a_step(tmp_path, cell):
    import subprocess

    from gatewise.layouts import layout

    stack = Recipe(cell, bias="double", seed=4).stack
    source = tmp_path / "x.safetensors"
    gw.save(stack, source, {"lstm": "torch.LSTM", "gru": "torch.GRU", "rnn": "torch.RNN"}[cell])
    code = gw.convert(source, tmp_path / "weights.h", activation="tanh").code
    assert layout(f"c.{cell.upper()}").written_as
    arguments = "x, h, c" if cell == "lstm" else "x, h"
    main = (
        "#include <stdio.h>\nint main(void) { float x[5] = {0.5f, -1, 2, 0.25f, -0.75f}, h[4] = {0}, c[4] = {0};\n"
        f'  (void)c; step({arguments}); step({arguments}); for (int k = 0; k < 4; k++) printf("%.9g ", h[k]); return 0; }}\n'
    )
    (tmp_path / "main.c").write_text(code + main)
    subprocess.run(
        [
            c_program.COMPILER,
            "-std=c99",
            "-Wall",
            "-Werror",
            "-Wno-unused",
            "-o",
            tmp_path / "run",
            tmp_path / "main.c",
            "-lm",
        ],
        check=True,
    )
    found = [float(word) for word in subprocess.run([tmp_path / "run"], capture_output=True, check=True).stdout.split()]
    x = np.array([0.5, -1, 2, 0.25, -0.75])
    y, _ = gw.run(stack, np.stack([x, x])[None])
    np.testing.assert_allclose(found, y[0, -1], atol=1e-6)
