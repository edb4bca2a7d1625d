"""Let the figures on a page follow its theme: light or dark paper."""

from __future__ import annotations

import re
from functools import cache

from emocatcher.reports.run_report import shades, style

# Each colour of the paper style, and the variable of style.css that takes its place on a page.
_VARIABLES = {
    style.PAPER: "card",
    style.INK: "ink",
    style.FAINT: "soft",
    style.GRID: "line",
    style.AXIS: "edge",
    style.EDGE: "edge",
    style.BAND: "band",
    style.TEST: "blue",
    style.MARK: "red",
}


def follow_theme(svg: str) -> str:
    """Replace the paper's colours in an SVG element by those of the page around it.

    The files keep the colours for white paper. The colours of emotions stay, because their bars have an edge and a
    name. Cells of matrices, and the numbers on them, get a second colour for dark pages.

    Args:
        svg: as matplotlib writes it.

    Examples:
        >>> follow_theme('<path style="fill: #ffffff"/><path style="fill: #222222; stroke: #332288"/>')
        '<path style="fill: none"/><path style="fill: var(--ink); stroke: #332288"/>'
    """
    svg = svg.replace(f"fill: {style.PAPER.lower()}", "fill: none", 1)  # the background, which the page draws
    return re.sub(r"\b(fill|stroke): (#[0-9a-f]{6})\b", lambda found: _declare(found[1], found[2]), svg)


@cache
def _declare(name: str, colour: str) -> str:
    if colour in _variables():
        return f"{name}: var(--{_variables()[colour]})"
    if colour in _dark():
        # A browser that does not know light-dark() keeps the first declaration.
        return f"{name}: {colour}; {name}: light-dark({colour}, {_dark()[colour]})"
    return f"{name}: {colour}"


@cache
def _variables() -> dict[str, str]:
    return {colour.lower(): name for colour, name in _VARIABLES.items()}


@cache
def _dark() -> dict[str, str]:
    from matplotlib.colors import to_hex

    light, dark = shades.sequential(), shades.sequential(dark=True)
    found = {to_hex(light(i)): to_hex(dark(i)) for i in range(256)}
    # A cell that is dark on light paper is light on dark paper, so the numbers change over.
    return {**found, style.ON_LIGHT.lower(): style.ON_DARK.lower(), style.ON_DARK.lower(): style.ON_LIGHT.lower()}
