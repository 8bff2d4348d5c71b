"""What is told of an error, whoever raised it: for people a sentence, for programs a document."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import GatewiseError

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any


def refusal(error: Exception) -> tuple[str, Mapping[str, Any]]:
    """The error as the command line tells it, and as ``--json`` does."""
    if isinstance(error, GatewiseError):
        return error.on_the_command_line(), error.as_dict()
    told = _of_the_system(error) if isinstance(error, OSError) else _surprise(error)
    return str(told), {**told.as_dict(), "type": type(error).__name__}


def _of_the_system(error: OSError) -> GatewiseError:
    """The system said no: a disk is full, a folder may not be written."""
    message = f"{(error.strerror or str(error)).rstrip('.').lower()}."
    path = None if error.filename is None else os.fsdecode(error.filename)
    return GatewiseError(f"the system refused: {message}", path=path)


def _surprise(error: Exception) -> GatewiseError:
    """Nobody foresaw this: a fault of ours, told in one sentence."""
    if os.environ.get("GATEWISE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return GatewiseError(
        f"this should not have happened ({what}).",
        next="Please report it with the command line and what GATEWISE_DEBUG=1 prints, and with the file if you can.",
    )
