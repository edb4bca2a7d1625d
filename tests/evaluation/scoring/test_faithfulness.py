"""Deleting parts of a clip, with networks whose answers depend on known frames."""

import numpy as np
import pytest

from emocatcher.evaluation.scoring import faithfulness
from emocatcher.foundation.settings import load_preset

CABG, RESIDUAL = load_preset("cabg"), load_preset("emocatcher-2")


def clips_with_a_mark(settings, n_clips=30, seed=0):
    """Silent clips of unequal length, each with a mark of two attention steps; and the position of the mark."""
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


def depends_on_the_mark(clips):
    """Logits of a network whose confidence grows with the number of marked frames."""
    return np.array([[clip[0].sum(), 0.0, 0.0] for clip in clips], np.float32)


def constant(clips):
    """Logits of a network that gives the same answer for every input."""
    return np.tile(np.array([[2.0, 0.0, 1.0]], np.float32), (len(clips), 1))


def attending(marked, to_the_mark=True):
    return [np.where(here == to_the_mark, 1.0, 0.01) / (here == to_the_mark).sum() for here in marked]


@pytest.mark.parametrize("settings", [CABG, RESIDUAL], ids=["cabg", "emocatcher-2"])
def test_attention_to_the_mark_is_better_than_chance_and_occlusion_finds_the_mark(settings):
    clips, marked = clips_with_a_mark(settings)
    found = faithfulness.probe(depends_on_the_mark, clips, attending(marked), settings)
    attended, random, least, occlusion = found.falls.mean(axis=0)
    whole = np.exp(2 * settings.network.frames_per_step)
    assert attended == pytest.approx(whole / (whole + 2) - 1 / 3, abs=1e-6)  # the whole mark is deleted
    assert occlusion == pytest.approx(attended)
    assert least == 0
    assert least < random < attended / 2
    summary = faithfulness.summarise([found], None)
    assert summary.attended_minus_random.interval[0] > 0
    assert summary.attended_ahead.mean > 0.9


def test_attention_to_other_steps_is_worse_than_chance_and_occlusion_still_finds_the_mark():
    clips, marked = clips_with_a_mark(CABG)
    found = faithfulness.probe(depends_on_the_mark, clips, attending(marked, to_the_mark=False), CABG)
    summary = faithfulness.summarise([found], None)
    assert summary.attended.mean < summary.random.mean < summary.occlusion.mean
    assert summary.attended_minus_random.interval[1] < 0 < summary.occlusion_minus_random.interval[0]
    assert summary.attended_ahead.mean < 0.5


def test_a_network_that_ignores_its_input_loses_nothing():
    clips, marked = clips_with_a_mark(CABG)
    found = faithfulness.probe(constant, clips, attending(marked), CABG)
    assert (found.falls == 0).all()
    assert not faithfulness.occlusion(constant, clips[0], CABG).any()
    summary = faithfulness.summarise([found], None)
    assert summary.attended_ahead.mean == 0
    assert summary.attended_minus_random.interval == (0, 0)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 7, 40, 41])
@pytest.mark.parametrize("settings", [CABG, RESIDUAL], ids=["cabg", "emocatcher-2"])
def test_whole_steps_are_deleted_and_no_clip_becomes_empty(settings, n_frames):
    seen = []

    def classify(clips):
        seen.extend(clip.shape[1] for clip in clips)
        return constant(clips)

    n_steps = int(settings.network.n_steps(np.array([n_frames]))[0])
    clip, attention = np.zeros((4, n_frames), np.float32), np.arange(n_steps) / n_steps
    found = faithfulness.probe(classify, [clip], [attention], settings)
    curve = faithfulness.occlusion(classify, clip, settings, span_s=9.0)
    if n_steps < 2:
        assert (len(found.clips), len(curve), seen) == (0, 0, [])
        return
    assert len(curve) == n_steps
    assert min(seen) >= 1
    assert found.deleted[0] == max(round(0.2 * n_steps), 1) / n_steps
    # The last step may be some frames short; frames after the last whole step stay.
    step = settings.network.frames_per_step
    longest = max(round(0.2 * n_steps), 1) * step
    assert n_frames - longest <= seen[1] < n_frames - longest + step


def test_the_most_attended_steps_are_deleted():
    seen = []

    def classify(clips):
        seen.extend(clips)
        return constant(clips)

    clip = np.arange(20, dtype=np.float32)[None].repeat(4, axis=0)  # ten steps of two frames
    attention = np.array([0, 9, 1, 1, 1, 1, 1, 8, 1, 1.0])
    faithfulness.probe(classify, [clip], [attention], CABG)
    assert seen[1][0].tolist() == [n for n in range(20) if n not in (2, 3, 14, 15)]
    least = seen[1 + 1 + 5][0].tolist()
    assert {0, 1}.isdisjoint(least)
    assert len(least) == 16


def test_an_occlusion_curve_peaks_at_the_mark_and_costs_one_run_per_position():
    clips, marked = clips_with_a_mark(RESIDUAL, 5)
    for clip, here in zip(clips, marked, strict=True):
        runs = []
        curve = faithfulness.occlusion(
            lambda batch, runs=runs: (runs.append(len(batch)), depends_on_the_mark(batch))[1], clip, RESIDUAL
        )
        assert curve.shape == here.shape
        assert here[curve.argmax()]
        assert (curve[~here] < curve.max()).all()
        span = round(0.2 / (RESIDUAL.network.frames_per_step * RESIDUAL.front_end.frame_period_s))
        assert sum(runs) == 1 + len(here) + span - 1


def test_many_clips_are_sampled_and_the_same_seed_gives_the_same_clips():
    clips, marked = clips_with_a_mark(CABG, 40)
    first, again, other = (
        faithfulness.probe(depends_on_the_mark, clips, attending(marked), CABG, seed=seed, most_clips=10)
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


def test_intervals_draw_speakers():
    """If the ten clips of each of ten speakers agree, the evidence is that of ten speakers, not of a hundred clips."""
    random = np.random.default_rng(0)
    of_speaker = random.normal(0.2, 0.1, 10)
    falls = np.repeat(of_speaker, 10)[:, None] * [1.0, 0.5, 0.1, 1.5]
    by_speaker = faithfulness.summarise([probed(falls)], np.repeat([f"v{i}" for i in range(10)], 10).tolist())
    by_clip = faithfulness.summarise([probed(falls)], None)
    assert (by_speaker.resampled, by_clip.resampled) == ("speakers", "utterances")
    assert by_speaker.attended.mean == by_clip.attended.mean == pytest.approx(of_speaker.mean())
    assert by_speaker.attended_minus_random.mean == pytest.approx(of_speaker.mean() / 2)

    def width(summary):
        return summary.attended.interval[1] - summary.attended.interval[0]

    assert width(by_speaker) == pytest.approx(2 * 1.96 * of_speaker.std() / np.sqrt(10), rel=0.15)
    assert width(by_speaker) > 2 * width(by_clip)


def test_a_speaker_with_more_clips_has_more_weight_and_a_constant_has_an_interval_of_no_width():
    falls = np.tile([[0.3, 0.1, 0.0, 0.5]], (12, 1))
    summary = faithfulness.summarise([probed(falls)], ["a"] * 9 + ["b"] * 2 + ["c"])
    assert summary.resampled == "speakers"
    assert summary.attended.interval == pytest.approx((0.3, 0.3))
    falls[9:] = 0.0
    assert faithfulness.summarise([probed(falls)], ["a"] * 9 + ["b"] * 3).attended.mean == pytest.approx(0.3 * 9 / 12)


def test_folds_are_pooled_and_without_probed_clips_there_is_no_summary():
    together = faithfulness.summarise([probed([[0.1, 0, 0, 0]]), probed([[0.3, 0, 0, 0]] * 3)], None)
    assert together.n_clips == 4
    assert together.attended.mean == pytest.approx(0.25)
    assert faithfulness.summarise([probed(np.empty((0, 4)))], []) is None
