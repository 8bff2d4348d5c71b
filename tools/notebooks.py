"""The notebooks of the documentation: runs their cells in order and renews what they print.

    python tools/notebooks.py           rewrite docs/notebooks/*.ipynb where an output changed
    python tools/notebooks.py --check   change nothing; exit 1 where one would

A cell's output is what it prints; its last expression is not shown.  Standard library only, without Jupyter.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def notebooks() -> list[Path]:
    return sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def renewed(path: Path) -> str:
    """The notebook's text after running its cells."""
    book = json.loads(path.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            told = _printed("".join(cell["source"]), f"{path.name}, cell {count}", namespace)
            lines = told.splitlines(keepends=True)
            cell["execution_count"] = count
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
    return as_text(book)


def as_text(book: dict[str, Any]) -> str:
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _printed(source: str, name: str, namespace: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, name, "exec"), namespace)
    return out.getvalue()


def main(arguments: list[str]) -> int:
    changed = [path for path in notebooks() if renewed(path) != path.read_text(encoding="utf-8")]
    for path in changed:
        print(f"{path.relative_to(ROOT)} prints something else now")
        if "--check" not in arguments:
            path.write_text(renewed(path), encoding="utf-8")
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
