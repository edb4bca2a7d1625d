"""The style of all figures: sizes, fonts, colours and margins."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SINGLE, DOUBLE = 3.5, 7.2  # inches: one and two columns of a paper
# On a page, these and the next ones follow its theme: `page_colours` maps exactly these values. Colours that must stay
# what they are on an image, or change over with the cell of a matrix below them, have other values (ON_…).
PAPER, INK, FAINT, GRID = "#FFFFFF", "#222222", "#767676", "#DDDDDD"
AXIS, EDGE, BAND = "#555555", "#444444", "#F0F0F0"
ON_LIGHT, ON_DARK, ON_IMAGE = "#010101", "#FEFEFE", "#FDFDFD"
# The line styles differ too (train dashed, test solid), so that the curves are distinct in greyscale.
TRAIN, TEST, VALID, MARK = "#E07B24", "#1F4E8C", "#44AA99", "#AA2233"
OPTIMISTIC = "optimistic: epoch chosen on the test part"
PNG_DPI = 200
FOOTER = 0.2  # inches kept free below every figure

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the text layout is the same on every machine
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.titley": 1.0,  # fixed: automatic placement would lay out every tick label
    "axes.labelpad": 2.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": AXIS,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.parse_math": False,  # a label may contain a dollar sign
    "text.usetex": False,
    "text.hinting": "no_hinting",  # at 200 dpi hinting is invisible, and it takes a fifth of the drawing time
    "svg.fonttype": "none",  # text stays text: small and searchable
    "svg.image_inline": True,
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure with its title, caption and alternative text."""

    name: str  # stem of its file names
    title: str
    caption: str
    alt: str  # alternative text for screen readers
    figure: Figure


@contextmanager
def paper() -> Iterator[None]:
    """Use the paper style inside a `with` block, whatever the user's matplotlib settings; restore those afterwards."""
    import matplotlib as mpl

    defaults: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # A label whose script the layout font lacks is still shown in the SVG, in a font of the reader's machine.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcParams.update(defaults)
        mpl.rcParams.update(_STYLE)
        yield


def panels(
    n_rows: int,
    n_columns: int,
    size: tuple[float, float],
    *,
    left: float,
    right: float = 0.08,
    top: float = 0.25,
    bottom: float = 0.35,
    gaps: tuple[float, float] = (0.4, 0.4),
    **options: Any,
) -> tuple[Figure, Any]:
    """Make a figure of equal panels, with every distance in inches.

    Args:
        n_rows: rows of panels.
        n_columns: columns of panels.
        size: width and height of the figure.
        left: margin left of the panels.
        right: margin right of the panels.
        top: margin above the panels.
        bottom: margin below the panels, above the footer.
        gaps: between columns and between rows.
        options: further arguments of `Figure.subplots`.

    Returns:
        The figure, and its axes as an object array of shape (n_rows, n_columns).
    """
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=size, dpi=PNG_DPI)
    panel_width = (width - left - right - gaps[0] * (n_columns - 1)) / n_columns
    panel_height = (height - top - bottom - FOOTER - gaps[1] * (n_rows - 1)) / n_rows
    spacing = {
        "left": left / width,
        "right": 1 - right / width,
        "top": 1 - top / height,
        "bottom": (bottom + FOOTER) / height,
        "wspace": gaps[0] / panel_width,
        "hspace": gaps[1] / panel_height,
    }
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, gridspec_kw=spacing, **options)


def heading(figure: Figure, text: str, left: float = 0.08) -> None:
    """Write the figure's title at its top left, `left` inches from the edge."""
    height = figure.get_figheight()
    figure.text(
        left / figure.get_figwidth(), 1 - 0.07 / height, text, fontsize=8, fontweight="bold", va="top", ha="left"
    )


def shorten(label: str, n_characters: int = 18) -> str:
    """Truncate a long label so that it fits its margin.

    Examples:
        >>> shorten("pleasantly surprised, somewhat")
        'pleasantly surpri…'
    """
    label = " ".join(label.split())
    return label if len(label) <= n_characters else label[: n_characters - 1] + "…"


def common_prefix(labels: Sequence[str]) -> str:
    """Return the letters that all labels start with.

    Examples:
        >>> common_prefix(["mine-a", "mine-b"])
        'mine-'
    """
    together = zip(*labels, strict=False)
    return "".join(letters[0] for letters in itertools.takewhile(lambda letters: len(set(letters)) == 1, together))


def shorten_all(labels: list[str], n_characters: int = 18) -> list[str]:
    """Shorten the labels of one margin; if one is too long, drop the words that all of them start with.

    Labels that would be equal after truncation lose their middle instead of their end.

    Examples:
        >>> shorten_all(["a-recipe-of-mine-seed0", "a-recipe-of-mine-seed1"])
        ['…seed0', '…seed1']
        >>> shorten_all(["a-recipe-of-mine-seed0", "a-recipe-of-mine-seed1", "another"])
        ['a-rec…f-mine-seed0', 'a-rec…f-mine-seed1', 'another']
        >>> shorten_all(["one", "two"])
        ['one', 'two']
    """
    labels = [" ".join(label.split()) for label in labels]
    prefix = common_prefix(labels)
    cut = 1 + max(prefix.rfind(mark) for mark in "-_/ ")
    lengths = [len(label) for label in labels]
    if len(labels) > 1 and 1 < cut < min(lengths) and max(lengths) > n_characters:
        labels = ["…" + label[cut:] for label in labels]
    short = [shorten(label, n_characters) for label in labels]
    n_first = n_characters // 3 - 1
    return [
        cut if short.count(cut) == 1 or cut == label else label[:n_first] + "…" + label[n_first + 1 - n_characters :]
        for label, cut in zip(labels, short, strict=True)
    ]


def label_width(labels: list[str]) -> float:
    """Estimate the width of the longest label at tick size, in inches, with some reserve."""
    # An average letter is 0.055 inches wide at 6.5 points; an East Asian one is twice as wide.
    widths = [sum(0.11 if ord(letter) > 0x2E80 else 0.055 for letter in label) for label in labels]
    return max(widths, default=0.0) + 0.08


def percent_axis(axes: Axes, *, x: bool = False) -> None:
    """Label an axis of fractions in percent."""
    from matplotlib.ticker import PercentFormatter

    (axes.xaxis if x else axes.yaxis).set_major_formatter(PercentFormatter(xmax=1, decimals=0))
