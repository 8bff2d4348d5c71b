"""The command line: parsing, printing, progress, exit codes.  The only room that prints.

A command is one file ``cli/<command>.py`` that holds ``COMMAND = Command(...)``; the folder is walked.  Exit codes:
0 done, same, healthy; 1 findings, or differs; 2 refused.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` if None) and return its exit code.  Never raises what a user can cause."""
    from ._run import run

    return run(argv)


__all__ = ["main"]
