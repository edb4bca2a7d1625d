"""Report the calibration of a run's models, and their accuracy when they abstain below a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emocatcher.evaluation.run_folder import Run
from emocatcher.evaluation.scoring import abstaining, calibration
from emocatcher.evaluation.scoring.run_result import Calibration, FoldCalibration
from emocatcher.foundation.errors import RunError
from emocatcher.reports.run_report import reliability, style
from emocatcher.reports.run_report.tables import NONE, Table, interval, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def measure(run: Run) -> Calibration | None:
    """Return the calibration cross-fitted on the folds' held-out answers; None for a run with one fold.

    It is computed here for a run of an earlier version, whose `result.json` does not hold it.

    Raises:
        RunError: if the run's probabilities are not valid distributions.
    """
    if len(run.result.folds) < 2:
        return None
    if run.result.calibration:
        return run.result.calibration
    answers = run.predictions
    groups = None if "" in answers.speaker else answers.speaker.tolist()
    try:
        return calibration.calibrate(answers.probabilities, answers.emotion, answers.fold, groups=groups)
    except ValueError as reason:
        raise RunError(f"'{run.name}/predictions.csv': {reason}. Train again into a new folder") from None


def sentence(run: Run) -> str:
    """Describe calibration and abstaining in two sentences; empty for a run with one fold."""
    found = measure(run)
    if found is None:
        return ""
    return (
        f"Expected calibration error (ECE): {found.expected_calibration_error:.3f} uncalibrated, "
        f"{found.expected_calibration_error_calibrated:.3f} with the temperature fitted on the other folds "
        f"(on all folds: {found.temperature:.2f}). {_describe_abstaining(found)}"
    )


def _describe_abstaining(found: Calibration) -> str:
    target = f"{found.least_accuracy or 0:.0%}"
    if found.accuracy_kept is None or found.accuracy_kept_interval is None:
        return f"No threshold fitted on the other folds reaches {target} accuracy."
    missed = "" if found.accuracy_kept >= (found.least_accuracy or 0) else ", below the target"
    threshold = "" if found.abstain_below is None else f" (on all folds: {found.abstain_below:.2f})"
    return (
        f"With the threshold that reaches {target} accuracy on the other folds{threshold}, "
        f"{found.share_kept:.1%} of the utterances are answered, of which {found.accuracy_kept:.1%} are correct "
        f"(95% interval {interval(found.accuracy_kept_interval)}){missed}."
    )


def table(run: Run) -> Table | None:
    """Tabulate temperature, threshold, coverage and accuracy per fold and over all; None for a run with one fold."""
    found = measure(run)
    if found is None:
        return None

    def threshold(value: float | None) -> str:
        return NONE if value is None else f"{value:.3f}"

    def kept(one: Calibration | FoldCalibration) -> tuple[str, str]:
        return percent(one.share_kept), NONE if one.accuracy_kept is None else percent(one.accuracy_kept)

    rows = [
        (f"fold {one.fold}", f"{one.temperature:.2f}", threshold(one.abstain_below), *kept(one), "")
        for one in found.folds
    ]
    bounds = found.accuracy_kept_interval
    rows += [
        ("all folds", "", "", *kept(found), interval(bounds) if bounds else NONE),
        ("fitted on all, for a new model", f"{found.temperature:.2f}", threshold(found.abstain_below), "", "", ""),
    ]
    return Table(
        caption=f"Abstaining: thresholds fitted on the other folds for {found.least_accuracy or 0:.0%} accuracy, and "
        "the coverage and accuracy they reach, in percent.",
        header=("", "temperature", "abstain below", "coverage", "accuracy where answered", "95% interval"),
        rows=tuple(rows),
        n_summary=2,
    )


def draw(run: Run) -> style.Drawing | None:
    """Draw two reliability diagrams and the risk-coverage curve; None for a run with one fold."""
    found = measure(run)
    if found is None:
        return None
    answers = run.predictions
    calibrated = calibration.crossed(answers.probabilities, answers.fold, found)
    figure, axes = style.panels(
        1, 3, (style.DOUBLE, 2.45), left=0.48, right=0.2, top=0.48, bottom=0.36, gaps=(0.42, 0.4)
    )
    before, after, curve = axes[0]
    for panel, probabilities, name, error in (
        (before, answers.probabilities, "uncalibrated", found.expected_calibration_error),
        (after, calibrated, "calibrated on the other folds", found.expected_calibration_error_calibrated),
    ):
        bins = calibration.reliability(probabilities, answers.emotion, reliability.N_BINS)
        reliability.draw_panel(panel, bins.confidence, bins.accuracy, bins.n_utterances, leftmost=panel is before)
        panel.set_title(f"{name}: ECE {error:.3f}", fontsize=7, fontweight="normal")
    points = abstaining.risk_coverage(calibrated.max(axis=1), answers.correct)
    _draw_curve(curve, points, found)
    style.heading(figure, "Confidence and accuracy")
    reached = "no threshold reaches the target accuracy"
    if found.accuracy_kept is not None:
        reached = f"the thresholds reach {found.accuracy_kept:.1%} accuracy at {found.share_kept:.1%} coverage"
    return style.Drawing(
        name="calibration",
        title="Calibration and abstaining",
        caption=(
            f"{reliability.CAPTION} Right panel: accuracy (1 - risk) of the most confident answers against coverage; "
            "AURC is the mean risk over all coverages, lower is better. Dot: coverage and accuracy reached by the "
            "thresholds fitted on the other folds, with the 95% interval of the accuracy; dashed: the target accuracy."
        ),
        alt=(
            f"Reliability diagrams, expected calibration error {found.expected_calibration_error:.3f} before and "
            f"{found.expected_calibration_error_calibrated:.3f} after calibration, and a risk-coverage curve, AURC "
            f"{found.area_under_risk_coverage:.3f}; {reached}."
        ),
        figure=figure,
    )


def _draw_curve(panel: Axes, points: abstaining.RiskCoverage, found: Calibration) -> None:
    panel.plot(points.coverage, points.accuracy, color=style.TEST, linewidth=1.2, drawstyle="steps-post")
    if found.least_accuracy is not None:
        panel.axhline(found.least_accuracy, color=style.FAINT, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    if found.accuracy_kept is not None and found.accuracy_kept_interval is not None:
        panel.plot([found.share_kept] * 2, found.accuracy_kept_interval, color=style.MARK, linewidth=1.1)
        panel.plot(found.share_kept, found.accuracy_kept, "o", color=style.MARK, markersize=4)
    low = float(min(points.accuracy.min(), *(found.accuracy_kept_interval or (1.0,))))
    panel.set_xlim(0, 1)
    panel.set_ylim(max(0.0, low - 0.05), 1.02)
    style.percent_axis(panel)
    style.percent_axis(panel, x=True)
    panel.grid(axis="y")
    panel.set_xlabel("coverage: share of answers given")
    panel.set_title(
        f"accuracy where answered: AURC {found.area_under_risk_coverage:.3f}", fontsize=7, fontweight="normal"
    )
