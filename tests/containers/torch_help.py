"""What the tests of the torch containers share: the real files, trees compared as graphs, archives made by hand."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

from gatewise.containers._pickle import load
from gatewise.containers._pickled import MISSING, DefaultDict, Global, LegacyStr, Persistent, Stub
from gatewise.cursor import DEFAULT_LIMITS, Cursor

FIXTURES = Path(__file__).parent.parent / "fixtures" / "torch"
FILES = sorted(p for p in FIXTURES.glob("*/*") if p.suffix != ".npz" and p.is_file())
ONE_OF_EACH = [
    FIXTURES / name
    for name in (
        "1.0.1/rnn_tanh.state.pt",
        "1.0.1/lstm_weightnorm.module.pt",
        "1.0.1/lstm_bi2.trace.ts",
        "1.3.1/lstm_bi2.bfloat16.state.pt",
        "1.6.0/tagger.checkpoint.pth.tar",
        "1.8.1/tagger.qdyn_qint8.module.pt",
        "2.13.0/rnn_tanh.state.pt",
        "2.13.0/lstm_pruned.module.pt",
        "2.13.0/lstm_bi2.trace.ts",
    )
]


def named(path):
    return "/".join(path.parts[-2:])


def loads(data, limits=DEFAULT_LIMITS):
    return load(Cursor(data), limits)


def recorded(path):
    """The parameters recorded beside a fixture: by name, or None where none were."""
    stem, kind = path.name.split(".")[0], path.name.split(".")[1]
    if path.name == "tagger.ckpt" or ".checkpoint." in path.name:
        stem = "tagger_ckpt"
    npz = path.parent / f"{stem}.npz"
    if "qdyn" in path.name or not npz.exists():
        return None
    dtype = np.dtype("float32")
    if kind in ("float16", "float64"):
        dtype = np.dtype(kind)
    if kind == "bfloat16" and path.parent.name != "1.0.1":  # 1.0.1 has no bfloat16: its maker left float32
        import ml_dtypes

        dtype = np.dtype(ml_dtypes.bfloat16)
    with np.load(npz) as arrays:
        return {name[6:]: arrays[name].astype(dtype) for name in arrays.files if name.startswith("param.")}


def prefix(path):
    """What stands before the module's own names in a fixture's names."""
    if ".wrapped." in path.name:
        return "rnn."
    if path.name == "tagger.ckpt":
        return "state_dict.model."
    return "state_dict." if ".checkpoint." in path.name else ""


def parts(value):
    """(what one node is, its children) for a comparison of graphs."""
    if isinstance(value, Stub):
        inner = [value.cls, *value.args, *value.kwargs.values(), *value.items]
        inner += [part for pair in value.entries for part in pair]
        inner += [] if value.state is MISSING else [value.state]
        sizes = (len(value.args), tuple(value.kwargs), len(value.items), len(value.entries), value.state is MISSING)
        return ("stub", value.how, sizes), inner
    if isinstance(value, Persistent):
        return ("persistent",), [value.id]
    if isinstance(value, dict):
        extra = list(vars(value).items()) if isinstance(value, OrderedDict) else []
        extra += [("factory", value.factory)] if isinstance(value, DefaultDict) else []
        flat = [part for pair in [*value.items(), *extra] for part in pair]
        return (type(value), len(value), len(extra)), flat
    if isinstance(value, list | tuple):
        return (type(value), len(value)), list(value)
    if isinstance(value, LegacyStr):
        return (LegacyStr, value.raw), []
    return (type(value), repr(value) if isinstance(value, set | float | complex) else value), []


def same(one, other):
    """Are two trees the same graph: equal, and shared where the other is shared?"""
    todo, pairs = [(one, other)], {}
    while todo:
        a, b = todo.pop()
        if not isinstance(a, str | int | float | bytes | Global | type(None) | tuple):
            if pairs.setdefault(id(a), b) is not b:
                return False
            if (id(a), "seen") in pairs:
                continue
            pairs[(id(a), "seen")] = True
        (kind, inner), (other_kind, other_inner) = parts(a), parts(b)
        if kind != other_kind or len(inner) != len(other_inner):
            return False
        todo += zip(inner, other_inner, strict=True)
    return True


def zip_file(path, members, compression=zipfile.ZIP_STORED):
    """A zip archive with exactly these members."""
    path.unlink(missing_ok=True)  # see afresh
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def torch_zip(path, data_pkl, data=None, **more):
    """An archive as torch.save lays it out, around any pickle."""
    members = {"archive/data.pkl": data_pkl, "archive/version": b"3\n"}
    members |= {f"archive/data/{key}": value for key, value in (data or {}).items()}
    return zip_file(path, members | {f"archive/{name}": value for name, value in more.items()})


def torch_stream(path, object_pickle, storages=()):
    """A stream as torch.save wrote it before 1.6, around any pickle.  ``storages``: (key, count, bytes)."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    body = b"".join(pickle.dumps(part, 2) for part in head) + object_pickle
    body += pickle.dumps([key for key, _, _ in storages], 2)
    path.write_bytes(body + b"".join(count.to_bytes(8, "little") + data for _, count, data in storages))
    return path
