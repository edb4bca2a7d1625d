"""Figures on a page follow its theme."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from emocatcher.foundation.labels import EMOTIONS, colours
from emocatcher.reports.run_report import shades, style
from emocatcher.reports.run_report.page_colours import follow_theme


def _luminance(colour: str) -> float:
    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("index", range(0, 256, 3))
def test_numbers_on_cells_are_legible_on_light_and_dark_pages(index: int) -> None:
    cell = to_hex(shades.sequential()(index))
    number = shades.text_colour(np.array(to_rgb(cell))).lower()
    light, dark = _both(cell), _both(number)
    assert _contrast(light[0], dark[0]) >= 4.5
    assert _contrast(light[1], dark[1]) >= 4.5


def _both(colour: str) -> tuple[str, str]:
    found = re.fullmatch(r"fill: (#\w+); fill: light-dark\((#\w+), (#\w+)\)", follow_theme(f"fill: {colour}"))
    assert found is not None
    assert found[1] == found[2] == colour
    return found[2], found[3]


def test_emotions_keep_their_colours() -> None:
    for colour in colours([*EMOTIONS, *(f"label {i}" for i in range(16))]).values():
        assert follow_theme(f"stroke: {colour.lower()}") == f"stroke: {colour.lower()}"


def test_colours_on_images_are_kept_and_the_background_is_left_to_the_page() -> None:
    kept = f"stroke: {style.ON_IMAGE.lower()}"
    assert follow_theme(kept) == kept
    assert follow_theme("fill: #ffffff, fill: #ffffff") == "fill: none, fill: var(--card)"
