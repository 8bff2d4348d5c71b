"""What people see: tables that fit, names that cannot do harm, a bar that knows when to stay away."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from cli_fakes import HOSTILE, LONG, Library, Ran, gate_rows, layer
from hypothesis import given
from hypothesis import strategies as st

from gatewise.cli import _progress, _screen
from gatewise.cli._proof import proof_line
from gatewise.cli._screen import Column, Screen, shorten, size, table, visible
from gatewise.proof import Proof
from gatewise.proof._figures import Numbers, Units

Run = Callable[..., Ran]
VIEWS = {
    "plain": [],
    "with tensors": ["--tensors"],
    "with gates": ["--gates"],
    "of one layer": ["--layer", ""],
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_inspect_fits_the_terminal(gatewise: Run, library: Library, view: list[str], width: int) -> None:
    library.document = LONG
    ran = gatewise("inspect", "model.pt", *view, width=width)
    for line in ran.out.splitlines()[1:]:  # the first line is the path, which is never cut
        assert _screen._width(line) <= width, line


def test_inspect_says_it_all(gatewise: Run) -> None:
    lines = gatewise("inspect", "model.pt", width=100).out.splitlines()
    assert lines == [
        "model.pt · torch-legacy · 12.3 kB",
        "written by torch >=1.0,<1.4: LSTM state has no _flat_weights_names",
        "",
        "name          cell  layout      in → hidden  layers  dirs  bias    dtype    parameters",
        "encoder.lstm  lstm  torch.LSTM       8 → 16       2  both  double  float32       9,344",
        "",
        "1 other tensor: fc.weight 2 × 16",
    ]


def test_at_80_columns_the_cell_goes_first_since_the_layout_names_it(gatewise: Run) -> None:
    titles = gatewise("inspect", "model.pt", width=80).out.splitlines()[3]
    assert titles == "name          layout      in → hidden  layers  dirs  bias    dtype    parameters"


def test_what_is_unusual_about_a_layer_is_said_below_the_table(gatewise: Run, library: Library) -> None:
    library.document["layers"] = [
        layer(
            "gru",
            dialect={"reset": "after", "activation": "tanh"},
            assumed=["reset after, as torch does"],
            sure=False,
            doubts=["nothing names its layout: --from torch.GRU settles it"],
        )
    ]
    out = gatewise("inspect", "model.pt").out
    assert "  gru  reads as: reset after\n" in out
    assert "  gru  assumed: reset after, as torch does\n" in out
    assert "  gru  because: a pickled torch.nn.modules.rnn.LSTM\n" in out
    assert "  gru  not sure: nothing names its layout: --from torch.GRU settles it\n" in out


def test_what_is_true_of_every_layer_is_said_once(gatewise: Run, library: Library) -> None:
    hard = {"recurrent_activation": "hard_sigmoid(0.2)", "hard_sigmoid_slope": 0.2, "update": "keeps"}
    library.document["layers"] = [layer("a", dialect=hard), layer("b", dialect=hard), layer("c", dialect=hard)]
    out = gatewise("inspect", "model.pt").out
    assert out.count("reads as") == 1
    assert "  every layer  reads as: recurrent activation hard_sigmoid(0.2)\n" in out


def test_a_file_without_recurrent_layers_says_so(gatewise: Run, library: Library) -> None:
    library.document.update(layers=[], written_by=[])
    ran = gatewise("inspect", "model.pt")
    assert ran.code == 0
    assert "no recurrent layer found" in ran.out
    assert "written by: the file does not tell" in ran.out


def test_a_hostile_name_is_shown_escaped(gatewise: Run, library: Library) -> None:
    library.document = LONG
    out = gatewise("inspect", "model.pt", "--tensors", width=200).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert r"evil\x1b[2J" in out


def test_gates_are_shown_with_their_figures(gatewise: Run) -> None:
    out = gatewise("inspect", "model.pt", "--gates", width=120).out
    assert "\nencoder.lstm\nlayer      role              gate   shape     mean  std  min       max\n" in out
    assert "\n0 forward  kernel            i     16 × 8  -0.0123  0.5   -1  1.23e+05\n" in out
    assert out.count("16 × 8") == len(gate_rows())


def test_convert_says_what_changed_and_proves_it(
    gatewise: Run, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert gatewise("convert", "model.pt", "-o", "out.keras", "--code", width=100).out.splitlines() == [
        "layer         from        to",
        "encoder.lstm  torch.LSTM  keras.LSTM",
        "changed: b_ih and b_hh added into one bias (exact up to one rounding)",
        "proved: max |Δ| = 5.6e-17 over y, h_n, c_n (7 steps × 3 sequences, random state) tolerance 1e-06",
        "wrote out.keras (2.0 kB)",
        "",
        "import keras",
        "model = keras.saving.load_model('out.keras')",
    ]
    assert "not proved: --no-verify" in gatewise("convert", "model.pt", "-o", "out.keras", "--no-verify").out


def test_a_recorded_run_is_named_in_the_proof(gatewise: Run, library: Library) -> None:
    library.proof["against"] = "recorded"
    assert " ".join(gatewise("verify", "a.pt", "--recorded", "io.npz").out.split()) == (
        "same: max |Δ| = 5.6e-17 over y, h_n, c_n (7 steps × 3 sequences of the recorded run) tolerance 1e-06"
    )


def test_diff_shows_the_gates_that_differ_and_only_those(gatewise: Run, library: Library) -> None:
    row = {"layer": 0, "direction": "forward", "role": "bias", "gate": "f", "shape": [16]}
    library.differences = {
        "same": False, "only_in_a": ["decoder"], "only_in_b": [], "meaning": [],
        "rows": [{**row, "gate": "i", "max_abs": 0.0, "where": None}, {**row, "max_abs": 0.25, "where": [3]},
                 {**row, "gate": "o", "max_abs": float("nan"), "where": [1]}],
    }  # fmt: skip
    assert gatewise("diff", "a.pt", "b.pt").out.splitlines() == [
        "layer      role  gate  shape  max |Δ|   at",
        "0 forward  bias  f        16     0.25  [3]",
        "0 forward  bias  o        16      nan  [1]",
        "only in a.pt: decoder",
        "different: 2 of 3 gate matrices",
    ]
    library.differences["only_in_b"] = [
        f"layer 1 reverse {role} {gate}" for role in ("kernel", "bias") for gate in "ifgo"
    ]
    assert gatewise("diff", "a.pt", "b.pt").out.splitlines()[-3:-1] == [
        "only in b.pt: layer 1 reverse kernel i f g o",
        "only in b.pt: layer 1 reverse bias i f g o",
    ]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_for_those_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Screen.of(Terminal()).paint("x", "red") == "\033[31mx\033[0m"
    assert Screen.of(io.StringIO()).paint("x", "red") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen.of(Terminal()).paint("x", "red") == "x"


def test_a_pipe_gets_names_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "x" * 500
    assert name in "\n".join(table(Screen.of(io.StringIO()), [Column("name", gives=True)], [[name]]))


def test_a_screen_that_cannot_show_a_letter_gets_another() -> None:
    assert Screen(encoding="ascii").encodable("64 × 8 → é") == r"64 x 8 > \xe9"
    assert Screen(encoding="utf-8").encodable("64 × 8") == "64 × 8"


@given(
    st.lists(st.tuples(st.text(max_size=60), st.text(max_size=30), st.integers()), min_size=1, max_size=5),
    st.integers(40, 160),
)
def test_no_table_is_wider_than_its_screen(rows: list[tuple[str, str, int]], width: int) -> None:
    columns = (Column("name", gives=True), Column("layout", gives=True, spare=1), Column("number", right=True))
    for line in table(Screen(width), columns, rows):
        assert _screen._width(line) <= width
        assert line.isprintable()


@given(st.text(), st.integers(4, 40))
def test_a_shortened_name_keeps_both_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert _screen._width(short) <= width
    assert short == text or "…" in short


def test_a_long_name_is_shortened_in_the_middle() -> None:
    assert shorten("model.encoder.layers.0.lstm", 15) == "model.e….0.lstm"


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12345, "12.3 kB"), (999_999, "1.0 MB"), (2 * 10**9, "2.0 GB"), (10**13, "10.0 TB")],
)  # fmt: skip
def test_sizes_are_for_people(count: int, told: str) -> None:
    assert size(count) == told


def test_visible_leaves_ordinary_names_alone() -> None:
    assert visible("лстм.weight_ih_l0") == "лстм.weight_ih_l0"
    assert visible(HOSTILE) == r"evil\x1b[2J\x1b]0;owned\x07\u202ename"


def test_the_bar_stays_away_from_quick_work_and_from_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Terminal()
    monkeypatch.setattr(sys, "stderr", quick)
    with _progress.Progress() as progress:
        progress(1, 2, "layer")
    assert quick.getvalue() == ""
    piped = io.StringIO()
    monkeypatch.setattr(sys, "stderr", piped)
    monkeypatch.setattr(_progress, "PATIENCE", -1.0)
    with _progress.Progress() as progress:
        progress(1, 2, "layer")
    assert piped.getvalue() == ""


def test_the_bar_of_long_work_is_drawn_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(_progress, "PATIENCE", -1.0)
    with _progress.Progress() as progress:
        progress(1, 2, "encoder\x1b.lstm")
    drawn = terminal.getvalue()
    assert "████████████░░░░░░░░░░░░  50% encoder\\x1b.lstm" in drawn
    assert drawn.endswith("\r\033[K")


def test_paths_that_differ_in_the_middle_stay_apart_when_they_are_shortened() -> None:
    names = [f"BDGRU_rnn/{way}/multi_rnn_cell/cell_{number}/lstm_cell" for way in ("fw", "bw") for number in range(3)]
    lines = table(
        Screen(width=25), (Column("name", gives=True), Column("units", right=True)), [(n, 100) for n in names]
    )
    shown = [line.split()[0] for line in lines[1:]]
    assert shown[0] == "…/fw/…/cell_0/…"
    assert len(set(shown)) == len(names)
    assert all(len(line) <= 25 for line in lines)


@pytest.mark.parametrize(
    ("units", "numbers", "told"),
    [
        ((8, 96), (500, 0, 500), "same: {}, run: 8 of 96 units; all 500 numbers are equal; --verify full runs every unit"),
        ((8, 96), (400, 100, 500), "same: {}, run: 8 of 96 units; 400 of 500 numbers are equal, 100 more in one convention; --verify full runs every unit"),
        ((8, 96), (0, 500, 500), "same: {}, run: 8 of 96 units; all 500 numbers are equal in one convention; --verify full runs every unit"),
        ((8, 96), (400, 0, 500), "same in the units that were run: {}, run: 8 of 96 units; 400 of 500 numbers are equal; --verify full runs every unit"),
        ((96, 96), (400, 0, 500), "same: {}"),
    ],
)  # fmt: skip
def test_a_proof_of_a_sample_says_no_more_than_was_looked_at(
    units: tuple[int, int], numbers: tuple[int, int, int], told: str
) -> None:
    proof = Proof(0.0, ("y", "h_n"), 7, 3, "reference", units=Units(*units), numbers=Numbers(*numbers)).as_dict()
    lines = proof_line(Screen(300, False), proof, "same", "different", "in one convention")
    figure = "max |Δ| = 0 over y, h_n (7 steps × 3 sequences, random state) tolerance 1e-06"
    assert ", ".join(line.strip() for line in lines) == told.format(figure)
