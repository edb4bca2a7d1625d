"""Does attention show what an answer depends on? Parts of a clip are deleted, and the clip is classified again.

If a part matters, the probability of the answer falls without it (comprehensiveness; DeYoung et al. 2020, "ERASER",
section 4.2). Attention is compared with chance: as many random steps are deleted. Occlusion (Zeiler and Fergus 2014,
"Visualizing and Understanding Convolutional Networks", section 4.2) needs no attention: it deletes one short span
after the other and measures each fall. The network is passed in as a function from features to logits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.scoring import bootstrap, run_result
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.foundation.settings import Settings

Channels = NDArray[np.float32]  # (n_channels, n_frames), of a clip
Floats = NDArray[np.float64]
Classify = Callable[[list[Channels]], NDArray[np.floating]]  # features of n clips → logits (n, n_classes)

SHARE = 0.2  # of a clip's attention steps that is deleted
SPAN_S = 0.2  # seconds that occlusion deletes at once
CHOICES = ("attended", "random", "least", "occlusion")  # how the deleted steps are chosen: the columns of `Probe.falls`
_N_DRAWS = 5  # random choices of steps per clip
_MOST_CLIPS = 120  # per fold: enough for intervals, and short compared with training the fold
_AT_ONCE = 256  # shortened clips that are in memory together


class Probe(NamedTuple):
    """How deletions changed the answers for some clips."""

    clips: NDArray[
        np.int64
    ]  # (n,), indices of the clips probed; clips of one step, which cannot lose any, are left out
    falls: Floats  # (n, 4), fall of the answer's probability, in -1..1, by `CHOICES`
    deleted: Floats  # (n,), share of the clip's steps that was deleted


def probe(
    classify: Classify, channels: Sequence[Channels], attention: Sequence[NDArray[np.floating]], settings: Settings,
    seed: Sequence[int] = (0,), most_clips: int = _MOST_CLIPS,
) -> Probe:  # fmt: skip
    """Delete a fifth of each clip, chosen in four ways, and measure how far the probability of the answer falls.

    The deleted steps are cut out and the rest is joined. Each way deletes the same number of whole attention steps: the
    most attended; random ones (mean of five draws); the least attended; and those with the highest values by occlusion.

    Args:
        classify: features of n clips → logits, shape (n, n_classes).
        channels: one array (n_channels, n_frames) per clip.
        attention: one array (n_steps,) per clip, from the same network.
        settings: the settings of the network, which give the length of a step.
        seed: seed of the draws.
        most_clips: if there are more clips, this many are drawn.
    """
    random = np.random.default_rng(list(seed))
    clips = np.array([i for i, weights in enumerate(attention) if len(weights) > 1], np.int64)
    if len(clips) > most_clips:
        clips = np.sort(random.choice(clips, most_clips, replace=False))
    chosen, weights = [channels[i] for i in clips], [np.asarray(attention[i], np.float64) for i in clips]
    if not chosen:
        return Probe(clips, np.empty((0, len(CHOICES))), np.empty(0))
    answers = _Answers(classify, chosen, settings.network.frames_per_step)
    attended = [_highest(each) for each in weights]
    by_chance = [random.permutation(gone) for gone in attended for _ in range(_N_DRAWS)]
    each = range(len(chosen))
    falls = np.stack(
        [
            answers.falls(zip(each, attended, strict=True)),
            answers.falls(zip(np.repeat(each, _N_DRAWS), by_chance, strict=True)).reshape(-1, _N_DRAWS).mean(axis=1),
            answers.falls((i, _highest(-weights[i])) for i in each),
            answers.falls((i, _highest(curve)) for i, curve in enumerate(_curves(answers, weights, settings, SPAN_S))),
        ],
        axis=1,
    )
    return Probe(clips, falls, np.array([gone.mean() for gone in attended]))


def occlusion(classify: Classify, channels: Channels, settings: Settings, span_s: float = SPAN_S) -> Floats:
    """How much each moment of a clip contributes to its answer, measured without attention.

    A span is deleted at one attention step after the other. The value of a step is the mean fall of the answer's
    probability over the spans that contain it. This takes about one run of the network per step.

    Args:
        classify: features of n clips → logits, shape (n, n_classes), such as `lambda clips: recognizer.run(clips)[0]`.
        channels: shape (n_channels, n_frames), the field `channels` of `extraction.extract`.
        settings: the settings of the model.
        span_s: length of a span, seconds; rounded to whole attention steps, and short enough that one step stays.

    Returns:
        shape (n_steps,), in -1..1, one value per attention weight; below 0 where the answer is more probable
        without the step. Empty if the clip is too short to delete anything.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> only_the_end = lambda clips: np.array([[clip[0, -1], 0.0] for clip in clips])
        >>> clip = np.zeros((1, 12), np.float32)
        >>> clip[0, 10:] = 9.0
        >>> occlusion(only_the_end, clip, load_preset("cabg"), span_s=0.1).round(1).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    """
    n_steps = int(settings.network.n_steps(np.array([channels.shape[1]]))[0])
    if n_steps < 2:
        return np.empty(0)
    answers = _Answers(classify, [channels], settings.network.frames_per_step)
    (curve,) = _curves(answers, [np.empty(n_steps)], settings, span_s)
    return curve


def summarise(
    probed: Sequence[Probe], speakers: Sequence[str | None] | None, seed: int = 0
) -> run_result.Faithfulness | None:
    """Mean falls over all clips, with intervals by the cluster bootstrap over speakers (see `bootstrap`).

    Args:
        probed: one per fold.
        speakers: the speaker of each probed clip, in that order; None if any is unknown. With fewer than two speakers,
            clips are drawn.
        seed: seed of the draws.

    Returns:
        None if no clip was probed.
    """
    falls = np.concatenate([one.falls for one in probed])
    if not len(falls):
        return None
    by_name = dict(zip(CHOICES, falls.T, strict=True))
    columns = {
        **by_name,
        "attended_minus_random": by_name["attended"] - by_name["random"],
        "occlusion_minus_random": by_name["occlusion"] - by_name["random"],
        "attended_ahead": (by_name["attended"] > by_name["random"]).astype(np.float64),
    }
    of = bootstrap.clusters(speakers, len(falls))
    drawn = bootstrap.resample_means(of, np.stack(list(columns.values()), axis=1), seed=seed)
    return run_result.Faithfulness(
        **{
            name: run_result.Estimate(float(column.mean()), bootstrap.interval(drawn[:, i]))
            for i, (name, column) in enumerate(columns.items())
        },
        n_clips=len(falls),
        share_deleted=float(np.concatenate([one.deleted for one in probed]).mean()),
        level=bootstrap.LEVEL,
        resampled=of.resampled,
    )


class _Answers:
    """Clips and the network's answers for them."""

    def __init__(self, classify: Classify, channels: list[Channels], frames_per_step: int) -> None:
        self.channels, self._classify, self._frames_per_step = channels, classify, frames_per_step
        whole = softmax(classify(channels))
        self._answer, self._sure = whole.argmax(axis=1), whole.max(axis=1)

    def falls(self, deletions: Iterable[tuple[int, NDArray[np.bool_]]]) -> Floats:
        """How far the probability of the answer for the whole clip falls.

        Args:
            deletions: index of the clip, and True for each step to delete, shape (n_steps,).

        Returns:
            shape (n_deletions,).
        """
        waiting, found = iter(deletions), [np.empty(0)]
        while chunk := list(itertools.islice(waiting, _AT_ONCE)):
            clips = np.array([clip for clip, _ in chunk])
            left = softmax(self._classify([self._without(clip, gone) for clip, gone in chunk]))
            found.append(self._sure[clips] - left[np.arange(len(chunk)), self._answer[clips]])
        return np.concatenate(found)

    def _without(self, clip: int, gone: NDArray[np.bool_]) -> Channels:
        channels = self.channels[clip]
        # Frames after the last whole step belong to no step and stay.
        stays = np.ones(channels.shape[1], bool)
        frames = np.repeat(~gone, self._frames_per_step)[: len(stays)]
        stays[: len(frames)] = frames
        return channels[:, stays]


def _curves(
    answers: _Answers, attention: Sequence[NDArray[np.floating]], settings: Settings, span_s: float
) -> list[Floats]:
    """The occlusion curve of each clip, shape (n_steps,)."""
    step_s = settings.network.frames_per_step * settings.front_end.frame_period_s
    wanted = max(round(span_s / step_s), 1)
    spans = [_spans(len(weights), min(wanted, len(weights) - 1)) for weights in attention]

    def deletions() -> Iterator[tuple[int, NDArray[np.bool_]]]:
        for clip, of_clip in enumerate(spans):
            yield from ((clip, gone) for gone in of_clip)

    falls = np.split(answers.falls(deletions()), np.cumsum([len(of_clip) for of_clip in spans])[:-1])
    return [of_clip.T @ fall / of_clip.sum(axis=0) for of_clip, fall in zip(spans, falls, strict=True)]


def _spans(n_steps: int, length: int) -> NDArray[np.bool_]:
    """All positions of the span, shape (n_positions, n_steps), True on its steps; each step is in `length` spans."""
    starts, steps = np.arange(1 - length, n_steps)[:, None], np.arange(n_steps)
    return (steps >= starts) & (steps < starts + length)


def _highest(values: Floats) -> NDArray[np.bool_]:
    """Mark the fifth of a clip's steps with the highest values: at least one, and never all of two or more."""
    n = max(round(SHARE * len(values)), 1)
    gone = np.zeros(len(values), bool)
    gone[np.argsort(-values, kind="stable")[:n]] = True
    return gone
