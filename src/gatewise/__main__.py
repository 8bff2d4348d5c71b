"""``python -m gatewise`` and the console script ``gatewise`` are the same."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """The command line.  ``--version`` is answered before anything else is imported."""
    if sys.argv[1:] == ["--version"]:
        from . import __version__

        print(f"gatewise {__version__}")
        return 0
    try:
        return _command()
    except KeyboardInterrupt:  # while all is still being imported; what comes later is the command line's own
        return 130


def _command() -> int:
    from .cli import main

    # A command makes many small things and hardly a cycle: looking for some each 700 took a fifth of the time that
    # listing 100,000 tensors takes, and freed nothing.
    gc.set_threshold(100_000)
    # numpy's OpenBLAS starts a thread for each other processor, which looks for work for some 50 ms before it sleeps, and
    # again behind each product.  A reference run's matrices are read once, and memory is what they wait for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return main()
    finally:
        gc.freeze()  # else Python looks through everything once more before it ends


if __name__ == "__main__":
    sys.exit(main())
