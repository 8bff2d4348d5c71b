"""The makers of every framework's layers lie in tests/live/makers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
