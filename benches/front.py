"""Draws the README's figure from docs/figures/front.json: three panels of bars.

    python benches/front.py

Each panel has its title, unit, and a value for each library; the first is ours. The SVG follows the reader's
colour scheme by its own style sheet.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
#: Sizes in pixels: a panel, the space between panels, a bar, a row of it.
PANEL, GAP, BAR, ROW = 250, 36, 20, 30
NAMES, TOP = 74, 54

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.unit, .value { fill: #59636e; font-size: 12px }
.ours { fill: #c2410c } .peer { fill: #9aa4af }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .unit, .value { fill: #9198a1 } .ours { fill: #fb923c } .peer { fill: #59636e }
}
"""


def panel(left: int, figure: dict) -> list[str]:
    """Return one panel's elements."""
    values: dict[str, float] = figure["values"]
    widest = PANEL - NAMES - 62
    lines = [
        f'<text class="title" x="{left}" y="18">{escape(figure["title"])}</text>',
        f'<text class="unit" x="{left}" y="37">{escape(figure["unit"])}</text>',
    ]
    for row, (name, value) in enumerate(values.items()):
        top, width = TOP + row * ROW, widest * value / max(values.values())
        kind = "peer" if row else "ours"
        middle = top + BAR - 5
        lines += [
            f'<text x="{left}" y="{middle}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left + NAMES}" y="{top}" width="{width:.1f}" height="{BAR}" rx="3"/>',
            f'<text class="value" x="{left + NAMES + width + 6:.1f}" y="{middle}">{shown(value)}</text>',
        ]
    return lines


def shown(value: float) -> str:
    """Return a number of three figures."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.1f}"


def draw(figures: list[dict], label: str) -> str:
    """Return the SVG."""
    width = len(figures) * PANEL + (len(figures) - 1) * GAP
    height = TOP + ROW * max(len(figure["values"]) for figure in figures)
    parts = [element for at, figure in enumerate(figures) for element in panel(at * (PANEL + GAP), figure)]
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(label)}</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Write the figure."""
    front = json.loads((FIGURES / "front.json").read_text())
    (FIGURES / "front.svg").write_text(draw(front["figures"], front["label"]))


if __name__ == "__main__":
    main()
