"""The sequential colour map of matrices and heat maps, and the text colour to use on it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.run_folder import Floats
from emocatcher.reports.run_report.style import ON_DARK, ON_LIGHT

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


@cache
def sequential(*, dark: bool = False) -> Colormap:
    """Return a perceptually uniform colour map from near white to dark blue, or for dark paper to light blue.

    It is a straight line in OKLab (Ottosson 2020, "A perceptual color space for image
    processing"), so equal steps in value look equal, and zero is just distinguishable from white paper.
    """
    from matplotlib.colors import ListedColormap

    # Both cross the middle, where black and white text contrast alike, at the same value.
    lightness = np.linspace(0.25, 0.77, 256) if dark else np.linspace(0.975, 0.30, 256)
    # Chroma follows an arc that is small at both ends, so that the middle of the scale is blue rather than grey.
    chroma = 0.13 * np.sin(np.linspace(0.04, np.pi * 0.8, 256))
    hue = np.deg2rad(255)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    to_lms = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip((lab @ to_lms.T) ** 3 @ to_rgb.T, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ListedColormap(np.clip(rgb, 0, 1).tolist(), name="paper_blue")


def text_colour(background: Floats) -> str:
    """Return a dark or a light text colour, whichever contrasts more with a background colour (WCAG 2).

    Args:
        background: shape (3,) or (4,), sRGB in 0..1.

    Examples:
        >>> text_colour(np.array([1.0, 1.0, 1.0])), text_colour(np.array([0.0, 0.0, 0.3]))
        ('#010101', '#FEFEFE')
    """
    rgb = np.asarray(background, dtype=np.float64)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return ON_LIGHT if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else ON_DARK
