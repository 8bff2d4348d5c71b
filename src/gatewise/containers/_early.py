"""Forces a growing file to the disk while it is written and while it is read back, in a thread.

Without it the processor waits for the disk in the end, which had nothing to do before.  Nothing is promised here: whoever
gives a file its name has the last word with the disk himself.  Not known here: names, and what is written.
"""

from __future__ import annotations

import contextlib
import os
import threading

_OFTEN, _WORTH = 0.01, 16 << 20  # seconds between two looks; bytes that are worth a word with the disk


class Early:
    """The thread.  It has a descriptor of its own: an interrupt does not wait for a slow disk."""

    def __init__(self, descriptor: int):
        self._descriptor, self._over = descriptor, threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="gatewise-disk", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, descriptor: int) -> Early | None:
        """For the file behind a descriptor; None where there is no processor for it, or nothing to make it of."""
        if os.name != "posix" or processors() == 1:  # an open file cannot be renamed elsewhere
            return None
        with contextlib.suppress(OSError):
            own = os.dup(descriptor)
            try:
                return cls(own)
            except RuntimeError:  # no more threads
                os.close(own)
        return None

    def _run(self) -> None:
        done = 0
        try:
            while not self._over.wait(_OFTEN):
                size = os.fstat(self._descriptor).st_size
                if size - done >= _WORTH:
                    done = size
                    os.fsync(self._descriptor)
        except OSError as error:
            self._error = error
        finally:
            os.close(self._descriptor)

    def end(self) -> None:
        """No more of it, without waiting."""
        self._over.set()

    def wait(self) -> None:
        """Until it has ended.  Raises what the disk said: it says only once that it failed."""
        self.end()
        self._thread.join()
        if self._error is not None:
            raise self._error


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
