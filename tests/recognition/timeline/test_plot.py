"""The outline of a long waveform, and the plot."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.labels import colours
from emocatcher.recognition import timeline
from emocatcher.recognition.timeline import plot
from emocatcher.recognition.timeline.envelope import Envelope

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


def test_columns_are_bounded_and_keep_the_mean():
    found = timeline.recognise(MadeNetwork(), is_loud, (talk(300.0), RATE), window_s=0.5, hop_s=0.2)
    edges_s, shares = plot.columns(found)
    assert len(found.windows) == 1499
    assert shares.shape[1] == 300
    assert shares.shape == (3, len(edges_s) - 1)
    assert (edges_s[0], edges_s[-1]) == (0.0, 300.0)
    assert (np.diff(edges_s) > 0).all()
    assert shares.sum(axis=0).max() <= 1.0 + 1e-9
    spoken = sum(window.speech for window in found.windows) / len(found.windows)
    assert shares.sum(axis=0).mean() == pytest.approx(spoken, abs=0.01)
    text = plot.draw(found, Envelope(), "svg").decode()
    assert re.search(r">5:00<", text)
    assert len(text) < 2_000_000


@pytest.mark.parametrize("most", [320, 4])
def test_abstained_segments_are_pale_and_named_in_the_legend(most, monkeypatch):
    """Also with more segments than the plot can show."""
    monkeypatch.setattr(plot, "_MAX_COLUMNS", most)
    sure, unsure = (
        timeline.recognise(MadeNetwork(), is_loud, (talk(30.0), RATE), abstain_below=threshold)
        for threshold in (0.0, 1.1)
    )
    assert (len(sure.segments) > most) == (most == 4)
    drawn, pale = (plot.draw(found, Envelope(), "svg").decode() for found in (sure, unsure))
    assert ">pale: below 110%<" in pale
    assert pale.count("opacity: 0.627") > drawn.count("opacity: 0.627")
    assert "?<" in pale
    assert "pale" not in drawn
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
