"""gatewise in processes of its own, as users start it."""

from __future__ import annotations

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "GATEWISE_DEBUG", "NO_COLOR")}
    path = os.pathsep.join([str(SOURCE), *filter(None, [plain.get("PYTHONPATH")])])
    return {**plain, "PYTHONPATH": path, "PYTHONUTF8": "1", **more}
