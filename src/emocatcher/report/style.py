"""How every figure looks: sizes, type, colours and margins."""

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
INK, FAINT, GRID = "#222222", "#767676", "#DDDDDD"
# Told apart in grey by line style too: train is dashed, test is solid.
TRAIN, TEST, VALID, MARK = "#E07B24", "#1F4E8C", "#44AA99", "#AA2233"
OPTIMISTIC = "optimistic: epoch chosen on the test part"
PNG_DPI = 200
FOOTER = 0.2  # inches kept free below every figure

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so every machine lays text out alike
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.titley": 1.0,  # a fixed place: looking for one costs a layout of every tick label
    "axes.labelpad": 2.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#555555",
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
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a label may hold a dollar sign
    "text.usetex": False,
    "text.hinting": "no_hinting",  # at 200 dpi hinting is not seen, and takes a fifth of the time
    "svg.fonttype": "none",  # text stays text: small and searchable
    "svg.image_inline": True,
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure with the words that go with it."""

    name: str  # of its files
    title: str
    caption: str
    alt: str  # what a reader who cannot see it should know
    figure: Figure


@contextmanager
def paper() -> Iterator[None]:
    """Draw in the paper style, whatever the user's own matplotlib settings are; they return afterwards."""
    import matplotlib as mpl

    defaults: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # A label in a script that the layout font lacks still shows in the SVG, in the reader's own font.
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
    """Make a figure of equal panels, every distance in inches.

    Args:
        n_rows: rows of panels.
        n_columns: columns of panels.
        size: width and height of the figure.
        left: margin left of the panels.
        right: margin right of the panels.
        top: margin above the panels.
        bottom: margin below the panels, above the footer.
        gaps: between columns and between rows.
        options: what `Figure.subplots` takes beyond that.

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
    """Write the figure's own title at its top left, `left` inches in."""
    height = figure.get_figheight()
    figure.text(
        left / figure.get_figwidth(), 1 - 0.07 / height, text, fontsize=8, fontweight="bold", va="top", ha="left"
    )


def shorten(label: str, n_characters: int = 18) -> str:
    """Cut a long label so that it fits its margin.

    Examples:
        >>> shorten("pleasantly surprised, somewhat")
        'pleasantly surpri…'
    """
    label = " ".join(label.split())
    return label if len(label) <= n_characters else label[: n_characters - 1] + "…"


def common_start(labels: Sequence[str]) -> str:
    """The letters that all begin with.

    Examples:
        >>> common_start(["mine-a", "mine-b"])
        'mine-'
    """
    together = zip(*labels, strict=False)
    return "".join(letters[0] for letters in itertools.takewhile(lambda letters: len(set(letters)) == 1, together))


def shorten_alike(labels: list[str], n_characters: int = 18) -> list[str]:
    """Labels of one margin; where one is too long, all lose the words that they begin with alike.

    Those that would look the same when cut lose their middle instead of their end.

    Examples:
        >>> shorten_alike(["a-recipe-of-mine-seed0", "a-recipe-of-mine-seed1"])
        ['…seed0', '…seed1']
        >>> shorten_alike(["a-recipe-of-mine-seed0", "a-recipe-of-mine-seed1", "another"])
        ['a-rec…f-mine-seed0', 'a-rec…f-mine-seed1', 'another']
        >>> shorten_alike(["one", "two"])
        ['one', 'two']
    """
    labels = [" ".join(label.split()) for label in labels]
    start = common_start(labels)
    cut = 1 + max(start.rfind(mark) for mark in "-_/ ")
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
    """Inches that the longest of these labels takes at tick size, generously."""
    # 0.055 inches is an average letter at 6.5 points; East Asian letters are twice as wide.
    widths = [sum(0.11 if ord(letter) > 0x2E80 else 0.055 for letter in label) for label in labels]
    return max(widths, default=0.0) + 0.08


def percent_axis(axes: Axes, *, x: bool = False) -> None:
    """Label an axis that holds fractions in percent."""
    from matplotlib.ticker import PercentFormatter

    (axes.xaxis if x else axes.yaxis).set_major_formatter(PercentFormatter(xmax=1, decimals=0))
