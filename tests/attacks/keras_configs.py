"""Keras models whose configuration is a program: what load_model would import, build, fetch or run stays text.

Sources: CVE-2024-3660 and -2025-9905 (Lambda), -2025-1550 (module and class of a config are imported), -2025-8747 (get_file),
-2025-9906 (enable_unsafe_deserialization), -2025-12058 (a vocabulary's path), -2025-49655 (TorchModuleWrapper), -2026-1462 (TFSMLayer).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bytes_of import PROTO, called, text, zipped
from museum import Attack

from gatewise.errors import ContainerError

CODE = "4wEAAAAAAAAAAAAAAAIAAABTAAAAcwYAAABkAVMAKQJOUgA="  # the beginning of a marshalled function


def _layer(name: str, config: dict[str, Any], module: str = "keras.layers", registered: Any = None) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": {"name": "evil", **config}, "registered_name": registered}


GADGETS = {
    "a Lambda with bytecode (CVE-2024-3660)": _layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}}),
    "a Lambda of Keras 2 (CVE-2025-9905)": {"class_name": "Lambda", "config": {"name": "evil", "function": [CODE, None, None], "function_type": "lambda"}},
    "a Lambda by name": {"class_name": "Lambda", "config": {"name": "evil", "function": "system", "function_type": "function", "module": "os"}},
    "a function of os for a class (CVE-2025-1550)": _layer("function", {}, "os", "system"),
    "a class of subprocess (CVE-2025-1550)": {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "/tmp/x"]}, "registered_name": "Popen"},
    "a registered name that is a path": _layer("Dense", {}, "builtins", "builtins>eval"),
    "get_file (CVE-2025-8747)": {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"},
    "get_file as an activation (CVE-2025-8747)": _layer("Dense", {"units": 1, "activation": {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}}),
    "safe mode that is switched off from inside (CVE-2025-9906)": {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization", "registered_name": "x"},
    "a vocabulary in /etc/passwd (CVE-2025-12058)": _layer("StringLookup", {"vocabulary": "/etc/passwd"}),
    "a vocabulary on the network (CVE-2025-12058)": _layer("StringLookup", {"vocabulary": "http://127.0.0.1:9/x"}),
    "a torch module (CVE-2025-49655)": _layer("TorchModuleWrapper", {"module": (PROTO + called("os.system", text("x")) + b".").hex()}),
    "a saved model elsewhere (CVE-2026-1462)": _layer("TFSMLayer", {"filepath": "/tmp/evil"}),
    "an initialiser that is a class of somebody's": _layer("Dense", {"units": 1, "kernel_initializer": {"module": "evil", "class_name": "Evil", "config": {}}}),
    "a wrapper around a Lambda": _layer("TimeDistributed", {"layer": _layer("Lambda", {"function": [CODE, None, None]})}),
    "a custom object of a module": _layer("Evil", {}, "evil.module", "Evil>Evil"),
    "a config that is a text": {"class_name": "LSTM", "config": "evil"},
    "a config that is a list": {"class_name": "LSTM", "config": [1]},
    "a class that is a list": {"class_name": ["LSTM"], "config": {}},
    "a name that is a table": {"class_name": "LSTM", "config": {"name": {"a": 1}, "units": "many"}},
    "units beyond all bounds": _layer("LSTM", {"units": 10**400}),
    "units that are not a number": _layer("LSTM", {"units": float("nan")}),
    "a layer that wraps itself a hundred times": None,
    "an RNN of itself": _layer("RNN", {"cell": _layer("RNN", {"cell": _layer("LSTMCell", {"units": 4})})}),
}  # fmt: skip


def _wrapped(times: int) -> dict[str, Any]:
    node = _layer("LSTM", {"units": 4})
    for _ in range(times):
        node = _layer("Bidirectional", {"layer": node})
    return node


def _nested(times: int) -> dict[str, Any]:
    node: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    for _ in range(times):
        node = {"class_name": "Sequential", "config": {"name": "s", "layers": [node]}}
    return node


def _model(*layers: Any) -> dict[str, Any]:
    lstm = _layer("LSTM", {"name": "lstm", "units": 2, "batch_input_shape": [None, None, 1]})
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [lstm, *layers]}}


def _h5(file: Any) -> None:
    import numpy as np

    group = file.create_group("layers/lstm/cell/vars")
    for number, shape in enumerate(((1, 8), (2, 8), (8,))):
        group[str(number)] = np.zeros(shape, "f4")


def _keras(config: bytes | Any) -> Callable[[Path], Path]:
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()

    def make(folder: Path) -> Path:
        import io

        import h5py

        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            _h5(file)
        (folder / "model.keras").write_bytes(zipped({
            "config.json": raw, "metadata.json": b'{"keras_version": "3.5.0"}', "model.weights.h5": out.getvalue(),
        }))  # fmt: skip
        return folder / "model.keras"

    return make


def _legacy(config: bytes | Any) -> Callable[[Path], Path]:
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()

    def make(folder: Path) -> Path:
        import h5py
        import numpy as np

        with h5py.File(folder / "model.h5", "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = "2.2.4", "tensorflow"
            file.attrs["model_config"] = np.bytes_(raw) if len(raw) < 60_000 else raw[:60_000]
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = np.array([b"lstm"])
            layer = weights.create_group("lstm")
            layer.attrs["weight_names"] = np.array([b"lstm/kernel:0", b"lstm/recurrent_kernel:0", b"lstm/bias:0"])
            for key, shape in {"kernel": (1, 8), "recurrent_kernel": (2, 8), "bias": (8,)}.items():
                layer[f"lstm/{key}:0"] = np.zeros(shape, "f4")
        return folder / "model.h5"

    return make


def _graph(count: int, fan: int) -> dict[str, Any]:
    """A functional model in which every layer takes the output of the last ``fan`` ones: paths without number."""
    layers = []
    for number in range(count):
        calls = [[[f"l{before}", 0, 0, {}] for before in range(max(0, number - fan), number)]] if number else []
        layers.append(
            {"class_name": "Dropout", "name": f"l{number}", "config": {"name": f"l{number}"}, "inbound_nodes": calls}
        )
    return {"class_name": "Functional", "config": {"name": "f", "layers": layers, "input_layers": [["l0", 0, 0]],
                                                    "output_layers": [[f"l{count - 1}", 0, 0]]}}  # fmt: skip


TEXTS = {
    "a config a hundred thousand brackets deep": b'{"config":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a config a hundred thousand tables deep": b'{"config":' * 100_000 + b"1" + b"}" * 100_000,
    "a config that is a list": b"[]",
    "a config that is no JSON": b"{evil}",
    "a config that is no text": b"\xff\xfe" * 100,
    "a config of one number of a hundred thousand digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "a config of infinite numbers": b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {"units": 1e999}}]}}',
    "models in models, a thousand deep": json.dumps(_nested(150)).encode(),
    "wrappers around wrappers": json.dumps(_model(_wrapped(150))).encode(),
    "an empty config": b"{}",
}
ATTACKS = (
    *(Attack(f"{what} stays text", _keras(_model(layer or _wrapped(100))), (None, ContainerError)) for what, layer in GADGETS.items()),
    *(Attack(f"{what} stays text in an .h5 file", _legacy(_model(layer or _wrapped(100))), (None, ContainerError)) for what, layer in GADGETS.items()),
    *(Attack(f"{what} is refused or read as nothing", _keras(raw), (None, ContainerError)) for what, raw in TEXTS.items()),
    *(Attack(f"{what} in an .h5 file is refused or read as nothing", _legacy(raw), (None, ContainerError)) for what, raw in TEXTS.items()),
    Attack("a graph of three hundred layers whose every path counts", _keras(_graph(300, 30)), (None, ContainerError)),
    Attack("a graph that feeds itself", _keras(_model(_layer("LSTM", {"name": "lstm", "units": 2}))), (None, ContainerError)),
    Attack("ten thousand layers", _keras(_model(*(_layer("Dropout", {"name": f"d{n}"}) for n in range(5_000)))), (None, ContainerError)),
    Attack("a metadata that is code", zipped({"config.json": b"{}", "metadata.json": b"__import__('os')", "model.weights.h5": b""}), ContainerError),
)  # fmt: skip
