"""Draw example predictions: log-mel spectrogram, true emotion, predicted emotion and its probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emocatcher.evaluation.run_folder import Floats, Run
from emocatcher.reports.run_report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_N_COLUMNS = 4
_PANEL_HEIGHT, _ROW_GAP = 0.95, 0.3  # inches
_TICKS_HZ = (250, 1000, 4000)


def draw(run: Run) -> style.Drawing:
    """Draw the first fold's examples as a grid, each with its attention as a line."""
    evidence, predictions, labels = run.evidence, run.predictions, run.result.labels
    rows = np.flatnonzero(predictions.fold == evidence.fold)
    row_of = dict(zip(predictions.utterance[rows], rows, strict=True))
    attention_of = dict(zip(evidence.utterances, evidence.attention, strict=True))
    n_examples = len(evidence.example_utterances)
    n_columns = min(_N_COLUMNS, n_examples)
    n_rows = -(-n_examples // n_columns)
    longest_s = max(log_mel.shape[1] for log_mel in evidence.example_log_mel) * evidence.frame_period_s
    height = n_rows * _PANEL_HEIGHT + (n_rows - 1) * _ROW_GAP + 0.45 + 0.3 + style.FOOTER
    figure, axes = style.panels(
        n_rows, n_columns, (style.DOUBLE, height), left=0.42, top=0.45, bottom=0.3, gaps=(0.14, _ROW_GAP)
    )
    words = []
    for index, (utterance, log_mel) in enumerate(
        zip(evidence.example_utterances, evidence.example_log_mel, strict=True)
    ):
        panel, row = axes.flat[index], row_of[utterance]
        true, predicted = labels[predictions.emotion[row]], labels[predictions.predicted[row]]
        right = bool(predictions.correct[row])
        _draw_log_mel(panel, log_mel, evidence.frame_period_s)
        _draw_attention(panel, attention_of[utterance], evidence.attention_period_s, log_mel.shape[0])
        panel.set_xlim(0, longest_s)
        panel.set_ylim(0, log_mel.shape[0])
        _label_axes(panel, evidence.mel_centres_hz, index % n_columns == 0, index + n_columns >= n_examples)
        probability = f"({predictions.probability[row]:.0%})"
        _title(panel, style.shorten(true), style.shorten(predicted), probability, right)
        words.append(f"{true} / {predicted} {probability}{'' if right else ', wrong'}")
    for panel in axes.flat[n_examples:]:
        panel.set_axis_off()
    style.heading(figure, f"Examples of fold {evidence.fold}: true / predicted (probability)   ✗ and a frame: wrong")
    return style.Drawing(
        name="examples",
        title="Predicted examples",
        caption=(
            f"Test utterances of fold {evidence.fold}: log-mel of the voiced span, titled true / predicted "
            "(probability). Wrong predictions have a cross and a frame. The examples are a fixed choice of right and "
            "wrong predictions, not a random sample, so their share does not reflect the accuracy. White line: "
            "attention, scaled to its maximum in each utterance."
        ),
        alt=f"{n_examples} log-mel spectrograms, true / predicted (probability): {'; '.join(words)}.",
        figure=figure,
    )


def _draw_log_mel(panel: Axes, log_mel: Floats, frame_period_s: float) -> None:
    n_mels, n_frames = log_mel.shape
    top = float(log_mel.max())
    panel.imshow(
        log_mel, cmap="magma", vmin=top - 70, vmax=top, aspect="auto", interpolation="none", origin="lower",
        extent=(0, n_frames * frame_period_s, 0, n_mels),
    )  # fmt: skip


def _draw_attention(panel: Axes, weights: Floats, period_s: float, n_mels: int) -> None:
    time = (np.arange(weights.size) + 0.5) * period_s
    level = 0.02 * n_mels + 0.4 * n_mels * weights / weights.max()
    panel.plot(time, level, color="black", linewidth=1.8, alpha=0.5)
    panel.plot(time, level, color=style.ON_IMAGE, linewidth=0.9)


def _label_axes(panel: Axes, mel_centres_hz: Floats, leftmost: bool, lowest: bool) -> None:
    panel.set_facecolor(style.BAND)  # seen after the end of the utterance
    panel.tick_params(length=2, pad=1.5)
    if leftmost:
        ticks_hz = [hz for hz in _TICKS_HZ if mel_centres_hz[0] <= hz <= mel_centres_hz[-1]]
        positions = np.interp(ticks_hz, mel_centres_hz, np.arange(mel_centres_hz.size) + 0.5)
        panel.set_yticks(positions, [str(hz) for hz in ticks_hz])
        panel.set_ylabel("Hz, mel scale", labelpad=1)
    else:
        panel.set_yticks([])
    if lowest:
        panel.set_xlabel("time (s)")
    else:
        panel.set_xticks([])


def _title(panel: Axes, true: str, predicted: str, probability: str, right: bool) -> None:
    words = f"{'✓' if right else '✗'} {true} / {predicted} {probability}"
    if len(words) > 29:  # characters that fit one column
        words = f"{'✓' if right else '✗'} {true} /\n{predicted} {probability}"
    title = panel.set_title(words, fontsize=6.3, pad=2.5, fontweight="normal" if right else "bold", linespacing=1.05)
    if not right:
        panel.spines[:].set(visible=True, color=style.MARK, linewidth=1.6, zorder=5)
        title.set_color(style.MARK)
