"""All that gatewise does with a stranger's file short of writing another one, and the small files that it is tried on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SMALL = 48 << 10  # bytes of a file that is damaged again and again
_READ = 1 << 20  # bytes of a tensor that is looked at
_OURS = {".py", ".md", ".js"}
_FOLDERS = (".orbax", ".mlpackage", "_savedmodel")  # directories that are one model


class Seed(NamedTuple):
    """A small real file that is damaged, the path that is opened then, and the folder that both lie in."""

    file: Path
    opened: Path
    home: Path

    def place(self, folder: Path) -> Seed:
        """The same in a folder of its own, with what lies beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.home == self.opened:
            shutil.copytree(self.home, folder / self.home.name, dirs_exist_ok=True)
            return Seed(folder / self.file.relative_to(self.home.parent), folder / self.home.name, folder)
        for each in _beside(self.file):
            shutil.copyfile(each, folder / each.name)
        return Seed(folder / self.file.name, folder / self.opened.name, folder)


def read_whole(path: Path, tick: Callable[[], None] = lambda: None) -> None:
    """Open it, look at its elements, show it, examine it, make a draft of it: what four commands do.  ``tick`` is called
    between two of them.  Raises GatewiseError alone."""
    import gatewise as gw
    from gatewise.containers import open_draft
    from gatewise.errors import GatewiseError, NotRepresentable

    checkpoint = gw.open(path)
    refused: GatewiseError | None = None
    for tensor in checkpoint.tensors.values():
        try:
            if tensor.nbytes <= _READ:
                tensor.array()
        except GatewiseError as error:  # one tensor is wrong; the others are looked at all the same
            refused = error
    checkpoint.inspect()
    tick()
    if sum(tensor.nbytes for tensor in checkpoint.tensors.values()) <= _READ:
        for deed in (checkpoint.gates, lambda: gw.diagnose(checkpoint)):
            try:
                deed()
            except GatewiseError as error:
                refused = error
            tick()
    with contextlib.suppress(NotRepresentable):  # what a repaired file could not hold
        draft = open_draft(path)
        for form in draft.forms:
            draft.losses(form)
    if refused is not None:
        raise refused


def seeds() -> list[Seed]:
    """Small files of every format, no more than a few of one folder and suffix: many fixtures differ in sizes alone."""
    seen: dict[tuple[Path, str], int] = {}
    found: list[Seed] = []
    for path in sorted(FIXTURES.rglob("*")):
        if not path.is_file() or path.suffix in _OURS or not 0 < path.stat().st_size <= SMALL:
            continue
        home = next((above for above in path.parents if above.name.endswith(_FOLDERS)), None)
        key = (home or path.parent, path.suffix)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= (1 if path.suffix == ".npz" else 2):
            found.append(Seed(path, home or _opened(path), home or path.parent))
    return found


def _opened(path: Path) -> Path:
    """The file to open for a part of a model: the index beside a shard, the graph beside its weights."""
    for pattern, other in ((".data-0", ".index"), (".bin", ".xml"), (".bin", ".param"), (".meta", ".index")):
        if pattern in path.name:
            candidate = path.with_name(path.name.partition(pattern)[0] + other)
            if candidate.is_file():
                return candidate
    return path


def _beside(path: Path) -> Iterator[Path]:
    """The files that belong to it: those of the same stem; beside a model.json everything."""
    everything = (path.parent / "model.json").is_file()
    stem = path.name.partition(".")[0]
    for each in sorted(path.parent.iterdir()):
        if each.is_file() and (everything or each.name.partition(".")[0] == stem):
            yield each
