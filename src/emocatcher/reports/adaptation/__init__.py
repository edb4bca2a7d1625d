"""A page on how a model was adapted: what each step gave, before and after, and what to record next."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.adaptation import Adaptation
from emocatcher.foundation.errors import OutputError
from emocatcher.models.model_folder import Bundle
from emocatcher.reports.run_report.tables import NONE, Table

PAGE = "adaptation.html"
_FEW_RECORDINGS = 20  # of a label: recall is then known to some 20 points
_FEW_SPEAKERS = 4


def write(model: Bundle) -> Path:
    """Write the page into the folder of an adapted model.

    Raises:
        OutputError: if it cannot be written.
        MissingExtraError: if Jinja2 is not installed.
    """
    from emocatcher.foundation import atomic_files
    from emocatcher.reports.run_report import html

    found = model.config.adaptation
    assert found is not None  # noqa: S101 (the caller has adapted it)
    text = html.fill(
        (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
        name=model.config.name,
        found=found,
        outcome=outcome(found),
        steps=steps(found),
        before=None if found.chosen == found.steps[0].name else _confusion(found, found.confusion_before, "Before"),
        after=_confusion(found, found.confusion, "After" if found.chosen != found.steps[0].name else "As it is"),
        advice=advice(found),
        synthetic=model.config.training.synthetic,
    )
    path = model.path / PAGE
    try:
        atomic_files.write_text(path, text)
    except OSError as error:
        raise OutputError(f"Cannot write the page to '{path}': {error.strerror or error}") from None
    return path


def outcome(found: Adaptation) -> str:
    """Say in one sentence what the adaptation gave."""
    before, after = found.steps[0], next(step for step in found.steps if step.name == found.chosen)
    others = "speakers" if found.validated_by == "speakers" else "recordings, perhaps of the same voices,"
    if after is before:
        return (
            f"On {others} that it was not fitted to, no step is better than {found.model} as it is (UAR "
            f"{_percent(before.unweighted_average_recall)}%), so its weights were kept."
        )
    return (
        f"On {others} that it was not fitted to, the UAR rose from {_percent(before.unweighted_average_recall)} to "
        f"{_percent(after.unweighted_average_recall)}%."
    )


def steps(found: Adaptation) -> Table:
    """Tabulate what each step gave on validation."""
    rows = tuple(
        (
            f"{step.name}, chosen" if step.name == found.chosen else step.name,
            f"{_percent(step.unweighted_average_recall)} [{NONE.join(map(_percent, step.interval))}]",
            _percent(step.accuracy),
            f"{step.log_loss:.3f}",
        )
        for step in found.steps
    )
    caption = f"On {found.validated_by} that a step was not fitted to. The step of the lowest log loss is chosen."
    return Table(caption=caption, header=("step", "UAR, % [95% interval]", "accuracy, %", "log loss"), rows=rows)


def advice(found: Adaptation) -> list[str]:
    """Say what to record next, the most useful first."""
    said = []
    if found.n_speakers is None:
        said.append("Name the speakers in a column `speaker`: only then is validation on voices that are new.")
    elif found.n_speakers < _FEW_SPEAKERS:
        voices = "one speaker does" if found.n_speakers == 1 else f"{found.n_speakers} speakers do"
        said.append(f"More speakers: {voices} not show how a new voice is recognised.")
    counts = dict(zip(found.labels, found.n_of_label, strict=True))
    if few := [label for label in found.labels if counts[label] < _FEW_RECORDINGS]:
        listed = ", ".join(f"{label} ({counts[label]})" for label in few)
        said.append(
            f"More recordings of labels that had fewer than {_FEW_RECORDINGS}: {listed}. Also those kept for a test, "
            "once it is done."
        )
    pairs = [
        (n, found.labels[i], found.labels[j])
        for i, row in enumerate(found.confusion)
        for j, n in enumerate(row)
        if i != j and n > max(1, counts[found.labels[i]] // 5)
    ]
    if pairs:
        n, true, answered = max(pairs)
        said.append(
            f"{true} is most often taken for {answered} ({n} of {counts[true]}): record both by the same speakers."
        )
    return said or ["Nothing stands out. A test on recordings that were not used here is the next step."]


def _confusion(found: Adaptation, counts: tuple[tuple[int, ...], ...], when: str) -> Table:
    recalls = metrics.recall_scores(counts)
    rows = tuple(
        (label, *map(str, row), NONE if not sum(row) else _percent(recall))
        for label, row, recall in zip(found.labels, counts, recalls, strict=True)
    )
    return Table(
        caption=f"{when}: rows are true labels, columns answers.",
        header=("", *found.labels, "recall, %"),
        rows=rows,
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
