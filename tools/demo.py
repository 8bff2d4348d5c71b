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
FILE, RUN = f"{CASE}.module.pt", f"--recorded {CASE}.npz --time-major"
STEPS = (
    ("What is in this file, and who wrote it?", f"inspect {FILE}"),
    ("Which gate is which?", f"inspect {FILE} --gates"),
    ("The file as it is, against what torch 1.0.1 computed:", f"verify {FILE} {RUN}"),
    ("To Keras:", f"convert {FILE} -o {{out}}/lstm.keras --to keras.LSTM --code"),
    ("The Keras file, against what torch 1.0.1 computed:", f"verify {{out}}/lstm.keras {RUN}"),
    ("To safetensors:", f"convert {FILE} -o {{out}}/lstm.safetensors --to torch.LSTM"),
    ("The safetensors file, against what torch 1.0.1 computed:", f"verify {{out}}/lstm.safetensors {RUN}"),
    ("From Keras back to PyTorch:", "convert {out}/lstm.keras -o {out}/lstm.pt --to torch.LSTM --code"),
    ("The way there and back, against what torch 1.0.1 computed:", f"verify {{out}}/lstm.pt {RUN}"),
)


def main(out: str = "demo-out") -> int:
    shutil.rmtree(ROOT / out, ignore_errors=True)
    (ROOT / out).mkdir(parents=True)
    failed = [title for title, words in STEPS if not step(title, words.format(out=out))]
    print()
    for title in failed:
        print(f"FAILED: {title}")
    if not failed:
        print(f"Done: {out}/ holds the files, and every one computes what torch 1.0.1 computed.")
    return 1 if failed else 0


def step(title: str, words: str) -> bool:
    """Run one command line, printed before its output as a user would type it."""
    print(f"\n# {title}\n$ gatewise {words}", flush=True)
    return (
        subprocess.run([sys.executable, "-m", "gatewise", *shlex.split(words)], cwd=ROOT, check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
