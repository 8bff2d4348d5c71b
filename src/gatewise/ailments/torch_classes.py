"""What else than tensors a torch file names: whether today's ordinary torch.load opens it, and whose classes it needs.

Since 2.6 torch.load takes weights only unless told otherwise, and allows a short list of names.  A whole module is no
such file by its nature (a note); a checkpoint that is meant to hold weights is one that breaks.
Source: torch/_weights_only_unpickler.py of 2.13.0 (``_get_allowed_globals``), measured on 2.6.0 to 2.13.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..containers._pickle import Record
from ..containers._torch_tree import is_module
from ..errors import few
from . import DEFAULT_LOAD, Ailment, Finding, Outcome, Patient, Remedy
from ._pickle_names import is_dangerous, is_users
from ._torch import PICKLES, found, met

WEIGHTS_ONLY, STREAM, CLASSES = "GW601", "GW609", "GW612"
_MANY = 6
_OLD = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as Python 3 reads the names of protocol 2
_ALLOWED = re.compile(
    r"""collections\.(OrderedDict|Counter) | torch\.nn\.parameter\.Parameter | torch\.serialization\._get_layout
    | torch\.(Size|Tensor|device) | _codecs\.encode | builtins\.(bytearray|set|complex)
    | torch\.(float\d*\w*|double|half|bfloat\d+|complex\d+|cfloat|cdouble|chalf|u?int\d*|long|short|bool|qu?int\d+(x\d)?|bits\w+)
    | torch\.per_(tensor|channel)_\w+ | torch\.(cuda\.)?(sparse\.)?\w+Tensor | torch\.(cuda\.)?\w+Storage
    | torch\.storage\.(Typed|Untyped)Storage | torch\._tensor\._rebuild_from_type_v2
    | torch\._utils\._rebuild_(parameter|parameter_with_state|qtensor|tensor|tensor_v2|tensor_v3|sparse_tensor|meta_tensor_no_storage
        |nested_tensor|wrapper_subclass|device_tensor_from_numpy|device_tensor_from_cpu_tensor)
    """,
    re.VERBOSE,
)


def not_allowed(record: Record) -> list[str]:
    """The names that today's torch.load does not allow by default, in the order in which it meets them."""
    names = (f"{_OLD.get(name.module, name.module)}.{name.name}" for name in record.names)
    return [name for name in dict.fromkeys(names) if not _ALLOWED.fullmatch(name)]


def examine(patient: Patient) -> Iterable[Finding]:
    record = met(patient)
    if record is None or patient.checkpoint is None or patient.checkpoint.tensors.container not in PICKLES:
        return
    whole = any(is_module(each.stub) for each in found(patient))
    container = patient.checkpoint.tensors.container
    yield from _weights_only(record, whole, container)
    if whole and container != "torch-zip":
        yield _stream(container)
    yield from _users(record)


def _weights_only(record: Record, whole: bool, container: str) -> Iterator[Finding]:
    names = not_allowed(record)
    if not names or container == "torch-tar":
        return
    kind = "A whole pickled module" if whole else "The file"
    why = "Since torch 2.6 torch.load takes weights only unless told otherwise."
    if whole:
        why += (
            " A whole module is opened with weights_only=False, which runs the pickle: only where you trust the file."
        )
    says = f"Weights only load failed. … Unsupported global: GLOBAL {names[0]} was not an allowed global by default."
    yield Finding(
        WEIGHTS_ONLY, "note" if whole else "breaks", "",
        f"{kind} names {_listed(names)}, which torch.load does not allow by default.", why, "torch>=2.6",
        Remedy(f"repair --as state-dict keeps the weights alone, and loads with weights_only=True{_allow(names, record, whole)}", "exact"),
        (Outcome(">=2.6", "torch.load(path) refuses it; weights_only=False opens it", DEFAULT_LOAD, f"UnpicklingError: {says}"),),
    )  # fmt: skip


def _allow(names: list[str], record: Record, whole: bool) -> str:
    """The other way, for data alone; nobody should be told to allow os.system."""
    if whole or any(is_dangerous(name) for name in record.names):
        return ""
    shown = ", ".join(name.removeprefix("builtins.") for name in names[:_MANY]) + (", …" if len(names) > _MANY else "")
    return f"; or, for a file of your own, torch.serialization.safe_globals([{shown}])"


def _stream(container: str) -> Finding:
    if container == "torch-tar":
        what, says = (
            "a tar archive of torch 0.1",
            "RuntimeError: Cannot use ``weights_only=True`` with files saved in the legacy .tar format.",
        )
    else:
        what = "a stream of pickles, torch's format before 1.6, and holds a whole module"
        says = "UnpicklingError: Only persistent_load of storage is allowed, but got <class 'str'>"
    return Finding(
        STREAM, "note", "", f"The file is {what}: weights_only=True refuses it however many classes are allowed.",
        "The old format keeps the source texts of the classes, or tensors outside the pickle, in a way that it does not read.",
        "torch>=1.13",
        Remedy("repair --as module writes today's format, repair --as state-dict the weights alone", "exact"),
        (Outcome(">=1.13", "torch.load(path, weights_only=True) refuses it", DEFAULT_LOAD, says),),
    )  # fmt: skip


def _users(record: Record) -> Iterator[Finding]:
    names = [str(name) for name in record.names if is_users(name)]
    if names:
        yield Finding(
            CLASSES, "note", "", f"The pickle needs {_listed(names)}, from outside torch, numpy and Python.",
            "torch.load imports them from the packages of the program that loads the file, under exactly these names. "
            "Where they are not there it fails; gatewise reads the file without them.",
            "torch>=0.1", Remedy("keep the weights alone with repair --as state-dict, which needs no class", "exact"),
        )  # fmt: skip


def _listed(names: list[str]) -> str:
    return few(names, _MANY)


AILMENT = Ailment(
    "torch_classes",
    "What else than tensors a torch file names",
    {
        WEIGHTS_ONLY: "The file names classes or functions that torch 2.6 and later do not allow by default.",
        STREAM: "A whole module in torch's old stream or tar, which weights_only=True cannot open at all.",
        CLASSES: "The pickle needs classes of somebody's package, which must be importable under the same name.",
    },
    examine,
    source="torch/_weights_only_unpickler.py",
)
