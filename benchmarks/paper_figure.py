"""Draw the result table: per protocol, our rows with their intervals and the scores of other work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from emocatcher.reports.run_report import style
from records import PEOPLE, RECORDS

_LOOKS = {
    "from scratch": ("s", "from scratch"),
    "pretrained": ("D", "large pretrained encoder"),
    "features": ("^", "hand-crafted features"),
}
# Of RAVDESS's 1440 clips, 192 have the most frequent emotion; the UAR of any guess is an eighth.
_CHANCE = {"accuracy": 100 * 192 / 1440, "UAR": 100 / 8}
_METRIC = {"luna-5": "UAR", "loso-24": "UAR"}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the scored rows.

    Args:
        rows: `paper.Scored` objects as plain data.
        path: path of the SVG.
    """
    protocols = list(dict.fromkeys(one["row"]["protocol"] for one in rows))
    if not protocols:
        return
    with style.paper():
        lines = [_lines(protocol, rows) for protocol in protocols]
        n_lines = sum(map(len, lines)) + len(protocols)
        height = 0.19 * n_lines + 0.95
        figure, axes = style.panels(1, 1, (style.DOUBLE, height), left=2.6, right=0.25, top=0.3, bottom=0.6)
        axis, at = axes[0, 0], 0
        ticks: list[tuple[int, str, bool]] = []
        for protocol, entries in zip(protocols, lines, strict=True):
            ticks.append((at, f"{protocol}, {_METRIC.get(protocol, 'accuracy')}", True))
            guessed = _CHANCE[_METRIC.get(protocol, "accuracy")]
            axis.plot(
                [guessed] * 2, (at + 0.4, at + len(entries) + 0.5), color=style.FAINT, linewidth=0.9, linestyle=":"
            )
            at += 1
            for name, value, interval, kind in entries:
                ours = kind == "ours"
                marker, colour = ("o", style.TEST) if ours else (_LOOKS[kind][0], style.FAINT)
                if interval:
                    axis.plot(interval, (at, at), color=colour, linewidth=1.2, solid_capstyle="butt")
                axis.plot(value, at, marker, color=colour, markersize=4.5 if ours else 3.5)
                ground = {
                    "facecolor": style.PAPER,
                    "edgecolor": "none",
                    "pad": 0.4,
                }  # so that lines pass behind the number
                offset = {"textcoords": "offset points", "ha": "center", "fontsize": 5.5}
                axis.annotate(f"{value:.1f}", (value, at), (0, 4), bbox=ground, **offset)
                ticks.append((at, name, False))
                at += 1
        axis.axvline(PEOPLE, color=style.MARK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.9)
        axis.annotate(
            "human listeners", (PEOPLE, -0.75), ha="center", color=style.MARK, fontsize=6, annotation_clip=False
        )
        axis.annotate(
            "chance", (_CHANCE["accuracy"], -0.75), ha="center", color=style.FAINT, fontsize=6, annotation_clip=False
        )
        axis.set_xlim(0, 100)
        axis.set_ylim(at - 0.3, -0.7)
        axis.set_yticks([place for place, _, _ in ticks], [name for _, name, _ in ticks])
        for label, (_, _, is_protocol) in zip(axis.get_yticklabels(), ticks, strict=True):
            label.set_fontweight("bold" if is_protocol else "normal")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x")
        axis.set_xlabel("percent; bars: 95% interval by resampling speakers")
        for marker, name in _LOOKS.values():
            axis.plot([], [], marker, color=style.FAINT, markersize=3.5, label=name)
        axis.plot([], [], "o-", color=style.TEST, markersize=4.5, label="EmoCatcher")
        # Below the axes, because any corner may hold bars.
        figure.legend(loc="lower right", fontsize=6, ncols=4)
        style.heading(figure, "RAVDESS speech, eight emotions")
        path.parent.mkdir(exist_ok=True)
        with mpl.rc_context({"svg.hashsalt": path.name}):  # the same rows give the same file
            figure.savefig(path, metadata={"Date": None})


def _lines(protocol: str, rows: list[dict[str, Any]]) -> list[tuple[str, float, tuple[float, float] | None, str]]:
    """Return name, score, interval and kind of each line of a protocol, the lowest score first."""
    metric = _METRIC.get(protocol, "accuracy")
    score = "unweighted_average_recall" if metric == "UAR" else "accuracy"
    lines: list[tuple[str, float, tuple[float, float] | None, str]] = [
        (record.who, record.score, None, record.kind) for record in RECORDS if record.protocol == protocol
    ]
    for one in rows:
        row = one["row"]
        if row["protocol"] == protocol:
            kind = "" if row["kind"] == "single" else f", {row['kind']}"
            lower, upper = one[f"{score}_interval"]
            lines.append((f"{row['preset']}{kind}", 100 * one[score], (100 * lower, 100 * upper), "ours"))
    return sorted(lines, key=lambda line: line[1])
