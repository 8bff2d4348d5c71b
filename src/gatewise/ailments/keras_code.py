"""What a Keras file would run when it is loaded: compiled code in it, and functions that its config names.

Nothing of it is decoded further than to its printable names, and nothing is run.
Source: keras/src/layers/core/lambda_layer.py and keras/src/saving/serialization_lib.py of Keras 3.0 to 3.15.1;
CVE-2024-3660 and CVE-2025-9905 (a Lambda in .h5), CVE-2025-1550, CVE-2025-8747 and CVE-2025-9906 (functions by name).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from . import LOAD, Ailment, Finding, Outcome, Patient
from ._keras3_table import LAYERS

LAMBDA, BY_NAME = "GW605", "GW606"
_SAFE = "ValueError: Requested the deserialization of a"
# Modules from which a config may name something that is only built, never called with the file's arguments.
_BUILT = re.compile(
    r"keras(\.src)?(\.(layers|initializers|regularizers|constraints|activations|losses|metrics|optimizers|models|ops|"
    r"mixed_precision|dtype_policies|random|engine|backend\.common|saving\.legacy|legacy|dtensor)(\.\w+)*)?$"
)
_HARMLESS = ("builtins", "__main__", "", None)
_NAMED = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]{2,40}")


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None or not checkpoint.tensors.container.startswith("keras"):
        return
    config = checkpoint.tensors.metadata.get("config")
    if isinstance(config, dict):
        legacy = checkpoint.tensors.container == "keras-h5"
        yield from _named("", config, 0)
        for order, (path, value) in enumerate(_dicts(config.get("config"), "")):
            yield from _code(path, value, legacy, order)
            yield from _named(path, value, order)


def _dicts(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the config with the names of the layers around it.  The JSON reader has bounded the depth."""
    if isinstance(value, dict):
        body = value.get("config")
        name = value.get("name") or (body.get("name") if isinstance(body, dict) else None)
        here = f"{path}/{name}".strip("/") if isinstance(name, str) and "class_name" in value else path
        yield here, value
        for item in value.values():
            yield from _dicts(item, here)
    elif isinstance(value, list):
        for item in value:
            yield from _dicts(item, path)


def _code(path: str, value: dict[str, Any], legacy: bool, order: int) -> Iterator[Finding]:
    """A Lambda of Keras 2 keeps [code, defaults, closure]; Keras 3 a ``__lambda__``."""
    body = value.get("config")
    if value.get("class_name") == "__lambda__" and isinstance(body, dict):
        code = body.get("code", body.get("value"))
    elif value.get("class_name") == "Lambda" and isinstance(body, dict) and isinstance(body.get("function"), list):
        code = body["function"][0] if body["function"] else None
    else:
        return
    text = code if isinstance(code, str) else str(code[0]) if isinstance(code, list) and code else ""
    size, names = _looked_at(text)
    mentions = f" Names in it: {', '.join(names)}." if names else ""
    where = "; in .h5 Keras before 3.11 ran it whatever safe_mode said" if legacy else ""
    yield Finding(
        LAMBDA, "unsafe", path, f"{size:,} bytes of compiled Python stand in the config and are called when the model runs.{mentions}",
        f"Loading unmarshals the code, and using the model calls it{where}. Only the Python that compiled it can run it, so an old "
        "one may crash a newer interpreter.", "keras", None,
        (
            Outcome(">=3.13", "refused unless safe_mode=False", LOAD, _SAFE),
            Outcome("<3.13", "loads and runs the code" if legacy else "refused unless safe_mode=False"),
        ), order,
    )  # fmt: skip


def _looked_at(text: str) -> tuple[int, list[str]]:
    """The size of base64-encoded code and the identifiers to be seen in it.  It is not unmarshalled."""
    try:
        data = base64.b64decode(text.encode("ascii", "ignore"), validate=False)
    except (binascii.Error, ValueError):
        data = text.encode()
    names = [found.decode() for found in _NAMED.findall(data)]
    return len(data), list(dict.fromkeys(name for name in names if not name.startswith("lambda")))[:12]


def _named(path: str, value: dict[str, Any], order: int) -> Iterator[Finding]:
    """An object that Keras would import and call by the name that the config gives."""
    module, kind = value.get("module"), value.get("class_name")
    if not isinstance(kind, str) or module in _HARMLESS or not isinstance(module, str):
        return
    name = value.get("config") if kind == "function" and isinstance(value.get("config"), str) else kind
    if _BUILT.match(module) or (module.startswith("keras") and kind in LAYERS):
        return
    package = module.partition(".")[0]
    own = "a function of Keras that does more than build layers" if package == "keras" else f"the module {module}"
    yield Finding(
        BY_NAME, "unsafe", path, f"The config names {module}.{name}.",
        f"Keras before 3.11 imports {own} and calls what is named, with arguments from the file, when it loads; later ones take only "
        "what is Keras's or registered. If it is your own class, register it and load with custom_objects.", "keras>=2.12", None,
        (Outcome(">=2.12,<3.11", f"imports {module} and calls {name}"), Outcome(">=3.11", "refused unless it is registered")), order,
    )  # fmt: skip


AILMENT = Ailment(
    "keras_code",
    "Keras files that run code when loaded",
    {
        LAMBDA: "A Lambda layer: compiled Python code in the file.",
        BY_NAME: "The config names a function or class outside of Keras, which older versions import and call.",
    },
    examine,
    source="CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9905, CVE-2025-9906",
)
