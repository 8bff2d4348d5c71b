"""A small process that starts commands and tells what each cost.  ``_process.py`` asks it, a line of JSON for each.

A child's peak memory counts from the peak of the process that started it, so that process must be smaller than anything
that is measured: this one imports next to nothing.
"""

import json
import os
import sys
import time


def main() -> None:
    for line in sys.stdin:
        argv = json.loads(line)
        reading, writing = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
        start = time.perf_counter()
        child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[*actions, (os.POSIX_SPAWN_CLOSE, reading)])
        os.close(writing)
        with open(reading, "rb") as output:
            said = output.read()
        _, status, used = os.wait4(child, 0)
        wall = time.perf_counter() - start
        # Kilobytes: Linux's unit.
        told = [os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6]
        print(json.dumps([*told, said.decode(errors="replace")[-100_000:]]), flush=True)


if __name__ == "__main__":
    main()
