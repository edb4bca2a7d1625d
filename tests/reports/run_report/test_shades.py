import numpy as np

from emocatcher.reports.run_report.shades import sequential, text_colour


def _luminance(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_colour_map_darkens_evenly() -> None:
    lightness = 116 * np.cbrt(_luminance(sequential()(np.linspace(0, 1, 101))[:, :3])) - 16  # CIE L*
    steps = -np.diff(lightness)
    assert steps.min() > 0  # prints correctly in greyscale
    assert steps.max() < 1.5 * steps.mean()
    assert lightness[0] > 95
    assert lightness[-1] < 25


def test_text_contrasts_with_every_colour_of_the_map() -> None:
    for colour in sequential()(np.linspace(0, 1, 64)):
        text = text_colour(colour)
        rgb = np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        low, high = sorted([float(_luminance(rgb)), float(_luminance(colour[:3]))])
        assert (high + 0.05) / (low + 0.05) >= 4.5
