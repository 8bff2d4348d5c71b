"""Writes what gatewise looks at before it imports a table: ``layouts/_index.py`` and ``containers/_index.py``.

    python tools/indexes.py           renew both
    python tools/indexes.py --check   change nothing; exit 1 where one differs

A file that is not in its index is imported all the same, so a new table works before this has run.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "gatewise"


def modules(package: ModuleType) -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def of_containers() -> str:
    room = importlib.import_module("gatewise.containers")
    rows = []
    for module in modules(room):
        for known in importlib.import_module(f"{room.__name__}.{module}").CONTAINERS:
            written = known.suffixes if known.write else ()
            stands_for = known.stands_for is not None
            rows.append(
                (known.rank, known.name, module, known.folders, known.magic, stands_for, written, known.members)
            )
    return _file(
        "What is known of each format before its module is imported.", "_row", [f"Row{row!r}" for row in sorted(rows)]
    )


def of_layouts() -> str:
    from gatewise.layouts._clues import clues

    room = importlib.import_module("gatewise.layouts")
    rows = []
    for module in modules(room):
        tables = importlib.import_module(f"{room.__name__}.{module}").LAYOUTS
        rows.append(f"Row({module!r}, {tuple(each.name for each in tables)!r}, {clues(tables)!r})")
    return _file("What is known of each table before it is imported.", "_clues", rows)


HEAD = '''"""{title}  Written by ``make docs``; do not edit."""

from __future__ import annotations

from .{home} import Row

ROWS: tuple[Row, ...] = (
'''
TAIL = """)  # fmt: skip
MODULES = frozenset(row.module for row in ROWS)
"""


def _file(title: str, home: str, rows: list[str]) -> str:
    return HEAD.format(title=title, home=home) + "".join(f"    {row},\n" for row in rows) + TAIL


FILES: dict[str, Any] = {"containers/_index.py": of_containers, "layouts/_index.py": of_layouts}


def main(check: bool) -> int:
    changed = 0
    for name, text_of in FILES.items():
        path, text = PACKAGE / name, text_of()
        if path.read_text(encoding="utf-8") == text:
            continue
        changed += 1
        print(f"{name}: {'differs; make docs renews it' if check else 'renewed'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
