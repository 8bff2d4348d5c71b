"""A large TensorFlow checkpoint costs its index: no numpy, no framework, none of its data, little time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tf_help as tf

SOURCE = Path(__file__).resolve().parents[2] / "src"
# What `gatewise inspect FILE` costs.  Processor time, so that other processes do not count.
PROBE = """
import json, sys, time
before = time.process_time()
from gatewise.cli import main
code = main(sys.argv[1:])
def read(name, key):
    return next(int(line.split()[1]) for line in open(name) if line.startswith(key))
print("\\n" + json.dumps({
    "code": code, "seconds": time.process_time() - before, "modules": sorted(sys.modules),
    "rchar": read("/proc/self/io", "rchar:"), "mapped": 1024 * read("/proc/self/status", "RssFile:"),
}))
"""
UNITS = 512


def cost(path: Path) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, "inspect", str(path), "--tensors"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["code"] == 0, ran.stderr
    return found


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The index of 100 MB in 1,000 variables and three LSTMs, beside a data file that is one hole."""
    entries, at = {b"": tf.header()}, 0
    shapes = {f"tower/block_{number}/dense/kernel": (100, 190) for number in range(1000)}
    for level in range(3):
        scope = f"rnn/multi_rnn_cell/cell_{level}/lstm_cell"
        shapes |= {f"{scope}/kernel": (2 * UNITS, 4 * UNITS), f"{scope}/bias": (4 * UNITS,)}
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        entries[name.encode()] = tf.entry(1, shape, at, size)
        at += size
    folder = tmp_path_factory.mktemp("large")
    with open(folder / "model.ckpt.data-00000-of-00001", "wb") as file:
        file.truncate(at)
    (folder / "model.ckpt.index").write_bytes(tf.table(entries))
    assert at > 100_000_000
    return folder / "model.ckpt"


@pytest.mark.skipif(sys.platform != "linux", reason="the cost is read from /proc, which only Linux has")
def test_a_hundred_megabytes_are_listed_by_their_index(large, tmp_path):
    import numpy as np

    small = cost(tf.checkpoint(tmp_path / "small.ckpt", {"rnn/lstm_cell/kernel": np.zeros((8, 20), "f4")}))
    found = cost(large)
    assert not {"numpy", "h5py", "tensorflow", "google"} & set(found["modules"])
    read, touched = (found[key] - small[key] for key in ("rchar", "mapped"))
    assert read + touched < 1_000_000, (read, touched)
    # A third of what the small one takes, start and all; ten times that: something is done for each name and each layout.
    assert found["seconds"] < 4 * small["seconds"]


def test_it_is_read_as_what_it_is(large):
    import gatewise as gw

    (stack,) = gw.open(large).stacks()
    assert (stack.num_layers, stack.spec.hidden_size, stack.layout) == (3, UNITS, "tf1.LSTMCell")
