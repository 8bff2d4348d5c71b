"""How findings look: one paragraph each, the worst first, whatever they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import few

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._screen import Screen

STYLES = {"unsafe": "red", "wrong-results": "red", "breaks": "red", "slow": "yellow", "note": "cyan"}
_ORDER = tuple(STYLES)
_OTHER_NAME = "torch.nn.modules.module.ModuleAttributeError"
_MANY = 3  # places that are listed of a finding made in many


def finding_lines(screen: Screen, findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A paragraph for each kind of finding; places where the same was found share one."""
    for group in _groups(findings):
        first = group[0]
        severity = screen.paint(first["severity"], STYLES[first["severity"]])
        yield f"{screen.paint(first['code'], 'bold')} {severity}  {_places(group)}"
        yield from screen.wrap(first["what"], indent="  ")
        yield from screen.wrap(first["why"], indent="  ")
        yield from _outcomes(screen, first)
        if first["remedy"]:
            yield from screen.wrap(f"remedy ({first['remedy']['exactness']}): {first['remedy']['what']}", "    ", "  ")
        yield ""


def counted(findings: Sequence[Mapping[str, Any]]) -> str:
    """``2 breaks, 3 notes``."""
    counts = {severity: sum(each["severity"] == severity for each in findings) for severity in _ORDER}
    plural = {"note": "notes"}  # the other severities are no nouns
    return ", ".join(
        f"{number} {plural.get(severity, severity) if number > 1 else severity}"
        for severity, number in counts.items()
        if number
    )


def _groups(findings: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for each in findings:
        groups.setdefault((each["code"], each["what"], str(each["outcomes"])), []).append(each)
    return list(groups.values())


def _places(group: Sequence[Mapping[str, Any]]) -> str:
    from ._screen import visible

    places = [visible(each["where"]) or "(the file itself)" for each in group]
    return few(places, _MANY)


def _outcomes(screen: Screen, finding: Mapping[str, Any]) -> Iterator[str]:
    framework = re.match(r"[a-z]*", finding["affects"])
    for versions, what, error in _merged(finding["outcomes"]):
        where = f"{framework[0] if framework else ''} {versions}".strip() if versions else "every version"
        yield from screen.wrap(f"{where}: {what}" + (f": {error}" if error else ""), "      ", "    ")


def _merged(outcomes: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """Ranges that meet and end alike are one line: 1.6 and 1.7 only gave AttributeError another name."""
    told: list[tuple[str, str, str]] = []
    for each in outcomes:
        versions, what, error = each["versions"], each["outcome"], each["error"].replace(_OTHER_NAME, "AttributeError")
        if told and told[-1][1:] == (what, error):
            start, _, end = told[-1][0].partition(",<")
            if end and versions.startswith(f">={end}"):
                told[-1] = (start + versions.removeprefix(f">={end}"), what, error)
                continue
        told.append((versions, what, error))
    return told
