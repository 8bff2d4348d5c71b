"""torch 0.1's tar, which no torch writes any more: made here as its reader reads it, and read by that reader too.

The layout is torch/serialization.py's inner ``legacy_load``; that today's torch loads these files with equal tensors
is what says that they are right.
"""

import io
import pickle
import struct
import tarfile
from collections import OrderedDict

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds
from torch_help import loads

from gatewise.containers import open_tensors
from gatewise.containers._pickle_write import dumps
from gatewise.containers._pickled import Global, Persistent, Stub
from gatewise.errors import BrokenFile, GatewiseError

W = np.arange(12, dtype="<f4")
B = np.array([1.5, -2.5], "<f8")
STORAGES = [(10, "FloatStorage", W), (11, "DoubleStorage", B)]
VIEWS = [(12, 10, 4, 8)]  # storage 12 is elements 4 to 12 of storage 10
TENSORS = [  # key, storage, class, shape, strides, offset
    (20, 10, "FloatTensor", (3, 4), (4, 1), 0),
    (21, 10, "FloatTensor", (4, 3), (1, 4), 0),
    (22, 12, "FloatTensor", (2, 2), (4, 1), 1),
    (23, 11, "DoubleTensor", (2,), (1,), 0),
]
EXPECTED = {
    "whole": W.reshape(3, 4),
    "transposed": W.reshape(3, 4).T,
    "of a view": W[4:].reshape(2, 4)[:, 1:3],
    "bias": B,
}


def made_pickle():
    return dumps(OrderedDict(zip(EXPECTED, (Persistent(key) for key in (20, 21, 22, 23)), strict=True)))


def make_tar(path, object_pickle=None, storages=STORAGES, views=VIEWS, tensors=TENSORS, missing=""):
    members = {
        "sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2),
        "storages": pickle.dumps(len(storages), 2)
        + b"".join(
            dumps((key, "cpu", Global("torch", kind))) + struct.pack("<q", len(data)) + data.tobytes()
            for key, kind, data in storages
        )
        + pickle.dumps(views, 2),
        "tensors": pickle.dumps(len(tensors), 2)
        + b"".join(
            dumps((key, storage, Global("torch", kind)))
            + struct.pack(f"<i4x{2 * len(shape) + 1}q", len(shape), *shape, *strides, offset)
            for key, storage, kind, shape, strides, offset in tensors
        ),
        "pickle": object_pickle or made_pickle(),
    }
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            if name != missing:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return path


def test_tensors_are_views_through_storages_and_storage_views(tmp_path):
    tensors = open_tensors(make_tar(tmp_path / "model.pt"))
    assert tensors.container == "torch-tar"
    assert tensors.keys() == EXPECTED.keys()
    for name, array in EXPECTED.items():
        assert np.array_equal(tensors[name].array(), array)
        assert np.shares_memory(tensors[name].array(), np.frombuffer(tensors[name].data.buffer.obj, "u1"))
    assert np.shares_memory(tensors["whole"].array(), tensors["of a view"].array())
    assert tensors.written_by[0].version == "<1.0"


@pytest.mark.framework
def test_todays_torch_reads_the_same_tensors_in_the_made_file(tmp_path):
    torch = pytest.importorskip("torch")
    path = make_tar(tmp_path / "model.pt")
    state, tensors = torch.load(path, weights_only=False), open_tensors(path)
    assert list(state) == list(tensors)
    for name, tensor in state.items():
        assert np.array_equal(tensors[name].array(), tensor.numpy())
        assert tensors[name].dtype == str(tensor.dtype).removeprefix("torch.")


def old_module(name="torch.nn.modules.rnn", source=None):
    """A module with a Parameter as torch 0.1 pickled both: its class by a persistent id, its data by another."""
    parameter = Stub(Global("torch.nn.parameter", "Parameter"), (Persistent(20),))
    parameter.state = (True, False, OrderedDict())
    cls = Global(name, "LSTM")
    module = Stub(Persistent((cls, "rnn.py", source)) if source else cls, how="newobj")
    parts = {"_parameters": OrderedDict(weight_ih_l0=parameter), "_buffers": OrderedDict(), "_modules": OrderedDict()}
    module.state = {**parts, "mode": "LSTM", "hidden_size": 1, "dropout": 0, "training": True}
    return module


def test_a_module_of_torch_0_1_is_declared_with_its_parameters(tmp_path):
    path = make_tar(tmp_path / "model.pt", dumps(old_module(source="class LSTM: ...")))
    tensors = open_tensors(path)
    assert np.array_equal(tensors["weight_ih_l0"].array(), W.reshape(3, 4))
    (lstm,) = tensors.declared
    assert lstm.kind == "torch.nn.modules.rnn.LSTM"
    assert lstm.settings == {"mode": "LSTM", "hidden_size": 1, "dropout": 0, "training": True}


def test_keys_may_be_texts(tmp_path):
    pickled = dumps({"w": Persistent("20")})
    assert list(open_tensors(make_tar(tmp_path / "model.pt", pickled))) == ["w"]
    assert loads(b"P20\n.").id == "20"


BROKEN = {
    "a tensor over a storage that is not there": {"tensors": [(20, 99, "FloatTensor", (3,), (1,), 0)]},
    "a tensor larger than its storage": {"tensors": [(20, 10, "FloatTensor", (13,), (1,), 0)]},
    "a tensor with a negative stride": {"tensors": [(20, 10, "FloatTensor", (3,), (-1,), 5)]},
    "two tensors of one key": {"tensors": [TENSORS[0], TENSORS[0]]},
    "a view larger than its root": {"views": [(12, 10, 4, 9)]},
    "a view of nothing": {"views": [(12, 99, 0, 1)]},
    "a storage of an unknown type": {"storages": [(10, "FloatTensor", W)]},
    "no tensors": {"missing": "tensors"},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_contradiction_is_refused(what, tmp_path):
    from gatewise.containers import torch_tar
    from gatewise.source import Source

    source = Source(make_tar(tmp_path / "model.pt", **BROKEN[what]))
    with pytest.raises(BrokenFile):
        torch_tar.read(source)


@in_thirds
def test_a_tar_cut_or_flipped_anywhere_is_refused_or_read(tmp_path, third):
    from gatewise.containers import torch_tar
    from gatewise.source import Source

    data, path = make_tar(tmp_path / "model.pt").read_bytes(), tmp_path / "broken.pt"
    broken = [data[:length] for length in range(1, len(data), 97)]
    broken += [data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :] for at in range(0, len(data), 11)]
    refused = 0
    for changed in broken[third::3]:
        afresh(path, changed)
        source = Source(path)
        try:
            if torch_tar.claims(source):
                [tensor.array() for tensor in torch_tar.read(source).values()]
        except GatewiseError:
            refused += 1
    assert refused > 33
