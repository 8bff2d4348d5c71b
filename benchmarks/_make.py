"""Makes the files that are measured: `python _make.py KIND PATH NUMBER …`.  Random weights, always the same."""

import json
import struct
import sys


def torch_stack(path, layers, hidden):
    """A state dict of LSTMs one after the other: 4 tensors and 8·hidden² + 8·hidden numbers each."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.ModuleDict({f"rnn{number:02d}": torch.nn.LSTM(hidden, hidden) for number in range(layers)})
    torch.save(model.state_dict(), path)


def torch_many(path, tensors):
    """As many tensors as are asked for, in LSTMs of two units."""
    import torch

    model = torch.nn.ModuleDict({f"rnn{number}": torch.nn.LSTM(2, 2) for number in range(max(1, tensors // 4))})
    torch.save(model.state_dict(), path)


def safetensors_sparse(path, layers, hidden):
    """The header of a stack of LSTMs, and a hole where its numbers would be: the disk holds almost nothing of it."""
    header, offset = {}, 0
    for layer in range(layers):
        for name, shape in (
            ("weight_ih_l0", [4 * hidden, hidden]),
            ("weight_hh_l0", [4 * hidden, hidden]),
            ("bias_ih_l0", [4 * hidden]),
            ("bias_hh_l0", [4 * hidden]),
        ):
            size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[f"rnn{layer:02d}.{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
            offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def small_files(folder, fixtures, count):
    """``count`` small files of many formats: the test suite's own checkpoints, again and again under new names."""
    import shutil
    from pathlib import Path

    kinds = (".pt", ".pth", ".h5", ".hdf5", ".keras", ".safetensors", ".onnx", ".npz", ".msgpack", ".params", ".tflite")
    known = [
        each for each in sorted(Path(fixtures).rglob("*")) if each.suffix in kinds and each.stat().st_size < 200_000
    ]
    folder = Path(folder)
    folder.mkdir()
    for number in range(count):
        source = known[number % len(known)]
        shutil.copy(source, folder / f"{number:04d}{source.suffix}")


if __name__ == "__main__":
    globals()[sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:]))
