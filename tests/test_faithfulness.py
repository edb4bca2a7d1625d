"""Deleting parts of a clip, with networks whose reasons are known."""

import numpy as np
import pytest

from emocatcher import faithfulness
from emocatcher.config import load_preset

CABG, RESIDUAL = load_preset("cabg"), load_preset("emocatcher-2")


def clips_with_a_mark(settings, n_clips=30, seed=0):
    """Silent clips of unequal length, each with a mark of two attention steps somewhere; and where it stands."""
    random, step = np.random.default_rng(seed), settings.network.frames_per_step
    clips, marked = [], []
    for _ in range(n_clips):
        n_steps = int(random.integers(12, 24))
        at = int(random.integers(0, n_steps - 1))
        clip = np.zeros((4, n_steps * step), np.float32)
        clip[:, at * step : (at + 2) * step] = 1.0
        clips.append(clip)
        marked.append(np.isin(np.arange(n_steps), (at, at + 1)))
    return clips, marked


def hears_the_mark(clips):
    """Logits of a network that looks for marked frames only: the more there are, the surer."""
    return np.array([[clip[0].sum(), 0.0, 0.0] for clip in clips], np.float32)


def hears_no_time(clips):
    """Logits of a network that answers the same to whatever it hears."""
    return np.tile(np.array([[2.0, 0.0, 1.0]], np.float32), (len(clips), 1))


def attending(marked, to_the_mark=True):
    return [np.where(here == to_the_mark, 1.0, 0.01) / (here == to_the_mark).sum() for here in marked]


@pytest.mark.parametrize("settings", [CABG, RESIDUAL], ids=["cabg", "emocatcher-2"])
def test_attention_that_shows_the_reason_beats_chance_and_occlusion_finds_it_unasked(settings):
    clips, marked = clips_with_a_mark(settings)
    found = faithfulness.probe(hears_the_mark, clips, attending(marked), settings)
    attended, random, least, occlusion = found.falls.mean(axis=0)
    whole = np.exp(2 * settings.network.frames_per_step)
    assert attended == pytest.approx(whole / (whole + 2) - 1 / 3, abs=1e-6)  # nothing of the mark is left
    assert occlusion == pytest.approx(attended)
    assert least == 0
    assert least < random < attended / 2
    summary = faithfulness.summarise([found], None)
    assert summary.attended_minus_random.interval[0] > 0
    assert summary.attended_ahead.mean > 0.9


def test_attention_to_anything_else_does_not_and_occlusion_still_finds_it():
    clips, marked = clips_with_a_mark(CABG)
    found = faithfulness.probe(hears_the_mark, clips, attending(marked, to_the_mark=False), CABG)
    summary = faithfulness.summarise([found], None)
    assert summary.attended.mean < summary.random.mean < summary.occlusion.mean
    assert summary.attended_minus_random.interval[1] < 0 < summary.occlusion_minus_random.interval[0]
    assert summary.attended_ahead.mean < 0.5


def test_a_network_that_ignores_time_loses_nothing():
    clips, marked = clips_with_a_mark(CABG)
    found = faithfulness.probe(hears_no_time, clips, attending(marked), CABG)
    assert (found.falls == 0).all()
    assert not faithfulness.occlusion(hears_no_time, clips[0], CABG).any()
    summary = faithfulness.summarise([found], None)
    assert summary.attended_ahead.mean == 0
    assert summary.attended_minus_random.interval == (0, 0)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 7, 40, 41])
@pytest.mark.parametrize("settings", [CABG, RESIDUAL], ids=["cabg", "emocatcher-2"])
def test_no_clip_is_ever_emptied_and_whole_steps_go(settings, n_frames):
    heard = []

    def classify(clips):
        heard.extend(clip.shape[1] for clip in clips)
        return hears_no_time(clips)

    n_steps = int(settings.network.n_steps(np.array([n_frames]))[0])
    clip, attention = np.zeros((4, n_frames), np.float32), np.arange(n_steps) / n_steps
    found = faithfulness.probe(classify, [clip], [attention], settings)
    curve = faithfulness.occlusion(classify, clip, settings, span_s=9.0)
    if n_steps < 2:
        assert (len(found.clips), len(curve), heard) == (0, 0, [])
        return
    assert len(curve) == n_steps
    assert min(heard) >= 1
    assert found.deleted[0] == max(round(0.2 * n_steps), 1) / n_steps
    # A last step may be some frames short; what lies behind the last whole step stays.
    step = settings.network.frames_per_step
    longest = max(round(0.2 * n_steps), 1) * step
    assert n_frames - longest <= heard[1] < n_frames - longest + step


def test_what_is_deleted_is_what_attention_weighs_most():
    heard = []

    def classify(clips):
        heard.extend(clips)
        return hears_no_time(clips)

    clip = np.arange(20, dtype=np.float32)[None].repeat(4, axis=0)  # ten steps of two frames
    attention = np.array([0, 9, 1, 1, 1, 1, 1, 8, 1, 1.0])
    faithfulness.probe(classify, [clip], [attention], CABG)
    assert heard[1][0].tolist() == [n for n in range(20) if n not in (2, 3, 14, 15)]
    least = heard[1 + 1 + 5][0].tolist()
    assert {0, 1}.isdisjoint(least)
    assert len(least) == 16


def test_an_occlusion_curve_peaks_where_the_reason_is_and_costs_one_run_a_place():
    clips, marked = clips_with_a_mark(RESIDUAL, 5)
    for clip, here in zip(clips, marked, strict=True):
        runs = []
        curve = faithfulness.occlusion(
            lambda batch, runs=runs: (runs.append(len(batch)), hears_the_mark(batch))[1], clip, RESIDUAL
        )
        assert curve.shape == here.shape
        assert here[curve.argmax()]
        assert (curve[~here] < curve.max()).all()
        span = round(0.2 / (RESIDUAL.network.frames_per_step * RESIDUAL.front_end.frame_period_s))
        assert sum(runs) == 1 + len(here) + span - 1


def test_the_same_seed_probes_the_same_and_many_clips_are_sampled():
    clips, marked = clips_with_a_mark(CABG, 40)
    first, again, other = (
        faithfulness.probe(hears_the_mark, clips, attending(marked), CABG, seed=seed, most_clips=10)
        for seed in ((3, 1), (3, 1), (3, 2))
    )
    assert len(first.clips) == 10
    np.testing.assert_array_equal(first.clips, again.clips)
    np.testing.assert_array_equal(first.falls, again.falls)
    assert first.clips.tolist() != other.clips.tolist()
    assert (np.diff(first.clips) > 0).all()


def probed(falls):
    falls = np.asarray(falls, np.float64)
    return faithfulness.Probe(np.arange(len(falls)), falls, np.full(len(falls), 0.2))


def test_intervals_are_over_speakers():
    """Ten clips of each voice that agree with each other are worth ten voices' evidence, not a hundred clips'."""
    random = np.random.default_rng(0)
    of_voice = random.normal(0.2, 0.1, 10)
    falls = np.repeat(of_voice, 10)[:, None] * [1.0, 0.5, 0.1, 1.5]
    by_voice = faithfulness.summarise([probed(falls)], np.repeat([f"v{i}" for i in range(10)], 10).tolist())
    by_clip = faithfulness.summarise([probed(falls)], None)
    assert (by_voice.resampled, by_clip.resampled) == ("speakers", "utterances")
    assert by_voice.attended.mean == by_clip.attended.mean == pytest.approx(of_voice.mean())
    assert by_voice.attended_minus_random.mean == pytest.approx(of_voice.mean() / 2)

    def width(summary):
        return summary.attended.interval[1] - summary.attended.interval[0]

    assert width(by_voice) == pytest.approx(2 * 1.96 * of_voice.std() / np.sqrt(10), rel=0.15)
    assert width(by_voice) > 2 * width(by_clip)


def test_a_voice_with_more_clips_weighs_more_and_what_never_varies_has_no_width():
    falls = np.tile([[0.3, 0.1, 0.0, 0.5]], (12, 1))
    summary = faithfulness.summarise([probed(falls)], ["a"] * 9 + ["b"] * 2 + ["c"])
    assert summary.resampled == "speakers"
    assert summary.attended.interval == pytest.approx((0.3, 0.3))
    falls[9:] = 0.0
    assert faithfulness.summarise([probed(falls)], ["a"] * 9 + ["b"] * 3).attended.mean == pytest.approx(0.3 * 9 / 12)


def test_folds_are_pooled_and_nothing_probed_is_nothing_said():
    together = faithfulness.summarise([probed([[0.1, 0, 0, 0]]), probed([[0.3, 0, 0, 0]] * 3)], None)
    assert together.n_clips == 4
    assert together.attended.mean == pytest.approx(0.25)
    assert faithfulness.summarise([probed(np.empty((0, 4)))], []) is None
