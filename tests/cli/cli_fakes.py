"""Stand-ins for the library, so that the command line's own promises are tested apart from what it shows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from gatewise.errors import AmbiguousLayout, BrokenFile, UsageError, WriteRefused

HOSTILE = "evil\x1b[2J\x1b]0;owned\x07\u202ename"
PROOF = {
    "max_abs_error": 5.6e-17, "tolerance": 1e-06, "same": True, "compared": ["y", "h_n", "c_n"], "time": 7, "batch": 3,
    "against": "reference",
}  # fmt: skip


def layer(name: str = "encoder.lstm", **changes: Any) -> dict[str, Any]:
    """One recurrent layer as ``Checkpoint.inspect()`` tells it."""
    dot = f"{name}." if name else ""
    return {
        "name": name, "cell": "lstm", "layout": "torch.LSTM", "input_size": 8, "hidden_size": 16, "proj_size": 0,
        "num_layers": 2, "directions": 2, "bias": "double", "reset": None, "dtype": "float32", "parameters": 9344,
        "tensors": [
            {"tensor": f"{dot}weight_ih_l0", "shape": [64, 8], "role": "kernel", "layer": 0, "direction": "forward", "gates": "ifgo"},
            {"tensor": f"{dot}weight_hh_l0", "shape": [64, 16], "role": "recurrent_kernel", "layer": 0, "direction": "forward", "gates": "ifgo"},
        ],
        "dialect": {"activation": "tanh", "recurrent_activation": "sigmoid", "forget_bias": 0.0},
        "evidence": ["a pickled torch.nn.modules.rnn.LSTM"], "assumed": [], "also_at": [], "sure": True,
        **changes,
    }  # fmt: skip


def document(path: str = "model.pt", **changes: Any) -> dict[str, Any]:
    """A file as ``Checkpoint.inspect()`` tells it."""
    return {
        "path": path, "container": "torch-legacy", "bytes": 12345,
        "written_by": [{"framework": "torch", "version": ">=1.0,<1.4", "because": "LSTM state has no _flat_weights_names"}],
        "layers": [layer()],
        "others": [{"tensor": "fc.weight", "shape": [2, 16], "dtype": "float32"}],
        "findings": [], "outside": [], "notes": [],
        **changes,
    }  # fmt: skip


LONG = document(
    path="/data/experiments/2019/language-model/checkpoints/epoch-0031-step-000120000-best.pt",
    layers=[
        layer("model.encoder.layers.0.bidirectional_recurrent_block.lstm", parameters=123_456_789, input_size=1024, hidden_size=2048),
        layer("model.encoder.layers.1.bidirectional_recurrent_block.lstm", layout="keras.CuDNNLSTM", hidden_size=[2048, 1024]),
        layer("深い学習.再帰.層", cell="gru", layout="torch.GRU", directions=1, dialect={"reset": "after"}, assumed=["the default tanh"]),
        layer(HOSTILE, sure=False, evidence=["the shapes fit and nothing else does"], also_at=["decoder.lstm"], proj_size=512),
        layer(""),
    ],
    outside=[{"name": "conv", "kind": "ConvLSTM2D", "why": "convolutions over time, which gatewise does not run" * 3, "tensors": []}],
    notes=["optimizer moments were left aside: 48 tensors whose names repeat the model's under optimizer.state"],
    others=[{"tensor": f"embedding.table.{n}.{'x' * 30}", "shape": [50000, 1024], "dtype": "float32"} for n in range(40)],
)  # fmt: skip


def gate_rows(name: str = "encoder.lstm") -> list[dict[str, Any]]:
    return [
        {"name": name, "layer": depth, "direction": direction, "role": role, "gate": gate, "shape": [16, 8],
         "mean": -0.0123456, "std": 0.5, "min": -1.0, "max": 123456.789}
        for depth in (0, 1) for direction in ("forward", "reverse")
        for role in ("kernel", "recurrent_kernel") for gate in "ifgo"
    ]  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One command line, run: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Library:
    """A fake ``gatewise.checkpoint``: what it answers, and how it was called."""

    document: dict[str, Any] = field(default_factory=document)
    proof: dict[str, Any] = field(default_factory=lambda: dict(PROOF))
    differences: dict[str, Any] = field(
        default_factory=lambda: {"same": True, "rows": [], "only_in_a": [], "only_in_b": [], "meaning": []}
    )
    raises: BaseException | None = None
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def _called(self, name: str, *args: Any, **options: Any) -> None:
        self.calls.append((name, args, options))
        if self.raises is not None:
            raise self.raises

    def open(self, path: str, **options: Any) -> SimpleNamespace:
        self._called("open", path, Path(path).read_bytes() if Path(path).is_file() else b"", **options)
        told = {**self.document, "path": path} if self.document["path"] == "model.pt" else self.document

        def inspect(name: str | None, tensors: bool) -> dict[str, Any]:  # noqa: ARG001  # all that there is
            return {**told, "layers": [each for each in told["layers"] if name in (None, each["name"])]}

        return SimpleNamespace(inspect=inspect, gates=self.gates)

    def gates(self, name: str | None) -> list[dict[str, Any]]:
        self._called("gates", name)
        return gate_rows()

    def convert(self, path: str, out: str, progress: Any = None, **options: Any) -> SimpleNamespace:
        self._called("convert", path, out, **options)
        progress(1, 2, "layer")
        Path(out).write_bytes(b"x" * 2048)
        told = {
            "proof": self.proof if options["verify"] else None,
            "changes": [{"what": "b_ih and b_hh added into one bias", "exactness": "exact up to one rounding"}],
            "layers": [{"name": "encoder.lstm", "from": "torch.LSTM", "to": "keras.LSTM"}],
            "outputs": [{"path": out, "container": "keras", "bytes": 2048}],
        }
        return SimpleNamespace(
            as_dict=lambda: told, code="import keras\nmodel = keras.saving.load_model('out.keras')\n"
        )

    def verify(self, a: str, b: str | None = None, **options: Any) -> SimpleNamespace:
        self._called("verify", a, b, **options)
        return SimpleNamespace(as_dict=lambda: self.proof, same=self.proof["same"])

    def diff(self, a: str, b: str, **options: Any) -> dict[str, Any]:
        self._called("diff", a, b, **options)
        return self.differences

    def examination(self, path: str, target: str | None) -> SimpleNamespace:
        self._called("examination", path, target)
        told = {"path": path, "container": "torch-zip", "for": None, "healthy": True, "findings": []}
        return SimpleNamespace(healthy=True, as_dict=lambda: told)

    def repair(self, path: str, out: str, form: str | None, **options: Any) -> SimpleNamespace:
        self._called("repair", path, out, form, **options)
        Path(out).write_bytes(b"x" * 2048)
        told = {
            "path": path, "output": out, "as": form or "module", "container": "torch-zip", "nothing_to_do": False,
            "dry_run": False, "left": [],
            "remedies": [{"code": "GW107", "where": HOSTILE, "what": "proj_size set to 0", "exactness": "exact"}],
        }  # fmt: skip
        return SimpleNamespace(as_dict=lambda: told)

    def map_of(self, path: str, order: str | None, layer: str | None, **options: Any) -> SimpleNamespace:
        self._called("map_of", path, order, layer, **options)
        row = {"offset": 12, "size": 128, "role": "kernel", "layer": 0, "direction": "forward", "gate": "f", "name": HOSTILE,
               "shape": [16, 8], "strides": [1, 64], "contiguous": False}  # fmt: skip
        told = {
            "path": path, "layer": "encoder.lstm", "order": order or "torch.LSTM", "layout": "torch.LSTM", "size": 9344,
            "dtype": "float32", "names": [HOSTILE], "rows": [row], "changes": [], "assumed": [],
        }  # fmt: skip

        def write(out: str, _force: bool) -> tuple[()]:
            Path(out).write_bytes(b"x" * 2048)
            return ()

        return SimpleNamespace(
            as_dict=lambda _rows: dict(told), write_vector=write, flat=SimpleNamespace(selected=lambda **_: ())
        )

    def flat_files(self) -> ModuleType:
        return self._module("gatewise.flat._files", "map_of")

    def module(self) -> ModuleType:
        return self._module("gatewise.checkpoint", "open", "convert", "verify", "diff")

    def doctor(self) -> ModuleType:
        return self._module("gatewise.doctor", "examination", "repair")

    def _module(self, name: str, *functions: str) -> ModuleType:
        module = ModuleType(name)
        for function in functions:
            setattr(module, function, getattr(self, function))
        return module


class Settings(dict[str, Any]):
    """A dialect."""

    def as_dict(self) -> dict[str, Any]:
        return dict(self)


def layouts_module() -> ModuleType:
    def part(name: str, roles: tuple[str, ...], phrase: str, optional: bool = False) -> SimpleNamespace:
        return SimpleNamespace(name=name, roles=roles, phrase=phrase, optional=optional)

    torch = SimpleNamespace(
        name="torch.LSTM", cell="lstm", gates="ifgo", source="torch/nn/modules/rnn.py", proven="torch 2.13.0: 2e-07", status="proven",
        meaning=Settings({"activation": "tanh", "recurrent_activation": "sigmoid"}),
        parts=(part("weight_ih_l{layer}{_reverse}", ("kernel",), "(gate unit) feature"),
               part("bias_ih_l{layer}{_reverse}", ("bias",), "(gate unit)", optional=True)),
    )  # fmt: skip
    tf1 = SimpleNamespace(
        name="tf1.BasicLSTMCell", cell="lstm", gates="igfo", source="rnn_cell_impl.py", proven="", status="source only",
        meaning=Settings({"forget_bias": 1.0}), parts=(part("kernel", ("kernel", "recurrent_kernel"), "(feature + hidden) (gate unit)"),),
    )  # fmt: skip
    module = ModuleType("gatewise.layouts")
    module.layouts = lambda: (torch, tf1)  # type: ignore[attr-defined]
    return module


REFUSALS = {
    "a broken file": (
        BrokenFile("the file ends early: 8 bytes announced, 2 bytes left.", path="model.pt", where="byte 40", next="Fetch it again."),
        "gatewise: model.pt: byte 40: the file ends early: 8 bytes announced, 2 bytes left. Fetch it again.\n",
    ),
    "a file that is not there": (
        UsageError("there is no such file.", path="model.pt", next="Check the path."),
        "gatewise: model.pt: there is no such file. Check the path.\n",
    ),
    "two layouts that fit": (
        AmbiguousLayout("fits torch.LSTM and tf1.LSTM.", where="layer 'a'", next="Say which with --from."),
        "gatewise: layer 'a': fits torch.LSTM and tf1.LSTM. Say which with --from.\n",
    ),
    "an output that exists": (WriteRefused("exists.", path="out.pt"), "gatewise: out.pt: exists.\n"),
}  # fmt: skip
