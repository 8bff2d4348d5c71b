"""Runs the examples of the documentation and renews what is generated in it.

    python tools/docs.py           rewrite README.md and docs/*.md where an output or a generated table changed
    python tools/docs.py --check   change nothing; exit 1 and show the differences

Python blocks of a page run in order in one namespace and one empty folder; a block whose fence says ``python framework``
needs the frameworks of the test suite, and ``console framework`` needs the files that such a block made.  Lines of a
console block that begin with ``$ gatewise`` are run there too, and what follows each is its output.  Between
``<!-- generated: NAME -->`` and ``<!-- end -->`` stands what NAME generates from the tables.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def needs_frameworks(text: str) -> bool:
    return any("framework" in match["info"].split()[1:] for match in FENCE.finditer(text))


def renewed(page: Path, frameworks: bool) -> str:
    """The page's text after running its blocks: console outputs and generated parts as they are now.

    Without ``frameworks`` the blocks that need them are left as they stand.
    """
    namespace: dict[str, object] = {"__name__": page.stem}

    def block(match: re.Match[str]) -> str:
        language, *words = match["info"].split() or [""]
        if language not in ("python", "console") or ("framework" in words and not frameworks):
            return match[0]
        if language == "console":
            return f"```{match['info']}\n{''.join(_console(match['body']))}```"
        line = text.count("\n", 0, match.start("body"))
        exec(compile("\n" * line + match["body"], str(page), "exec"), namespace)  # errors name the page's own line
        return match[0]

    text = page.read_text(encoding="utf-8")
    with _elsewhere():
        text = FENCE.sub(block, text)
    return GENERATED.sub(lambda match: f"{match['head']}\n{TABLES[match['name']]()}\n{match['tail']}", text)


@contextmanager
def _elsewhere() -> Iterator[None]:
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="gatewise-docs-") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def _console(body: str) -> Iterator[str]:
    """The block's commands, each followed by what it prints now; other commands keep what stands there."""
    ours = False
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            ours = line.startswith("$ gatewise ")
            yield line
            if ours:
                yield _output(shlex.split(line[2:], comments=True))
        elif not ours:
            yield line


def _output(words: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", *words]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
    return ran.stdout.decode()


def _support() -> str:
    """What is known: a row for each framework, then the formats."""
    from gatewise.containers import containers
    from gatewise.layouts import Layout, layouts

    frameworks: dict[str, list[Layout]] = {}
    for each in layouts():
        frameworks.setdefault(each.framework, []).append(each)
    lines = [
        "| framework | read, run and converted | proven against | source only | named only |",
        "|---|---|---|---|---|",
    ]
    for framework, known in frameworks.items():
        proven = [each for each in known if each.proven]
        untried = [each for each in known if not each.proven and not each.outside]
        versions = dict.fromkeys(each.proven.rpartition(": ")[0] for each in proven)
        columns = (_named(proven), ", ".join(versions), _named(untried), _named(each for each in known if each.outside))
        lines.append(f"| `{framework}` | {' | '.join(text or '–' for text in columns)} |")
    lines += ["", "| format | what it is | |", "|---|---|---|"]
    lines += [
        f"| `{each.name}` | {each.title} | {'read, written' if each.write else 'read'} |"
        for each in sorted(containers(), key=lambda each: each.name)
    ]
    return "\n".join(lines) + "\n"


def _named(known: Iterable[Any]) -> str:
    return ", ".join(each.name.partition(".")[2] for each in known)


def _layouts() -> str:
    """Every table, with its phrases: a section for each framework."""
    from gatewise.layouts import layouts

    lines: list[str] = []
    framework = ""
    for each in layouts():
        if each.framework != framework:
            framework = each.framework
            lines += [f"## {framework}", ""]
        state = f"proven against {each.proven}" if each.proven else "named only" if each.outside else "source only"
        lines += [f"**`{each.name}`** · {each.cell} · gates {' '.join(each.gates)} · {state}", ""]
        lines += ["| tensor | roles | phrase | |", "|---|---|---|---|"]
        lines += [_part_row(each, part) for part in each.parts]
        lines += [
            "",
            f"Source: {each.source}." + (f" {each.outside[:1].upper()}{each.outside[1:]}." if each.outside else ""),
            "",
        ]
    return "\n".join(lines)


def _part_row(layout: Any, part: Any) -> str:
    naming = layout.own_naming
    texts = part.texts(naming) or next((part.texts(each) for each in part.namings), ())
    about = ["optional"] * part.optional + [f"gates {part.gates}"] * isinstance(part.gates, str)
    about += [f"{key} {value}" for key, value in part.given.items()]
    name = (texts[0] if texts else "").replace("|", "\\|")
    return f"| `{name}` | {' + '.join(part.roles)} | `{part.phrase}` | {', '.join(about)} |"


def _speed() -> str:
    """What `make bench` measured last, from benchmarks/results.json: each figure with what it stands beside."""
    results = _measured()
    if not results["rows"]:
        return "Nothing was measured yet: `make bench` does.\n"
    told = results["machine"]
    versions = ", ".join(f"{name} {told[name]}" for name in ("torch", "keras", "safetensors", "h5py", "onnx", "numpy"))
    measured = (
        f"Measured on {told['date']}: {told['processors']} processors ({told['processor']}), {told['memory_gb']} GB, "
        f"{told['system']}, Python {told['python']}, {versions}. Whole processes, medians, what is compared in turn."
    )
    lines = [
        measured,
        "",
        "| | measured | beside | claimed, or aimed at | |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        lines.append(f"| {row['what']} | {_figure(row)} | {row['beside']} | {row['claim']} | {_verdict(row)} |")
    return "\n".join(lines) + "\n"


def _verdict(row: dict[str, Any]) -> str:
    if row["holds"] is None:
        return ""
    if row["aim"]:
        return "reached" if row["holds"] else "**not reached**"
    return "holds" if row["holds"] else "**does not hold**"


def _headlines() -> str:
    """The few of those figures that the README shows."""
    rows = _measured()["rows"]
    lines = ["| | measured | beside |", "|---|---|---|"]
    lines += [f"| {row['what']} | {_figure(row)} | {row['beside']} |" for row in rows if row["headline"]]
    return "\n".join(lines) + "\n"


def _measured() -> dict[str, Any]:
    path = ROOT / "benchmarks/results.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"rows": []}
    return found


def _figure(row: dict[str, Any]) -> str:
    return f"{_digits(row['figure'])} {row['unit']}"


def _digits(value: float) -> str:
    """Three digits; whole numbers from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _limits() -> str:
    """What no honest file passes, with the comments that stand in the source."""
    from gatewise import Limits

    source = (ROOT / "src/gatewise/cursor.py").read_text(encoding="utf-8")
    about = dict(re.findall(r"^    (\w+): int = [^#\n]+# (.+)$", source, re.MULTILINE))
    rows = [f"| `{name}` | {value:,} | {about.get(name, 'of one file')} |" for name, value in vars(Limits()).items()]
    return "\n".join(["| limit | | of what |", "|---|---|---|", *rows]) + "\n"


def _findings() -> str:
    """What the doctor may report: a row for each code, with the ailment that reports it."""
    from gatewise.ailments import ailments

    found = sorted(
        ((code, each, meaning) for each in ailments() for code, meaning in each.codes.items()),
        key=lambda row: (row[0], row[1].name),
    )
    lines = ["| code | meaning | cured by `repair` | source |", "|---|---|---|---|"]
    lines += [
        f"| {code} | {meaning} | {'yes' if each.treat else 'no'} | {each.source} |" for code, each, meaning in found
    ]
    return "\n".join(lines) + "\n"


def _symptoms() -> str:
    """Every known symptom, as a section of its own."""
    from docs_symptoms import page

    return page()


def _above(figure: float) -> float:
    """A power of ten above it: no other processor rounds that otherwise."""
    return 10.0 ** math.ceil(math.log10(figure or 1e-16))


def _matrix() -> str:
    """Every pair of layouts, judged now: a grid for each cell, its worst error, and why pairs are refused."""
    from collections import Counter

    from gatewise.pairs import LEGEND, PARTLY, REFUSED, by_cell, grid, pairs_of

    lines = []
    for cell, found in by_cell(pairs_of()):
        told = Counter(each.outcome for each in found)
        worst = max((each.error for each in found if each.error is not None), default=0.0)
        lines += [
            f"## {cell}",
            "",
            f"{len(found)} pairs: {', '.join(f'{count} {what}' for what, count in told.items())}.",
        ]
        lines += [
            f"All that can be said differs by less than {_above(worst):.0e}.",
            "",
            "```text",
            *grid(found),
            "",
            LEGEND,
            "```",
        ]
        for outcome, title in ((PARTLY, "In part, since for some layers"), (REFUSED, "Refused, since")):
            reasons = Counter(each.reason for each in found if each.outcome == outcome)
            lines += ["", f"{title}:", ""] if reasons else []
            lines += [f"* {reason} ({count} pairs)" for reason, count in reasons.most_common()]
        lines.append("")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "support": _support,
    "symptoms": _symptoms,
    "findings": _findings,
    "matrix": _matrix,
    "layouts": _layouts,
    "limits": _limits,
    "speed": _speed,
    "headlines": _headlines,
}


def main(check: bool) -> int:
    from indexes import main as indexes
    from notebooks import main as notebooks

    changed = notebooks(["--check"] * check)
    for page in pages():
        old, new = page.read_text(encoding="utf-8"), renewed(page, frameworks=True)
        if old == new:
            continue
        changed += 1
        print(f"{page.relative_to(ROOT)}: {'differs' if check else 'renewed'}")
        if check:
            print("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "written", "now")))
        else:
            page.write_text(new, encoding="utf-8")
    return 1 if (indexes(check) or changed) and check else 0


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "torch")
    sys.exit(main("--check" in sys.argv[1:]))
