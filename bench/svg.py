"""Small charts as SVG, readable on light and dark pages. Pure."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 66, 44

# A dash beside each colour, for those who cannot tell the colours apart.
_LIGHT = ("#5f6672", "#0b6bcb", "#c2410c", "#0f8a5f", "#a3387f")
_DARK = ("#aab1bd", "#5eb1ff", "#ff9150", "#43c796", "#ea8fcb")
_DASHES = ("none", "9 3", "2 3", "none", "9 3 2 3")
_WIDTHS = (1.6, 1.8, 2.2, 2.2, 1.8)

_STYLE = """
svg { font: 12px system-ui, sans-serif; --page: #ffffff; --ink: #1f2430; --faint: #e3e6eb; --soft: #5b6270; LIGHT }
@media (prefers-color-scheme: dark) {
  svg { --page: #14171c; --ink: #e6e9ef; --faint: #2b3038; --soft: #a2a9b5; DARK }
}
.page { fill: var(--page) }
text { fill: var(--ink) }
.title { font-size: 14px; font-weight: 600 }
.soft { fill: var(--soft) }
.grid { stroke: var(--faint); stroke-width: 1 }
.band { fill: var(--faint); opacity: 0.6 }
.line { fill: none; stroke-linejoin: round }
"""


class Line(NamedTuple):
    """A named row of points, or one point."""

    name: str
    points: Sequence[tuple[float, float]]


class Axis(NamedTuple):
    """One direction.

    Attributes:
        name: what is shown, with its unit.
        least, most: its ends.
        step: between its marks.
    """

    name: str
    least: float
    most: float
    step: float

    def place(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; what is beyond the ends lies there."""
        return min(max((value - self.least) / (self.most - self.least), 0.0), 1.0)

    def marks(self) -> list[float]:
        """Return the values that are marked."""
        count = round((self.most - self.least) / self.step)
        return [self.least + self.step * number for number in range(count + 1)]


def lines(title: str, x: Axis, y: Axis, drawn: Sequence[Line], band: tuple[float, float] | None = None) -> str:
    """Return a chart of up to five lines.

    Args:
        title: over it.
        x: across.
        y: upwards.
        drawn: from the back to the front.
        band: from where to where ``x`` is shaded.
    """
    parts = []
    if band is not None:
        left, right = _x(x, band[0]), _x(x, band[1])
        parts.append(
            f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
        )
    parts += _grid(x, y)
    for turn, line in enumerate(drawn):
        points = " ".join(f"{_x(x, across):.1f},{_y(y, up):.1f}" for across, up in line.points)
        parts.append(f'<polyline class="line" points="{points}" {_stroke(turn)}/>')
    return _page(title, [*parts, *_legend(drawn)])


def points(title: str, x: Axis, y: Axis, drawn: Sequence[Line]) -> str:
    """Return a chart of points of up to five names; the first point of each name is full, others are hollow."""
    parts = [*_grid(x, y), *_legend(drawn)]
    for turn, line in enumerate(drawn):
        for number, (across, up) in enumerate(line.points):
            fill = f"var(--s{turn})" if not number else "var(--page)"
            at = f'cx="{_x(x, across):.1f}" cy="{_y(y, up):.1f}"'
            parts.append(f'<circle {at} r="5" fill="{fill}" stroke="var(--s{turn})" stroke-width="2"/>')
    return _page(title, parts)


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def _stroke(turn: int) -> str:
    return f'stroke="var(--s{turn})" stroke-width="{_WIDTHS[turn]}" stroke-dasharray="{_DASHES[turn]}"'


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    for mark in y.marks():
        at = _y(y, mark)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for mark in x.marks():
        at, under = _x(x, mark), HEIGHT - BOTTOM + 18
        parts.append(f'<text class="soft" x="{at:.1f}" y="{under}" text-anchor="middle">{mark:g}</text>')
    parts.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(x.name)}</text>')
    parts.append(f'<text class="soft" x="{LEFT}" y="{TOP - 10}">{escape(y.name)}</text>')
    return parts


def _legend(drawn: Sequence[Line]) -> list[str]:
    parts, at = [], WIDTH - RIGHT - sum(40 + 7 * len(line.name) for line in drawn)
    for turn, line in enumerate(drawn):
        parts.append(f'<line x1="{at}" x2="{at + 24}" y1="{TOP - 14}" y2="{TOP - 14}" {_stroke(turn)}/>')
        parts.append(f'<text x="{at + 29}" y="{TOP - 10}">{escape(line.name)}</text>')
        at += 40 + 7 * len(line.name)
    return parts


def _page(title: str, parts: Sequence[str]) -> str:
    light, dark = (
        " ".join(f"--s{turn}: {colour};" for turn, colour in enumerate(colours)) for colours in (_LIGHT, _DARK)
    )
    style = _STYLE.replace("LIGHT", light).replace("DARK", dark)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    page = f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    name = f'<text class="title" x="{LEFT - 40}" y="26">{escape(title)}</text>'
    return "\n".join([head, f"<style>{style}</style>", page, name, *parts, "</svg>", ""])
