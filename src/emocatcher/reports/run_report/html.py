"""Render the figures and numbers of a run as one self-contained HTML page that loads nothing from the network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report import (
    between,
    chance,
    confidence,
    deletion,
    dimension_scores,
    group_scores,
    listener_scores,
    next_steps,
    page_colours,
    published,
    speakers,
    style,
    tables,
    text,
)

if TYPE_CHECKING:
    from markupsafe import Markup

_OWN_SECTIONS = ("calibration", "dimensions", "faithfulness")
_WIDE_INCHES = 5.0  # a figure wider than this spans the page


@dataclass(frozen=True)
class Picture:
    """A figure embedded in a page."""

    name: str
    title: str
    caption: str
    svg: Markup
    wide: bool
    file: str  # path relative to the page, without its suffix; "" if it is on the page alone


def picture(drawing: style.Drawing, svg: str, file: str | None = None) -> Picture:
    """Prepare a saved drawing for embedding in a page.

    Args:
        drawing: the drawing.
        svg: its SVG element, from `figure_files`.
        file: its path relative to the page, without its suffix; by default that of a report's figures, "" for none.
    """
    from markupsafe import Markup

    # A <style> element in one figure would apply to the whole page; style.css holds matplotlib's one rule instead.
    start, end = svg.index("<style"), svg.index("</style>") + len("</style>")
    body = svg[:start] + svg[end:]
    label = f'<svg role="img" aria-label="{escape(drawing.alt)}" '
    width = drawing.figure.get_figwidth()
    return Picture(
        name=drawing.name,
        title=drawing.title,
        caption=drawing.caption,
        svg=Markup(page_colours.follow_theme(body).replace("<svg ", label, 1)),  # noqa: S704 - matplotlib escaped it, and so did `escape`
        wide=width > _WIDE_INCHES,
        file=f"figures/{drawing.name}" if file is None else file,
    )


def fill(template: str, **values: Any) -> str:
    """Render a page template; it may include `parts.html` and `style.css`, which all pages share.

    Args:
        template: the text of the template.
        values: its variables; text in them is escaped.
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
    """Render the report page of a run.

    Args:
        run: a finished run.
        pictures: in display order; with several folds, the matrices of single folds go into a collapsed block.
    """
    many = len(run.result.folds) > 1
    sections = {item.name: item for item in pictures if item.name in _OWN_SECTIONS}
    of_folds = [item for item in pictures if many and item.name.startswith("confusion_fold_")]
    return fill(
        (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
        run=run,
        result=run.result,
        pictures=[item for item in pictures if item not in of_folds and item.name not in sections],
        pictures_of_folds=of_folds,
        many=many,
        optimistic=style.OPTIMISTIC,
        headline=text.headline(run),
        selection=text.selection(run),
        speakers=text.speakers(run),
        audit_line=text.audit_line(run),
        audit_command=next_steps.audit(run),
        between=between.sentence(run),
        chance=(chance.sentence(run), chance.level(run)),
        steps=next_steps.steps(run),
        resampling=text.resampling(run),
        command=text.command(run),
        results=[
            *filter(None, [between.table(run)]),
            tables.selected(run),
            tables.epochs(run, "accuracy"),
            tables.epochs(run, "unweighted_average_recall"),
            tables.training(run),
        ],
        recall=tables.recall(run),
        of_speakers=speakers.table(run),
        listeners=(
            listener_scores.sentence(run.result.listeners),
            listener_scores.table([(run.name, run.result.listeners)]),
        ),
        groups=(group_scores.sentence(run.result.speaker_groups), group_scores.table(run.result.speaker_groups)),
        dimensions=(
            dimension_scores.sentence(run.result.dimensions),
            dimension_scores.table(run.result.dimensions),
            sections.get("dimensions"),
        ),
        calibration=(confidence.sentence(run), confidence.table(run), sections.get("calibration")),
        faithfulness=(deletion.verdict(run), deletion.table(run), sections.get("faithfulness")),
        published_table=tables.compare_published(run),
        source=published.SOURCE,
        data=tables.data(run),
        percent=tables.percent,
        interval=tables.interval,
    )
