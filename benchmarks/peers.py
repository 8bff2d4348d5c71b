"""What the figures stand beside: `python peers.py TASK ARGUMENT …`, one task a process, each as its users would write it.

The floors are here too: what the machine itself takes for a read, a copy, a transposing copy and a write.  Everything is
imported inside the tasks, so that a process pays for what it uses.
"""

import sys

# Listing: name, dtype and shape of every tensor.


def list_bare(path):
    """The floor: the standard library's zip reader and its unpickler, which is allowed to build nothing."""
    import io
    import pickle
    import zipfile
    from collections import OrderedDict

    class Names(pickle.Unpickler):
        def find_class(self, _module, name):
            if name.startswith("_rebuild"):
                return lambda storage, _offset, size, *_rest: (storage[1], size)
            return OrderedDict if name == "OrderedDict" else name

        def persistent_load(self, pid):
            return pid

    with zipfile.ZipFile(path) as archive:
        pickled = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for name, (storage, size) in Names(io.BytesIO(pickled)).load().items():
        print(name, storage, size)


def list_torch(path, mmap=""):
    import torch

    for name, value in torch.load(path, map_location="cpu", mmap=bool(mmap), weights_only=True).items():
        print(name, value.dtype, tuple(value.shape))


def list_ptloader(path):
    import ptloader

    for name, value in ptloader.load(path).items():
        print(name, value.dtype, value.shape)


def scan_picklescan(path):
    from picklescan.scanner import scan_file_path

    print(scan_file_path(path).infected_files)


def scan_fickling(path):
    from fickling.analysis import check_safety
    from fickling.pytorch import PyTorchModelWrapper

    print(check_safety(PyTorchModelWrapper(path).pickled).severity)


def list_safetensors(path):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        for name in file.keys():  # noqa: SIM118  it is no mapping
            part = file.get_slice(name)
            print(name, part.get_dtype(), part.get_shape())


def list_h5py(path):
    import h5py

    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: print(name, item.dtype, item.shape) if isinstance(item, h5py.Dataset) else None
        )


def list_npz(path):
    import zipfile

    from numpy.lib import format as npy

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                read = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
                print(name, read(member))


def list_onnx(path):
    import onnx

    for each in onnx.load(path, load_external_data=False).graph.initializer:
        print(each.name, each.data_type, tuple(each.dims))


def list_flax(path):
    from pathlib import Path

    from flax import serialization, traverse_util

    for name, value in traverse_util.flatten_dict(
        serialization.msgpack_restore(Path(path).read_bytes()), sep="/"
    ).items():
        print(name, value.dtype, value.shape)


# Converting.


def by_hand(path, out):
    """The usual script: torch.load, transpose, add the two biases, build the model in Keras, set_weights, save_weights."""
    import os

    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    weights = torch.load(path, map_location="cpu", weights_only=True)
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in weights))
    x = start = keras.Input((None, weights[f"{names[0]}.weight_ih_l0"].shape[1]))
    layers = [keras.layers.LSTM(weights[f"{name}.weight_hh_l0"].shape[1], return_sequences=True) for name in names]
    for layer in layers:
        x = layer(x)
    for name, layer in zip(names, layers, strict=True):
        bias = weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
        layer.set_weights(
            [weights[f"{name}.weight_ih_l0"].numpy().T, weights[f"{name}.weight_hh_l0"].numpy().T, bias.numpy()]
        )
    keras.Model(start, x).save_weights(out)


def to_safetensors(path, out):
    import torch
    from safetensors.torch import save_file

    save_file(torch.load(path, map_location="cpu", mmap=True, weights_only=True), out)


def to_onnx(path, out):
    """torch's own exporter, from the same weights."""
    import torch

    weights = torch.load(path, map_location="cpu", weights_only=True)
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in weights))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name in names:
                hidden, feature = weights[f"{name}.weight_hh_l0"].shape[1], weights[f"{name}.weight_ih_l0"].shape[1]
                self.add_module(name, torch.nn.LSTM(feature, hidden))

        def forward(self, x):
            for name in names:
                x, _ = self.get_submodule(name)(x)
            return x

    model = Model()
    model.load_state_dict(weights)
    x = torch.zeros(3, 1, weights[f"{names[0]}.weight_ih_l0"].shape[1])
    torch.onnx.export(model, (x,), out, dynamo=False, opset_version=17)


# Ours, where it is no command.


def diagnose(folder):
    """Every file of a folder, in one process.  Prints how many and the seconds without Python's own start."""
    import os
    import time

    start = time.perf_counter()
    import gatewise as gw

    def found(path):
        try:
            return len(gw.diagnose(path))
        except gw.GatewiseError:  # a model whose data file is not beside it
            return 1

    paths = [each.path for each in os.scandir(folder)]
    findings = sum(map(found, paths))
    print(len(paths), findings, time.perf_counter() - start)


# The machine's floors, as JSON: seconds for one read, one transposing copy, one write of so many bytes.


def floors(path, out):
    import json
    import os
    import time
    from pathlib import Path

    import numpy as np

    def best(work, runs=5):
        return min(_timed(work, time.perf_counter) for _ in range(runs))

    size, piece = Path(path).stat().st_size, bytearray(8 << 20)

    def read():
        with open(path, "rb", buffering=0) as file:
            while file.readinto(piece):
                pass

    def write(sync):
        with open(out, "wb", buffering=0) as file:
            for _ in range(size // len(piece)):
                file.write(piece)
            file.write(memoryview(piece)[: size % len(piece)])
            if sync:
                os.fsync(file.fileno())
        Path(out).unlink()

    kernel = np.zeros((2048, 512), np.float32)
    kernel += 1  # its pages are there
    into = kernel.T.copy()
    count = size / kernel.nbytes
    blocked = min(best(lambda block=block: _transposed(kernel, into, block), 20) for block in (32, 64, 128, 256))
    fresh = np.ones(min(size, 256 << 20), np.uint8)
    target = np.ones_like(fresh)
    found = {
        "bytes": size,
        "read": best(read),
        "transpose": blocked * count,
        "write": best(lambda: write(False)),
        "write_synced": best(lambda: write(True)),
        "memcpy": best(lambda: np.copyto(target, fresh)) * size / len(fresh),
    }
    print(json.dumps(found))


def _transposed(source, into, block):
    rows, columns = source.shape
    for row in range(0, rows, block):
        for column in range(0, columns, block):
            into[column : column + block, row : row + block] = source[row : row + block, column : column + block].T


def _timed(work, clock):
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
