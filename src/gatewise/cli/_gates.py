"""A table of gate matrices for each recurrent layer: the same in ``inspect --gates`` and in ``diff``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ._screen import BARE, Column, Screen, shape, table, visible

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

Row = Mapping[str, "Any"]
COLUMNS = (Column("layer"), Column("role", gives=True), Column("gate"), Column("shape", right=True))


def gate_tables(
    screen: Screen, rows: Iterable[Row], last: Sequence[Column], cells: Callable[[Row], Sequence[object]]
) -> Iterator[str]:
    """The rows by layer, each layer under its name; ``cells`` gives what stands in the ``last`` columns."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.get("name", ""), []).append(row)
    for name, matrices in by_name.items():
        if name or len(by_name) > 1:
            yield screen.paint(visible(name or BARE), "bold")
        yield from table(screen, (*COLUMNS, *last), [(*_which(row), *cells(row)) for row in matrices])


def _which(row: Row) -> tuple[object, ...]:
    # Depth and direction stand together: apart they would not leave room for the figures on 80 columns.
    return (f"{row['layer']} {row['direction']}", row["role"], row["gate"], shape(row["shape"]))
