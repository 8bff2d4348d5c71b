"""Nothing in a file is run or imported: what it would call is told, carried over never, and left out of the weights."""

import pickle
import sys

import numpy as np
import pytest
from doctor_help import FIXTURES, MODULES, named
from together import folder, together

import gatewise as gw
from gatewise.ailments._pickle_names import is_dangerous, is_harmless, runs_code, shown
from gatewise.containers import open_tensors
from gatewise.containers._pickle_write import dumps
from gatewise.containers._pickled import Global, Persistent, Stub
from gatewise.errors import NotRepresentable


def torch_zip(path, data_pkl, data=None):
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        for key, value in (data or {}).items():
            archive.writestr(f"archive/data/{key}", value)
        archive.writestr("archive/version", "3\n")
    return path


def unsafe(path):
    return [finding for finding in gw.diagnose(path) if finding.severity == "unsafe"]


# What must be left alone.


@together("path", MODULES, of=folder, said=named)
def test_no_honest_module_is_called_unsafe(path):
    assert unsafe(path) == []


@pytest.mark.parametrize("name", [
    "torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "numpy.core.multiarray.scalar", "argparse.Namespace",
    "torch.FloatStorage", "torch.nn.backends.thnn._get_thnn_function_backend", "datetime.datetime", "pathlib.PosixPath",
])  # fmt: skip
def test_what_honest_pickles_call_is_harmless(name):
    module, _, own = name.rpartition(".")
    assert is_harmless(Global(module, own))
    assert not is_dangerous(Global(module, own))


def test_an_object_of_an_unknown_class_is_a_note_and_not_unsafe(tmp_path):
    path = torch_zip(tmp_path / "users.pt", dumps({"config": Stub(Global("my_project.config", "Config"), (1, "a"))}))
    told = {finding.code: finding.severity for finding in gw.diagnose(path)}
    assert told == {"GW601": "breaks", "GW612": "note"}


# What is found.

CALLS = {
    "os.system": (Global("posix", "system"), ("true",)),
    "eval": (Global("builtins", "eval"), ("1 + 1",)),
    "Python 2's eval": (Global("__builtin__", "eval"), ("1 + 1",)),
    "a class that does things": (Global("subprocess", "Popen"), (["true"],)),
    "runpy": (Global("runpy", "_run_code"), ("pass", {})),
    "attrgetter": (Global("operator", "attrgetter"), ("system",)),
    "a function of somebody's": (Global("my_project.tools", "rebuild"), ()),
    "what another call gave": (Stub(Global("builtins", "getattr"), (Global("os", "path"), "join")), ()),
    "another pickle": (Global("torch.storage", "_load_from_bytes"), (b"...",)),
}


@pytest.mark.parametrize(("cls", "args"), CALLS.values(), ids=CALLS)
def test_calls_that_run_code_are_named_with_their_arguments(cls, args, tmp_path):
    path = torch_zip(tmp_path / "evil.pt", dumps({"epoch": Stub(cls, args)}))
    told = unsafe(path)
    assert told
    assert any(shown(Stub(cls, args)) in finding.what for finding in told)
    assert {finding.code for finding in told} == {"GW602"}


def test_a_call_whose_result_is_thrown_away_is_found_too(tmp_path):
    path = torch_zip(tmp_path / "evil.pt", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R0}.")
    (finding,) = unsafe(path)
    assert "os.system('true')" in finding.what
    assert "dropped" in finding.where


def test_a_dangerous_function_that_is_only_handed_on_is_found(tmp_path):
    path = torch_zip(
        tmp_path / "evil.pt", dumps({"f": Stub(Global("functools", "partial"), (Global("os", "remove"), "x"))})
    )
    assert any("os.remove" in finding.what for finding in unsafe(path))


def test_a_function_of_torch_that_is_not_called_is_no_matter(tmp_path):
    path = torch_zip(tmp_path / "relu.pt", dumps({"activation": Global("torch.nn.functional", "relu")}))
    assert unsafe(path) == []
    assert not runs_code(Stub(Global("some.package", "Thing"), how="newobj"))


# The whole of it: classes that do not exist, a pickle that would remove a sentinel, an old LSTM among it.


class Bomb:
    """Pickles as a call that removes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.remove, (str(self.path),)


def bombed(tmp_path):
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("still here")
    assert pickle.dumps(Bomb(sentinel), 2)
    values = np.arange(12, dtype="<f4")
    reference = Persistent(("storage", Global("torch", "FloatStorage"), "0", "cpu", 12))
    weight = Stub(Global("torch._utils", "_rebuild_tensor_v2"), (reference, 0, (4, 3), (3, 1), False, {}))
    model = Stub(Global("no_such_package.nets", "Net"), how="newobj")
    model.state = {"_parameters": {"weight": weight}, "_buffers": {}, "_modules": {},
                   "note": Stub(Global("os", "remove"), (str(sentinel),))}  # fmt: skip
    return torch_zip(tmp_path / "bomb.pt", dumps(model), {"0": values.tobytes()}), sentinel


def test_nothing_is_run_imported_or_carried_over(tmp_path):
    path, sentinel = bombed(tmp_path)
    before = set(sys.modules)
    told = unsafe(path)
    assert "os.remove" in told[0].what
    assert told[0].where == "note"
    with pytest.raises(NotRepresentable, match="GW602"):
        gw.repair(path, tmp_path / "new.pt")
    gw.repair(path, tmp_path / "state.pt", "state-dict")
    assert sentinel.read_text() == "still here"
    assert not any(name.partition(".")[0] in ("torch", "no_such_package") for name in set(sys.modules) - before)
    assert open_tensors(tmp_path / "state.pt")["weight"].array()[1, 1] == 4
    assert gw.diagnose(tmp_path / "state.pt") == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bomb.pt", "sentinel", "state.pt"]


def test_nobody_is_told_to_allow_a_dangerous_function(tmp_path):
    path, _ = bombed(tmp_path)
    assert not any("safe_globals" in finding.remedy.what for finding in gw.diagnose(path) if finding.remedy)


# torch.load's default.


@pytest.mark.framework("torch")
@pytest.mark.parametrize("path", [*MODULES, *FIXTURES.glob("*/*.state*.pt"), *FIXTURES.glob("*/*.tar")], ids=named)
def test_what_the_default_refuses_is_what_torch_refuses(path):
    import torch

    finding = next((each for each in gw.diagnose(path, target="torch==2.13") if each.code == "GW601"), None)
    refusal = ""
    try:
        torch.load(path)
    except Exception as error:
        refusal = str(error)
    assert bool(refusal) == (finding is not None)
    if finding is not None:
        first = finding.outcomes[0].error.partition("Unsupported global: ")[2]
        assert first.partition(" was not")[0] in refusal


@pytest.mark.framework("torch")
def test_a_stream_with_a_whole_module_cannot_be_allowed():
    import torch

    path = FIXTURES / "1.13.1/lstm_bi2.module.legacyfmt.pt"
    (finding,) = [each for each in gw.diagnose(path) if each.code == "GW609"]
    with torch.serialization.safe_globals([torch.nn.LSTM]), pytest.raises(pickle.UnpicklingError) as raised:
        torch.load(path, weights_only=True)
    assert finding.outcomes[0].error.partition(": ")[2] in str(raised.value)
