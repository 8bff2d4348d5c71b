"""Who wrote a file: the bounds hold for every real file, and say what set them."""

import operator

import pytest
from together import folder, together
from torch_help import FILES, named

from gatewise.containers import open_tensors
from gatewise.containers._torch_history import HISTORY, Bound, written_by

_OPERATORS = {">=": operator.ge, "<": operator.lt}


def fits(version, specifier):
    minor = tuple(map(int, version.split(".")[:2]))
    for part in filter(None, specifier.split(",")):
        sign = ">=" if part.startswith(">=") else "<"
        if not _OPERATORS[sign](minor, tuple(map(int, part[len(sign) :].split(".")))):
            return False
    return True


@together("path", FILES, of=folder, said=named)
def test_the_bounds_hold_for_the_version_that_wrote_the_file(path):
    (writer,) = open_tensors(path).written_by
    assert writer.framework == "torch"
    assert fits(path.parent.name, writer.version)
    assert writer.because


@pytest.mark.parametrize(
    ("name", "version", "because"),
    [
        ("1.0.1/lstm_bi2.module.pt", "<1.1", "integer dropout"),
        ("1.0.1/lstmcell.module.pt", "<1.3", "_backend"),
        ("1.3.1/lstm_bi2.module.pt", ">=1.3,<1.4", "no _flat_weights_names"),
        ("1.4.0/lstm_drop.module.pt", ">=1.4,<1.6", "_non_persistent_buffers_set"),
        ("1.6.0/lstm_drop.module.pt", ">=1.6,<1.8", "proj_size"),
        ("1.8.1/lstm_bi2.module.pt", ">=1.8,<1.12", "proj_size"),
        ("1.13.1/seq_gru.module.pt", ">=1.13,<2.0", "_backward_pre_hooks"),
        ("2.13.0/lstm_bi2.module.pt", ">=2.5", ".format_version"),
        ("2.13.0/lstm_bi2.module.legacyfmt.pt", ">=2.4", "in a dict"),
        ("1.6.0/rnn_tanh.state.pt", ">=1.4,<1.13", "addresses"),
        ("1.13.1/rnn_tanh.state.pt", ">=1.13,<2.4", "named after the file"),
        ("2.13.0/rnn_tanh.state.pt", ">=2.5", ".format_version"),
        ("1.0.1/rnn_tanh.state.pt", "", "_use_new_zipfile_serialization"),
        ("1.0.1/lstm_bi2.trace.ts", "<1.3", "model.json"),
        ("1.3.1/lstm_bi2.trace.ts", ">=1.3,<2.4", "data.pkl"),
        ("2.13.0/lstm_bi2.trace.ts", ">=2.1", "byteorder"),
    ],
)
def test_the_bounds_are_as_tight_as_what_was_measured(name, version, because):
    (writer,) = open_tensors(next(path for path in FILES if named(path) == name)).written_by
    assert writer.version == version
    assert because in writer.because


def test_a_file_saved_again_by_a_newer_torch_is_the_newer_ones():
    (writer,) = written_by([], [Bound(True, (2, 0), "new"), Bound(False, (1, 4), "old"), Bound(False, (2, 9), "later")])
    assert writer.version == ">=2.0,<2.9"
    assert writer.because == "new; later; old: an older torch made that object, this one saved it again"


def test_the_table_is_consistent():
    def minor(version):
        return tuple(map(int, version.split("."))) if version else None

    for name, attribute, absent, first, last, gone in HISTORY:
        assert (absent is None) == (first is None), (name, attribute)
        assert (last is None) == (gone is None), (name, attribute)
        assert first or last, (name, attribute)
        assert not first or minor(absent) < minor(first)
        assert not last or minor(last) < minor(gone)


@pytest.mark.framework
@pytest.mark.filterwarnings("ignore:source code of class")
def test_torch_itself_saving_an_old_module_again_is_told_apart(tmp_path):
    torch = pytest.importorskip("torch")
    old = next(path for path in FILES if named(path) == "1.0.1/lstmcell.module.pt")
    module = torch.load(old, weights_only=False)
    torch.save(module, tmp_path / "again.pt")
    (writer,) = open_tensors(tmp_path / "again.pt").written_by
    assert writer.version.startswith(">=2.")
    assert "saved it again" in writer.because
