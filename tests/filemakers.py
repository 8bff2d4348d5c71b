"""Small files made without gatewise and without a framework, byte by byte, so that neither judges itself.

Formats as documented: safetensors' README; torch/serialization.py (zip since 1.6, legacy stream before); numpy's npz.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SAFE = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "bool": "BOOL"}
STORAGES = {"float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}
MAGIC = 0x1950A86A20F9469CFC6C
Arrays = Mapping[str, Any]
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def torch_arrays(
    cell: str = "lstm", features: int = 3, units: int = 4, layers: int = 1, directions: int = 1, *, prefix: str = "",
    bias: bool = True, seed: int = 0, dtype: str = "float32",
) -> dict[str, Any]:  # fmt: skip
    """A recurrent layer's arrays in torch's names and shapes: random, biases too."""
    random = np.random.default_rng(seed)
    rows = GATES[cell] * units
    arrays: dict[str, Any] = {}
    for layer in range(layers):
        for tail in ("", "_reverse")[:directions]:
            below = features if layer == 0 else units * directions
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, below), "weight_hh": (rows, units)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for name, shape in shapes.items():
                value = random.uniform(-0.5, 0.5, shape)
                arrays[f"{prefix}{name}_l{layer}{tail}"] = value.astype(dtype)
    return arrays


def keras_arrays(features: int = 3, units: int = 4, seed: int = 0) -> dict[str, Any]:
    """One Keras LSTM's three arrays."""
    random = np.random.default_rng(seed)
    shapes = {"kernel": (features, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": (4 * units,)}
    return {name: random.uniform(-0.5, 0.5, shape).astype("float32") for name, shape in shapes.items()}


def afresh(path: Path, data: bytes) -> Path:
    """A file in the place of an old one.  To write over that would take longer: Linux puts such a file onto the disk at once."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


def safetensors(path: Path, arrays: Arrays) -> Path:
    header, body = {}, b""
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": SAFE[array.dtype.name], "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(data)]
        }  # fmt: skip
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def npz(path: Path, arrays: Arrays) -> Path:
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    return path


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)  # LONG1 of eight bytes holds any size


def _tuple(numbers: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_integer, numbers)) + b"t"


Storage = tuple[str, str, int]  # key, dtype, elements


def _tensor(storage: Storage, shape: tuple[int, ...], legacy: bool, device: str) -> bytes:
    """What torch pickles for one tensor: _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)."""
    key, dtype, count = storage
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    identity = (
        b"(" + _text("storage") + b"ctorch\n" + STORAGES[dtype].encode() + b"\n" + _text(key) + _text(device)
        + _integer(count) + (b"N" if legacy else b"") + b"tQ"
    )  # fmt: skip
    arguments = identity + _integer(0) + _tuple(shape) + _tuple(tuple(reversed(strides))) + b"\x89" + _ordered([])
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def _ordered(items: list[tuple[str, bytes]]) -> bytes:
    filled = b"(" + b"".join(_text(name) + value for name, value in items) + b"u" if items else b""
    return b"ccollections\nOrderedDict\n)R" + filled


def state_dict_pickle(
    shapes: Mapping[str, tuple[str, tuple[int, ...]]], legacy: bool = False, device: str = "cpu", shared: Any = None
) -> bytes:
    """The pickle of an OrderedDict of tensors, ``{name: (dtype, shape)}``.  ``shared``: names that use another's storage."""
    keys = {name: str(index) for index, name in enumerate(shapes)}
    items = []
    for name, (dtype, shape) in shapes.items():
        storage = (keys[(shared or {}).get(name, name)], dtype, int(np.prod(shape, dtype=int)))
        items.append((name, _tensor(storage, shape, legacy, device)))
    return b"\x80\x02" + _ordered(items) + b"."


def _described(arrays: Arrays) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (array.dtype.name, array.shape) for name, array in arrays.items()}


def torch_zip(path: Path, arrays: Arrays, device: str = "cpu", shared: Mapping[str, str] | None = None) -> Path:
    """torch.save since 1.6.  ``shared`` = {name: other}: both are views of the other's storage."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", state_dict_pickle(_described(arrays), device=device, shared=shared))
        archive.writestr("archive/version", "3\n")
        for index, (name, array) in enumerate(arrays.items()):
            if name not in (shared or {}):
                archive.writestr(f"archive/data/{index}", np.ascontiguousarray(array).tobytes())
    return path


def torch_legacy(path: Path, arrays: Arrays, device: str = "cpu") -> Path:
    """torch.save before 1.6: magic, protocol, system, the pickle, the keys, then each storage."""
    import pickle

    out = io.BytesIO()
    for head in (
        MAGIC,
        1001,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
    ):
        pickle.dump(head, out, protocol=2)
    out.write(state_dict_pickle(_described(arrays), legacy=True, device=device))
    pickle.dump([str(index) for index in range(len(arrays))], out, protocol=2)
    for array in arrays.values():
        out.write(struct.pack("<q", array.size) + np.ascontiguousarray(array).tobytes())
    path.write_bytes(out.getvalue())
    return path


def keras_h5(
    path: Path, layers: Mapping[str, Arrays], version: str = "2.2.4", weights_at: str = "model_weights"
) -> Path:
    """A Keras 2 HDF5 file with LSTM layers that follow each other, config and all."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = b"tensorflow"
        configs = []
        group = file.create_group(weights_at)
        group.attrs["keras_version"], group.attrs["backend"] = version.encode(), b"tensorflow"
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            own = group.create_group(name)
            own.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                own[f"{name}/{key}:0"] = array
            units = arrays["recurrent_kernel"].shape[0]
            config = {
                "name": name, "units": units, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True,
                "return_sequences": True, "go_backwards": False,
            }  # fmt: skip
            configs.append({"class_name": "LSTM", "config": config})
        first = next(iter(layers.values()))["kernel"].shape[0]
        configs[0]["config"]["batch_input_shape"] = [None, None, first]
        model = {
            "class_name": "Sequential",
            "config": {"name": "sequential", "layers": configs},
            "keras_version": version,
        }
        file.attrs["model_config"] = json.dumps(model).encode()
    return path
