"""Startup: nothing heavy is imported until it is used, and no framework ever.  Each check runs in its own interpreter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import FRAMEWORKS

TESTS = Path(__file__).resolve().parent
HEAVY = frozenset(
    ("numpy", "h5py", "ml_dtypes", "multiprocessing", "asyncio", "concurrent", "unittest", "email", "http")
)
PROBE = """
import json, sys
before = set(sys.modules)
{code}
new = sorted(set(sys.modules) - before)
print("\\n" + json.dumps(new))
"""


def _imported_by(code: str, *arguments: str) -> list[str]:
    """The modules that some code imports on top of a bare interpreter."""
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code), *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    modules: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return modules


def _unwanted(modules: list[str], also: frozenset[str] = frozenset()) -> list[str]:
    return [name for name in modules if name.partition(".")[0] in FRAMEWORKS | HEAVY | also]


def test_import_gatewise_imports_nothing_heavy() -> None:
    modules = _imported_by("import gatewise")
    assert _unwanted(modules, frozenset(("argparse", "json"))) == [], f"import gatewise imported {modules}"


CALLS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "formats": ["formats"],
    "a refusal": ["inspect", "no-such-file.pt"],
}


@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS)
def test_the_command_line_imports_nothing_heavy(words: list[str]) -> None:
    modules = _imported_by(f"import gatewise.cli; gatewise.cli.main({words!r})")
    assert _unwanted(modules) == [], f"gatewise {words[0]} imported {modules}"


def test_the_version_is_told_without_argparse() -> None:
    modules = _imported_by("import sys; sys.argv[1:] = ['--version']\nfrom gatewise.__main__ import main; main()")
    assert _unwanted(modules, frozenset(("argparse", "json"))) == [], modules


def test_inspect_of_a_file_imports_neither_numpy_nor_a_framework(tmp_path: Path) -> None:
    path = tmp_path / "lstm.safetensors"
    shapes = {"rnn.weight_ih_l0": [64, 8], "rnn.weight_hh_l0": [64, 16], "rnn.bias_ih_l0": [64], "rnn.bias_hh_l0": [64]}
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
    modules = _imported_by(
        "import sys, gatewise.cli; assert gatewise.cli.main(['inspect', sys.argv[1]]) == 0", str(path)
    )
    assert _unwanted(modules) == [], f"gatewise inspect imported {modules}"


def early_imports(text: str) -> list[str]:
    """The frameworks that a test file imports when it is collected."""
    frameworks = "|".join(sorted(FRAMEWORKS - {"safetensors"}))
    imports = rf"^(?:from|import) +({frameworks})\b|^\w+ *=.*importorskip\(.({frameworks})\b"
    return [one or other for one, other in re.findall(imports, text, re.MULTILINE)]


def test_no_framework_is_imported_by_collecting_tests() -> None:
    """Every worker collects every file, also those of which the quick part has no test: torch alone is seconds."""
    files = [path for path in TESTS.rglob("*.py") if "fixtures" not in path.parts]
    assert len(files) > 100
    assert {str(path): found for path in files if (found := early_imports(path.read_text(encoding="utf-8")))} == {}


def test_an_early_import_of_a_framework_is_seen() -> None:
    for line in ("import torch", "from keras.layers import LSTM", 'torch = pytest.importorskip("torch")'):
        assert len(early_imports(f"import pytest\n{line}\n")) == 1
    assert early_imports("from torch_help import FILES\n\ndef test():\n    import torch\n") == []


def test_the_probe_sees_what_is_imported() -> None:
    """The twin: code that does import numpy is reported."""
    assert "numpy" in _unwanted(_imported_by("import numpy"))
