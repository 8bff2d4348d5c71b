"""Draws docs/figures/cost-*.svg from benchmarks/results.json: seconds and peak memory against size."""

from __future__ import annotations

import json
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "gatewise", "svg.fonttype": "none", "font.size": 10})

from _process import ROOT  # noqa: E402
from matplotlib import pyplot  # noqa: E402

FIGURES = {
    "bytes": ("Listing what a torch file holds", "size of the file, bytes"),
    "tensors": ("Listing what a torch file holds", "tensors in the file"),
    "converted": ("Converting torch to Keras weights", "size of the file, bytes"),
}
# One colour for each name in every figure; ours is the strongest.
COLOURS = {
    "gatewise inspect": "#0b6e4f", "gatewise convert": "#0b6e4f", "bare lister": "#888888",
    "torch.load(mmap=True)": "#d1495b", "torch.load": "#edae49", "by hand": "#d1495b",
}  # fmt: skip


def draw(against: str, points: list[dict[str, Any]]) -> None:
    title, axis = FIGURES[against]
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, what, unit in zip(
        panels, ("seconds", "megabytes"), ("seconds, whole process", "peak memory, MB"), strict=True
    ):
        for name in dict.fromkeys(point["name"] for point in points):
            mine = sorted((point["size"], point[what]) for point in points if point["name"] == name)
            panel.plot(*zip(*mine, strict=True), marker="o", markersize=4, color=COLOURS[name], label=name)
        panel.set(xscale="log", yscale="log", xlabel=axis, ylabel=unit)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=9)
    figure.suptitle(title)
    figure.savefig(ROOT / f"docs/figures/cost-{against}.svg", metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    (ROOT / "docs/figures").mkdir(exist_ok=True)
    points = json.loads((ROOT / "benchmarks/results.json").read_text())["points"]
    for against in FIGURES:
        draw(against, [point for point in points if point["against"] == against])


if __name__ == "__main__":
    main()
