"""Layouts of a user's own that somebody else wrote: absurd sizes, names that are patterns, phrases without end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from museum import Attack

from gatewise.errors import GatewiseError

PART = '[[parts]]\nname = "kernel"\nrole = "kernel"\nphrase = "feature (gate unit)"\n'


def _layout(text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import numpy as np

        (folder / "mine.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
        np.savez(
            folder / "model.npz",
            kernel=np.zeros((3, 16), "f4"),
            recurrent=np.zeros((4, 16), "f4"),
            bias=np.zeros(16, "f4"),
        )
        return folder / "mine.toml"

    return make


def _part(phrase: str = "feature (gate unit)", name: str = "kernel", role: str = '"kernel"', more: str = "") -> str:
    return f'cell = "lstm"\n[[parts]]\nname = "{name}"\nrole = {role}\nphrase = "{phrase}"\n{more}\n'


TEXTS = {
    "a phrase of a hundred thousand axes": _part("unit " * 100_000),
    "a phrase of a hundred thousand brackets": _part("(" * 100_000),
    "a phrase of nested brackets": _part("(" * 5_000 + "unit" + ")" * 5_000),
    "a phrase of a hundred thousand roles": _part("(" + " + ".join(["unit"] * 50_000) + ")"),
    "a phrase of a megabyte": _part("a" * (1 << 20)),
    "a flat phrase that is tried in every way": _part("[" + "layer " * 20_000 + ": unit"),
    "a flat phrase of many sections": _part("[layer: unit] " * 5_000),
    "a phrase of nothing": _part(""),
    "a name that is tried in every way": _part(name="[a]" * 2_000 + "!"),
    "a name of stars": _part(name="*" * 500),
    "a name of brackets": _part(name="[" * 5_000),
    "a name of a megabyte": _part(name="a" * (1 << 20)),
    "a name of every placeholder": _part(name="{layer}{layer}{gate}{member}{place}"),
    "a thousand optional pieces": _part(name="[x]" * 1_000),
    "ten thousand parts": 'cell = "lstm"\n' + PART * 3_000,
    "ten thousand roles": _part(role="[" + '"kernel",' * 10_000 + "]"),
    "gates of a megabyte": 'cell = "lstm"\ngates = "' + "ifgo" * (1 << 18) + '"\n' + PART,
    "gates that are twice the same": 'cell = "lstm"\ngates = "iiii"\n' + PART,
    "a forget bias that is infinite": 'cell = "lstm"\nforget_bias = inf\n' + PART,
    "a forget bias that is no number": 'cell = "lstm"\nforget_bias = "__import__"\n' + PART,
    "a clip of a thousand digits": 'cell = "lstm"\ncell_clip = ' + "9" * 1_000 + "\n" + PART,
    "an activation that is code": "cell = \"lstm\"\nactivation = \"__import__('os').system('x')\"\n" + PART,
    "a reset that is a list": 'cell = "gru"\nreset = ["after"]\n' + PART,
    "an update that is a table": 'cell = "gru"\nupdate = {a = 1}\n' + PART,
    "a cell that is a list": 'cell = ["lstm"]\n' + PART,
    "a relabel that is a path": _part(more='relabel = "../../etc/passwd"'),
    "a hundred thousand brackets": "a = " + "[" * 100_000,
    "a hundred thousand tables": "".join(f"[a{n}]\n" for n in range(20_000)),
    "a key a hundred thousand deep": "a." * 50_000 + "b = 1",
    "a text that is no text": 'cell = "\udcff\udcfe"\n',
    "nothing": "",
    "a number of ten thousand digits": 'cell = "lstm"\ncell_clip = ' + "9" * 10_000 + "\n" + PART,
    "a table a thousand deep": "a = " + "{a = " * 2_000 + "1" + "}" * 2_000,
    "zeros": "\0" * 1_000,
    "spelled by a thousand letters": 'cell = "lstm"\n[spelled]\n'
    + "".join(f'x{n} = "a"\n' for n in range(1_000))
    + PART,
}

ATTACKS = tuple(
    Attack(f"a layout with {what} is refused", _layout(text), GatewiseError, deed="layout")
    for what, text in TEXTS.items()
)
