"""Check a corpus: decode every recording, summarise the corpus and report anomalies."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from emocatcher import audio
from emocatcher.audio import folder_search
from emocatcher.corpora import ravdess
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import AudioError, NonFiniteError
from emocatcher.foundation.executor import PoolContext

_FULL_SCALE = 0.999  # 0.01 dB below full scale, where players and encoders already clip
_QUIET_RMS = 0.001  # -60 dBFS
_SHORT_S = 0.3  # about one syllable
_FEW = 8  # recordings; a model is not adapted to fewer of a label that it does not know
_FILES_PER_PROCESS = 64  # starting a process takes about as long as decoding this many files


class Finding(msgspec.Struct, frozen=True):
    """An anomaly of a corpus, to be considered before using it."""

    # undecodable, non-finite, missing, truncated, damaged, unread, duplicate, stereo, channels-cancel, quiet-channel,
    # full-scale, quiet, short, long, cut-off or sample-rate
    kind: str
    utterances: tuple[str, ...]  # ids
    text: str  # one sentence: the anomaly and its consequence


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A corpus summarised in numbers, and its findings."""

    corpus: str
    n_utterances: int
    n_decoded: int  # utterances with usable samples
    n_partial: int  # of these, how many are truncated, damaged, or read in part
    hours: float
    shortest_s: float
    longest_s: float
    per_emotion: dict[str, int]
    n_unlabelled: int  # of the utterances
    per_speaker: dict[str, int]
    findings: tuple[Finding, ...]


class _Measurement(NamedTuple):
    id: str
    problem: str = ""  # the kind of finding
    reason: str = ""
    sample_rate: int = 0  # Hz
    n_channels: int = 1
    duration_s: float = 0.0
    truncated: bool = False  # the end of the file is missing
    lost: tuple[tuple[float, float], ...] = ()  # damaged parts of the file within the utterance, (start_s, end_s)
    n_unread: int = 0  # bytes behind the end that the file declares
    channels_cancel: tuple[audio.LeftOut, ...] = ()  # within the utterance
    quiet_channels: tuple[int, ...] = ()
    missing_s: float = 0.0  # how far the utterance's segment extends beyond the recording's end
    peak: float = 0.0
    rms: float = 0.0
    digest: bytes = b""


def check(
    corpus: Corpus,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    n_workers: int | None = None,
    long_s: float = math.inf,
) -> CheckReport:
    """Decode every recording of a corpus and report anomalies.

    Worker processes are started with the "spawn" method, so a script that calls this needs an
    `if __name__ == "__main__":` guard.

    Args:
        corpus: the corpus to check.
        on_progress: called with (utterances done, utterances in total).
        n_workers: number of processes; 1 uses only this process; None uses all cores, or fewer for a small corpus.
        long_s: a longer utterance is a finding, because it has several sentences.

    Returns:
        the report; unusable recordings are findings, not exceptions.
    """
    by_path: dict[Path, list[Utterance]] = defaultdict(list)
    everything = (*corpus.utterances, *corpus.unlabelled)
    for utterance in everything:
        by_path[utterance.path].append(utterance)
    if n_workers is None:
        n_workers = max(1, min(process_setup.usable_cores(), len(by_path) // _FILES_PER_PROCESS))
    measurements: list[_Measurement] = []
    for measured in _measure_all(list(by_path.values()), n_workers):
        measurements += measured
        if on_progress is not None:
            on_progress(len(measurements), len(everything))
    usable = [measurement for measurement in measurements if not measurement.problem]
    durations = [measurement.duration_s for measurement in usable]
    return CheckReport(
        corpus=corpus.name,
        n_utterances=len(everything),
        n_decoded=len(usable),
        n_partial=sum(m.truncated or bool(m.lost) or m.n_unread > 0 for m in usable),
        hours=sum(durations) / 3600,
        shortest_s=min(durations, default=0.0),
        longest_s=max(durations, default=0.0),
        per_emotion={label: sum(u.emotion == label for u in corpus) for label in corpus.labels},
        n_unlabelled=len(corpus.unlabelled),
        per_speaker=dict(sorted(Counter(u.speaker for u in everything if u.speaker is not None).items())),
        findings=tuple(_find(corpus, measurements, long_s)),
    )


def left_out(corpus: Corpus, folder: Path) -> list[str]:
    """Return the files in a folder that are no part of the corpus read from it, and sub-folders that cannot be opened.

    Nothing is returned of a folder whose files are unpacked elsewhere.
    """
    used = {str(utterance.path) for utterance in (*corpus, *corpus.unlabelled)}
    found = folder_search.search(folder)
    names = {*found.recordings, *found.hidden, *found.others, *found.closed}
    return sorted(names - used) if names & used else []


def too_few(corpus: Corpus) -> Iterator[str]:
    """Yield a sentence for each kind of recordings of which there are too few to train or to adapt a model."""
    counts = Counter(utterance.emotion for utterance in corpus)
    if len(counts) == 1:
        yield f"all recordings have the label '{next(iter(counts))}': to train or to adapt, two or more are needed"
    if few := [f"{label} ({counts[label]})" for label in corpus.labels if 0 < counts[label] < _FEW]:
        yield f"labels with fewer than {_FEW} recordings: {', '.join(few)}. Record more of them, or leave them out"
    if len(corpus.speakers) == 1:
        yield f"all recordings are of the speaker {corpus.speakers[0]}: how a new voice does cannot be tested"


def _measure_all(files: list[list[Utterance]], n_workers: int) -> Iterator[list[_Measurement]]:
    if n_workers == 1:
        yield from map(_measure, files)
        return
    # "spawn" behaves the same on every system, and is safe when this process runs threads.
    with ProcessPoolExecutor(n_workers, mp_context=PoolContext()) as executor:
        yield from executor.map(_measure, files, chunksize=8)


def _measure(utterances: list[Utterance]) -> list[_Measurement]:
    """Decode one file once, for all utterances in it."""
    path = utterances[0].path
    if not folder_search.is_file(path):
        reason = f"{path}: no such file{folder_search.other_computer(str(path))}"
        return [_Measurement(u.id, "missing", reason) for u in utterances]
    try:
        facts = audio.Facts()
        waveform = np.concatenate(list(audio.blocks(path, facts=facts)))
        return [_measure_one(u, waveform, facts) for u in utterances]
    except AudioError as error:
        kind = "non-finite" if isinstance(error, NonFiniteError) else "undecodable"
        return [_Measurement(u.id, kind, str(error)) for u in utterances]


def _measure_one(utterance: Utterance, waveform: audio.Waveform, facts: audio.Facts) -> _Measurement:
    sample_rate = facts.native_rate
    first = round((utterance.start_s or 0.0) * sample_rate)
    last = len(waveform) if utterance.end_s is None else round(utterance.end_s * sample_rate)
    samples = waveform[first:last]
    if not samples.size:
        reason = f"{utterance.path} ends at {len(waveform) / sample_rate:.2f} s, before {utterance.id} starts"
        return _Measurement(utterance.id, "undecodable", reason)

    def is_within(start_s: float, end_s: float) -> bool:
        return end_s * sample_rate > first and start_s * sample_rate < last

    return _Measurement(
        id=utterance.id,
        sample_rate=sample_rate,
        n_channels=facts.n_channels,
        duration_s=samples.size / sample_rate,
        truncated=facts.truncated and last >= len(waveform),
        lost=tuple(span for span in facts.lost if is_within(*span)),
        channels_cancel=tuple(one for one in facts.channels_cancel if is_within(one.start_s, one.end_s)),
        quiet_channels=facts.quiet_channels,
        n_unread=facts.n_unread if last >= len(waveform) else 0,
        missing_s=max(0, last - len(waveform)) / sample_rate,
        peak=float(np.abs(samples).max()),
        rms=float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))),
        digest=hashlib.blake2b(samples.tobytes(), digest_size=16, salt=sample_rate.to_bytes(8, "little")).digest(),
    )


def _find(corpus: Corpus, measurements: list[_Measurement], long_s: float) -> Iterator[Finding]:
    usable = [m for m in measurements if not m.problem]

    def finding(kind: str, found: Iterable[_Measurement], text: str) -> Iterator[Finding]:
        if ids := tuple(m.id for m in found):
            yield Finding(kind, ids, text)

    for kind, wording in (
        ("missing", "no such file"),
        ("undecodable", "cannot be decoded"),
        ("non-finite", "contain NaN or infinite samples"),
    ):
        bad = [m for m in measurements if m.problem == kind]
        if bad:
            yield from finding(kind, bad, f"{wording}; the first: {bad[0].reason}")
    if corpus.name == "ravdess":
        present = {utterance.id for utterance in corpus}
        if missing := tuple(id_ for id_ in ravdess.clip_ids() if id_ not in present):
            text = f"missing, of {len(ravdess.clip_ids()):,} published clips (60 per actor; none is strong neutral)"
            yield Finding("missing", missing, text)
    yield from finding("truncated", (m for m in usable if m.truncated), "the file breaks off: its end is missing")
    if damaged := [m for m in usable if m.lost]:
        total_s = sum(end_s - start_s for m in damaged for start_s, end_s in m.lost)
        first = f"{damaged[0].id} at {damaged[0].lost[0][0]:.2f} s"
        yield from finding("damaged", damaged, f"{total_s:.2f} s cannot be decoded and are silent; the first: {first}")
    if unread := [m for m in usable if m.n_unread]:
        n_bytes = sum(m.n_unread for m in unread)
        where = "behind the end that the files declare, or in another format"
        text = f"{n_bytes:,} bytes are not read, {where}: are several recordings joined?"
        yield from finding("unread", unread, text)
    copies: dict[bytes, list[_Measurement]] = defaultdict(list)
    for measurement in usable:
        copies[measurement.digest].append(measurement)
    for group in copies.values():
        if len(group) > 1:
            yield from finding(
                "duplicate",
                group,
                "identical samples: keep them in the same part of a split, or they leak from training to test",
            )
    yield from finding(
        "stereo", (m for m in usable if m.n_channels > 1), "several channels; those that are not left out are averaged"
    )
    if cancelling := [m for m in usable if m.channels_cancel]:
        start_s, end_s, channel = cancelling[0].channels_cancel[0]
        first = f"channel {channel + 1} of {cancelling[0].id}, from {start_s:.1f} to {end_s:.1f} s"
        text = f"a voice in opposite phase, or late: the loudest channel is used; the first left out: {first}"
        yield from finding("channels-cancel", cancelling, text)
    if quiet := [m for m in usable if m.quiet_channels]:
        first = f"channel {quiet[0].quiet_channels[0] + 1} of {quiet[0].id}"
        text = f"channels that are silent, or have steady noise only, are left out; the first: {first}"
        yield from finding("quiet-channel", quiet, text)
    yield from finding(
        "full-scale",
        (m for m in usable if m.peak >= _FULL_SCALE),
        "the peak reaches full scale (0.999 or more); the recording may be clipped",
    )
    yield from finding(
        "quiet",
        (m for m in usable if m.rms < _QUIET_RMS),
        f"an RMS below {_QUIET_RMS:g} of full scale ({20 * np.log10(_QUIET_RMS):.0f} dBFS): "
        "whispered, or recorded at a low level, so noise and rounding are stronger relative to the voice",
    )
    yield from finding(
        "short", (m for m in usable if m.duration_s < _SHORT_S), f"shorter than {_SHORT_S:g} s: about one syllable"
    )
    yield from finding(
        "long",
        (m for m in usable if m.duration_s > long_s),
        f"longer than {long_s:g} s: `predict` and `evaluate` judge it window by window, `train` and `adapt` take it "
        "as one utterance: for these, cut it",
    )
    yield from finding(
        "cut-off", (m for m in usable if m.missing_s > 0.0), "the recording ends before end_s; the rest of it is used"
    )
    rates = Counter(m.sample_rate for m in usable)
    if len(rates) > 1:
        usual = rates.most_common(1)[0][0]
        others = ", ".join(f"{rate} Hz" for rate in sorted(rates) if rate != usual)
        yield from finding("sample-rate", (m for m in usable if m.sample_rate != usual), f"{others}, not {usual} Hz")
