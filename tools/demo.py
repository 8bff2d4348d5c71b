"""The main job, on a real legacy file: a bidirectional two-layer LSTM that PyTorch 1.0.1 pickled whole in 2019's way.

Today's torch.load raises `'LSTM' object has no attribute '_flat_weights'` for it.  Here it is opened, named, converted to
Keras and safetensors and back to PyTorch, and each file is proved against what torch 1.0.1 itself computed.  Every step is a real
`gatewise` command line; no framework is installed in the environment that runs it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASE = "tests/fixtures/torch/1.0.1/lstm_bi2"
FILE, RECORDED = f"{CASE}.module.pt", f"{CASE}.npz"
OUT = Path("demo-out")
STEPS = (
    ("What is in this file, and who wrote it?", f"inspect {FILE}"),
    ("Which gate is which?", f"inspect {FILE} --gates"),
    ("The file as it is, against what torch 1.0.1 computed:", f"verify {FILE} --recorded {RECORDED} --time-major"),
    ("To Keras:", f"convert {FILE} -o {OUT}/lstm.keras --to keras.LSTM --code"),
    ("The Keras file, against what torch 1.0.1 computed:", "verify {keras} --recorded {recorded} --time-major"),
    ("To safetensors:", f"convert {FILE} -o {OUT}/lstm.safetensors --to torch.LSTM"),
    ("The safetensors file, against what torch 1.0.1 computed:", "verify {safetensors} --recorded {recorded} --time-major"),
    ("From Keras back to PyTorch:", f"convert {OUT}/lstm.keras -o {OUT}/lstm.pt --to torch.LSTM --code"),
    ("The way there and back, against what torch 1.0.1 computed:", "verify {torch} --recorded {recorded} --time-major"),
)  # fmt: skip


def main() -> int:
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir()
    names = {
        "recorded": RECORDED,
        "keras": OUT / "lstm.keras",
        "safetensors": OUT / "lstm.safetensors",
        "torch": OUT / "lstm.pt",
    }
    failed = [title for title, words in STEPS if not step(title, words.format(**names))]
    print()
    for title in failed:
        print(f"FAILED: {title}")
    if not failed:
        print(f"Done: {OUT}/ holds the files, and every one computes what torch 1.0.1 computed.")
    return 1 if failed else 0


def step(title: str, words: str) -> bool:
    """Run one command line, printed before its output as a user would type it."""
    print(f"\n# {title}\n$ gatewise {words}", flush=True)
    return (
        subprocess.run([sys.executable, "-m", "gatewise", *shlex.split(words)], cwd=ROOT, check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(main())
