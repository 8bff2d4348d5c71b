"""How findings look: one paragraph each, the worst first, whatever they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._screen import Screen

STYLES = {"unsafe": "red", "wrong-results": "red", "breaks": "red", "slow": "yellow", "note": "cyan"}
_ORDER = tuple(STYLES)
_MANY = 3  # places that are listed of a finding made in many


def finding_lines(screen: Screen, findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A paragraph for each kind of finding; places where the same was found share one."""
    for group in _groups(findings):
        first = group[0]
        severity = screen.paint(first["severity"], STYLES[first["severity"]])
        yield f"{screen.paint(first['code'], 'bold')} {severity}  {_places(group)}"
        yield from screen.wrap(_sentence(first["what"]), indent="  ")
        yield from screen.wrap(_sentence(first["why"]), indent="  ")
        yield from _outcomes(screen, first)
        if first["remedy"]:
            yield from screen.wrap(f"remedy ({first['remedy']['exactness']}): {first['remedy']['what']}", "    ", "  ")
        yield ""


def counted(findings: Sequence[Mapping[str, Any]]) -> str:
    """``2 breaks, 1 note``."""
    counts = {severity: sum(each["severity"] == severity for each in findings) for severity in _ORDER}
    return ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)


def _groups(findings: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for each in findings:
        groups.setdefault((each["code"], each["what"], str(each["outcomes"])), []).append(each)
    return list(groups.values())


def _places(group: Sequence[Mapping[str, Any]]) -> str:
    from ._screen import visible

    places = [visible(each["where"]) or "(the file itself)" for each in group]
    more = len(places) - _MANY
    return ", ".join(places[:_MANY]) + (f" and {more} more" if more > 0 else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _outcomes(screen: Screen, finding: Mapping[str, Any]) -> Iterator[str]:
    framework = finding["affects"].partition(">")[0].partition("<")[0].partition("=")[0]
    for outcome in finding["outcomes"]:
        versions = f"{framework} {outcome['versions']}".strip() if outcome["versions"] else "every version"
        told = f"{versions}: {outcome['outcome']}" + (f": {outcome['error']}" if outcome["error"] else "")
        yield from screen.wrap(told, "      ", "    ")
