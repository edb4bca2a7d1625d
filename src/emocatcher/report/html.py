"""One self-contained page: every figure and number of a run, and nothing fetched from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from emocatcher.report import confidence, deletion, published, style, tables, text
from emocatcher.report.run_folder import Run

if TYPE_CHECKING:
    from markupsafe import Markup

_OWN_SECTIONS = ("calibration", "faithfulness")
_WIDE_INCHES = 5.0  # a figure wider than this spans the page


@dataclass(frozen=True)
class Picture:
    """A drawing as it stands in the page."""

    name: str
    title: str
    caption: str
    svg: Markup
    wide: bool
    file: str  # beside the page, without its ending


def picture(drawing: style.Drawing, svg: str, file: str = "") -> Picture:
    """Prepare a saved drawing for the page.

    Args:
        drawing: the drawing.
        svg: its SVG element, as `save.save` returned it.
        file: where it lies beside the page, without its ending; by default where a report's figures lie.
    """
    from markupsafe import Markup

    # A style element inside a page would reach out of its figure; template.html holds the one rule for all.
    start, end = svg.index("<style"), svg.index("</style>") + len("</style>")
    body = svg[:start] + svg[end:]
    label = f'<svg role="img" aria-label="{escape(drawing.alt)}" '
    width = drawing.figure.get_figwidth()
    return Picture(
        name=drawing.name,
        title=drawing.title,
        caption=drawing.caption,
        svg=Markup(body.replace("<svg ", label, 1)),  # noqa: S704 - matplotlib escaped it, and so did `escape`
        wide=width > _WIDE_INCHES,
        file=file or f"figures/{drawing.name}",
    )


def fill(template: str, **values: Any) -> str:
    """Fill in a page's template; `parts.html` and `style.css` are what all pages share.

    Args:
        template: its text.
        values: what it names; text in them is escaped.
    """
    import jinja2

    def read(name: str) -> str:
        return (resources.files(__package__) / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(read),
    )
    return environment.from_string(template).render(**values)


def render(run: Run, pictures: list[Picture]) -> str:
    """Write the page.

    Args:
        run: a finished run.
        pictures: in the order in which they are to stand; single folds of several go into a fold of their own.
    """
    many = len(run.result.folds) > 1
    own = {item.name: item for item in pictures if item.name in _OWN_SECTIONS}
    of_folds = [item for item in pictures if many and item.name.startswith("confusion_fold_")]
    return fill(
        (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
        run=run,
        result=run.result,
        pictures=[item for item in pictures if item not in of_folds and item.name not in own],
        pictures_of_folds=of_folds,
        many=many,
        optimistic=style.OPTIMISTIC,
        headline=text.headline(run),
        selection=text.selection(run),
        speakers=text.speakers(run),
        audited=text.audited(run),
        resampling=text.resampling(run),
        command=text.command(run),
        results=[
            tables.selected(run),
            tables.epochs(run, "accuracy"),
            tables.epochs(run, "unweighted_average_recall"),
            tables.training(run),
        ],
        recall=tables.recall(run),
        calibration=(confidence.sentence(run), confidence.table(run), own.get("calibration")),
        faithfulness=(deletion.verdict(run), deletion.table(run), own.get("faithfulness")),
        beside_published=tables.beside_published(run),
        source=published.SOURCE,
        data=tables.data(run),
        percent=tables.percent,
        interval=tables.interval,
    )
