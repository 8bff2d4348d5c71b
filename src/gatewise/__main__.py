"""``python -m gatewise`` and the console script ``gatewise`` are the same."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line.  ``--version`` is answered before anything else is imported."""
    if sys.argv[1:] == ["--version"]:
        from . import __version__

        print(f"gatewise {__version__}")
        return 0
    from .cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
