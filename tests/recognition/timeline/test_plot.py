"""The outline of a long waveform, and the plot."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.labels import colours
from emocatcher.recognition import timeline
from emocatcher.recognition.prediction import Caution
from emocatcher.recognition.timeline import plot
from emocatcher.recognition.timeline.envelope import Envelope
from emocatcher.recognition.timeline.segments import merge
from emocatcher.recognition.timeline.smoothing import smooth, spans
from emocatcher.recognition.timeline.windows import Windows

from .conftest import RATE, MadeNetwork, is_loud, talk


@given(n_samples=st.integers(1, 3000), max_bins=st.integers(1, 40), size=st.integers(1, 500))
def test_the_outline_has_the_extremes_of_the_samples(n_samples, max_bins, size):
    samples = np.random.default_rng(n_samples).normal(size=n_samples).astype(np.float32)
    envelope = Envelope(max_bins)
    for start in range(0, n_samples, size):
        envelope.push(samples[start : start + size])
    outline = envelope.outline()
    assert envelope.n_samples == n_samples
    assert outline.shape == (2, -(-n_samples // envelope.step))
    assert outline.shape[1] <= max_bins
    for i, (lowest, highest) in enumerate(outline.T):
        part = samples[i * envelope.step : (i + 1) * envelope.step]
        assert (lowest, highest) == (part.min(), part.max())


@pytest.fixture(scope="module")
def envelope():
    found = Envelope()
    found.push(talk(40.3))
    return found


def test_an_svg_contains_names_times_and_colours(made_timeline, envelope):
    pytest.importorskip("matplotlib")
    text = plot.draw(made_timeline, envelope, "svg").decode()
    for label, shade in colours(made_timeline.labels).items():
        assert f">{label}<" in text
        assert shade.lower() in text
    assert ">no speech<" in text
    assert ">40 s<" in text
    assert plot.draw(made_timeline, envelope, "svg").decode() == text


def test_a_png_has_the_png_signature(made_timeline, envelope):
    pytest.importorskip("matplotlib")
    assert plot.draw(made_timeline, envelope, "png").startswith(b"\x89PNG")


@given(width_s=st.floats(0.01, 600))
def test_smoothed_probabilities_sum_to_at_most_one(made_timeline, width_s):
    shares = smooth(made_timeline, np.linspace(0.0, made_timeline.duration_s, 101), width_s)
    assert shares.shape == (3, 101)
    assert shares.min() >= -1e-9
    assert shares.sum(axis=0).max() <= 1.0 + 1e-9


def test_smoothing_over_everything_gives_the_mean_of_the_recording(made_timeline):
    (spoken,) = smooth(made_timeline, np.array([20.0]), 1000.0).sum(axis=0)
    speech_s = sum(one.end_s - one.start_s for one in made_timeline.segments if one.emotion is not None)
    assert spoken == pytest.approx(speech_s / made_timeline.duration_s)


def test_smoothing_over_less_than_a_hop_gives_the_window_itself(made_timeline):
    window = next(one for one in made_timeline.windows[10:] if one.speech)
    shares = smooth(made_timeline, np.array([window.time_s]), 0.01)
    assert dict(zip(made_timeline.labels, shares[:, 0], strict=True)) == pytest.approx(window.probabilities, abs=1e-6)


def _long(duration_s, labels=("happy", "bored", "sad"), abstain_below=0.0):
    """Return a timeline in which the label changes with every window, and every tenth window is silence."""
    n_windows = int(duration_s / 2)
    at = np.arange(n_windows)
    probabilities = np.full((n_windows, len(labels)), 0.4 / (len(labels) - 1))
    probabilities[at, at % len(labels)] = 0.6
    speech = at % 10 > 0
    probabilities[~speech] = np.nan
    windows = Windows(labels, 2.0 * at, 2.0 * at + 2, 2.0 * at, 2.0 * at + 2, speech, probabilities, ~speech)
    return timeline.Timeline(
        path="long.wav", model="made", model_version="1", labels=labels, window_s=2.0, hop_s=2.0,
        abstain_below=abstain_below, duration_s=duration_s, segments=merge(windows, duration_s, abstain_below),
        windows=windows,
    )  # fmt: skip


def _draw(found, width=10.0):
    pytest.importorskip("matplotlib")
    return plot.draw(found, Envelope(), "svg", width).decode()


def _size(svg):
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    return float(width) / 72, float(height) / 72


def test_twenty_minutes_have_four_rows_of_made_timeline():
    clocks = re.findall(r">(\d+:\d\d)<", _draw(_long(1200.0)))
    assert [clocks.count(clock) for clock in ("0:00", "5:00", "10:00", "15:00", "20:00")] == [1, 2, 2, 2, 1]


@pytest.mark.parametrize(("duration_s", "width"), [(10.0, 10.0), (120.0, 3.5), (3600.0, 10.0), (20_000.0, 20.0)])
def test_the_plot_has_the_given_width_and_a_bounded_height(duration_s, width):
    text = _draw(_long(duration_s), width)
    found = _size(text)
    assert found[0] == pytest.approx(width)
    assert 3 < found[1] < 14
    assert len(text) < 2_000_000


def test_a_crowded_recording_has_few_named_spans():
    """With a new label every two seconds, a row of five minutes would have 150 bars of 2 mm."""
    found = _long(1200.0)
    assert len(found.segments) == 600
    assert sum(len(spans(found, (start_s, start_s + 300.0), 6.0, 4)) for start_s in (0.0, 300.0, 600.0, 900.0)) < 100


@pytest.mark.parametrize("duration_s", [30.0, 1200.0])
def test_named_spans_cover_a_part_without_gaps(duration_s):
    part = (0.0, min(duration_s, 300.0))
    found = spans(_long(duration_s), part, 6.0, 4)
    assert (found[0].start_s, found[-1].end_s) == part
    assert [one.end_s for one in found[:-1]] == [one.start_s for one in found[1:]]
    assert any(one.label is None for one in found) == (duration_s == 30.0)


def test_the_legend_of_many_labels_has_more_lines_and_stays_inside_the_figure():
    labels = tuple(f"a label of some length {i}" for i in range(20))
    width = 5.0
    few, many = (_draw(_long(60.0, labels[:n]), width) for n in (3, 20))
    assert _size(many)[1] > _size(few)[1]
    for label, shade in colours(labels).items():
        assert shade.lower() in many
        assert f">{label}<" in many or f">{label[:23]}…<" in many
    squares = [
        (float(start), float(end))
        for start, end in re.findall(r'<path d="M ([\d.]+) [\d.]+ \nL ([\d.]+) [^"]*"\s*style="fill: #', many)
        if float(end) - float(start) == pytest.approx(0.11 * 72, abs=0.01)
    ]
    assert len(squares) == 21  # one for "no speech"
    assert all(0 < start < end < 72 * width for start, end in squares)


def test_names_in_other_scripts_are_kept():
    assert ">기쁨<" in _draw(_long(60.0, ("기쁨", "슬픔", "بهجة")))


def test_warnings_are_named_in_the_head():
    warned = msgspec.structs.replace(_long(60.0), warnings=(Caution("truncated", "It breaks off."),))
    assert "Warnings: truncated." in _draw(warned)
    assert "Warnings" not in _draw(_long(60.0))
    few, many = (_size(_draw(msgspec.structs.replace(_long(60.0), warnings=warned.warnings * n), 5.0)) for n in (1, 9))
    assert many[1] > few[1]  # in several lines


@pytest.mark.parametrize("duration_s", [30.0, 1200.0])
def test_uncertain_spans_are_pale_and_the_head_explains_them(duration_s):
    """Segments, and in crowded rows the smoothed leaders."""
    drawn, pale = (_draw(_long(duration_s, abstain_below=threshold)) for threshold in (0.0, 0.7))
    assert "below 70%" in pale
    assert pale.count("opacity: 0.627") > drawn.count("opacity: 0.627")
    assert "?<" in pale
    assert "Pale" not in drawn
    assert "?<" not in drawn


@pytest.mark.parametrize("n_samples", [1, 2000])
def test_the_shortest_recordings_can_be_plotted(n_samples):
    samples = talk(1.0)[:n_samples]
    envelope = Envelope()
    envelope.push(samples)
    found = timeline.recognise(MadeNetwork(), is_loud, (samples, RATE))
    assert plot.draw(found, envelope, "png").startswith(b"\x89PNG")


def test_the_image_format_is_chosen_by_suffix():
    assert (plot.kind_of(Path("a.SVG")), plot.kind_of(Path("b.png"))) == ("svg", "png")
    with pytest.raises(SettingError, match=r"ends in \.svg or \.png"):
        plot.kind_of(Path("a.pdf"))
