"""Find speakers and recordings that are on both sides of a protocol's folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.audit.findings import Leak, Note, Pair, fold_words
from emocatcher.evaluation.audit.fingerprint import HOP_S
from emocatcher.evaluation.audit.matching import match
from emocatcher.evaluation.audit.recordings import RecordingScan
from emocatcher.evaluation.protocols import Protocol, speakers_shared

_MIN_OVERLAP_S = 0.001  # a smaller overlap comes from rounding: the segments only touch
_SAME_LABEL_SHARE = 0.5  # segments that share at least this much of the shorter one should have the same label


class Link(NamedTuple):
    """Two groups of utterances of the same recording; within a group all samples are equal."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    pair: Pair  # of their first members
    whole: bool  # the groups share so much that they should have the same label


class _Overlap(NamedTuple):
    """Two overlapping segments of one file."""

    first: str
    second: str
    seconds: float  # of the overlap
    share: float  # the overlap as a share of the shorter segment


def speakers(protocol: Protocol, corpus: Corpus) -> Iterator[Leak]:
    """Find the speakers of a test part who are also in training or validation."""
    folds = [number for number, fold in enumerate(protocol.folds) if speakers_shared(fold, corpus)]
    if not folds:
        return
    both: set[str] = set()
    unknown = False
    for number in folds:
        fold = protocol.folds[number]
        trained, tested = (
            {utterance.speaker for utterance in corpus.select(ids)} for ids in (fold.train + fold.valid, fold.test)
        )
        both |= {speaker for speaker in trained & tested if speaker is not None}
        unknown = unknown or None in trained | tested
    n = len(both)
    certain = f"{n} {'speaker is' if n == 1 else 'speakers are'} on both sides{_where(folds, protocol)}"
    if n <= 10:
        certain += f": {', '.join(sorted(both))}"
    possible = "speakers who are not named may be on both sides"
    text = certain if not unknown else possible if not both else f"{certain}; and {possible}"
    yield Leak(kind="same-speaker", text=text, folds=tuple(folds), speakers=tuple(sorted(both)))


def link(utterances: Sequence[Utterance], scans: Mapping[str, RecordingScan]) -> list[Link]:
    """Find utterances of the same recording.

    Args:
        utterances: of one corpus.
        scans: id → the utterance's hashes and fingerprint.

    Returns:
        links by equal samples, then by overlapping segments of one file, then by fingerprint.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    equal: dict[str, list[str]] = defaultdict(list)
    for utterance in utterances:
        equal[scans[utterance.id].samples].append(utterance.id)
    groups = [tuple(group) for group in equal.values()]
    group_of = {id_: group for group in groups for id_ in group}
    links = [
        Link(group, group, _pair(by_id, group[0], group[1], "content"), whole=True)
        for group in groups
        if len(group) > 1
    ]
    linked = set()
    for first, second, overlap_s, share in _overlaps([group[0] for group in groups], by_id, scans):
        linked.add(frozenset((group_of[first], group_of[second])))
        pair = _pair(by_id, first, second, "overlap", overlap_s=round(overlap_s, 3))
        links.append(Link(group_of[first], group_of[second], pair, whole=share >= _SAME_LABEL_SHARE))
    for first_at, second_at, similarity in match([scans[group[0]].fingerprint for group in groups]):
        ends = frozenset((groups[first_at], groups[second_at]))
        if ends not in linked:
            pair = _pair(
                by_id, groups[first_at][0], groups[second_at][0], "fingerprint",
                bit_error_rate=round(similarity.bit_error_rate, 4), shift_s=round(similarity.shift * HOP_S, 3),
            )  # fmt: skip
            links.append(Link(groups[first_at], groups[second_at], pair, whole=True))
    return links


def recordings(protocol: Protocol, corpus: Corpus, links: Sequence[Link]) -> tuple[list[Leak], list[Note]]:
    """Find recordings that are on both sides of a fold, and recordings with two labels.

    Returns:
        leaks: of the kinds same-audio and two-labels.
        notes: about recordings that occur twice on one side.
    """
    emotions = {utterance.id: utterance.emotion for utterance in corpus}
    in_folds: dict[tuple[str, str], list[int]] = defaultdict(list)
    pairs: dict[tuple[str, str], Pair] = {}
    one_sided: list[Pair] = []
    sides = [(set(fold.train + fold.valid), set(fold.test)) for fold in protocol.folds]
    for one in links:
        crossed = False
        for number, (trained, tested) in enumerate(sides):
            for ids in _crossing_pairs(one, trained, tested):
                crossed = True
                in_folds[ids].append(number)
                pairs.setdefault(ids, _with_utterances(one.pair, ids, emotions))
        if not crossed:
            one_sided.append(one.pair)
    leaks, notes = [], []
    if pairs:
        found = [msgspec.structs.replace(pair, folds=tuple(in_folds[ids])) for ids, pair in pairs.items()]
        folds = sorted({number for numbers in in_folds.values() for number in numbers})
        text = f"{_n_pairs(found)} the same recording on both sides{_where(folds, protocol)}"
        leaks.append(Leak(kind="same-audio", text=text, folds=tuple(folds), pairs=tuple(found)))
    contradictory = [
        _with_utterances(one.pair, ids, emotions)
        for one in links
        if one.whole
        for ids in _contradictions(one, emotions)
    ]
    if contradictory:
        text = f"{_n_pairs(contradictory)} the same recording under two labels, so one of the labels is wrong"
        leaks.append(Leak(kind="two-labels", text=text, pairs=tuple(contradictory)))
    if one_sided:
        text = f"{_n_pairs(one_sided)} the same recording on one side of every fold, where it counts twice"
        notes.append(Note(text=text, pairs=tuple(one_sided)))
    return leaks, notes


def _crossing_pairs(one: Link, trained: set[str], tested: set[str]) -> Iterator[tuple[str, str]]:
    """Yield a sorted pair of ids for each test utterance whose recording is also on the training side."""
    seen = set()
    for group, others in ((one.first, one.second), (one.second, one.first)):
        partner = next((id_ for id_ in group if id_ in trained), None)
        if partner is None:
            continue
        for id_ in others:
            if id_ in tested and id_ not in seen:
                seen.add(id_)
                yield (partner, id_) if partner < id_ else (id_, partner)


def _contradictions(one: Link, emotions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the first utterance paired with the first utterance of each other label."""
    first, *others = dict.fromkeys(one.first + one.second)
    seen = {emotions[first]}
    for other in others:
        if emotions[other] not in seen:
            seen.add(emotions[other])
            yield first, other


def _overlaps(
    ids: Sequence[str], by_id: Mapping[str, Utterance], scans: Mapping[str, RecordingScan]
) -> Iterator[_Overlap]:
    by_file: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for id_ in ids:
        start_s = by_id[id_].start_s or 0.0
        by_file[scans[id_].file].append((start_s, start_s + scans[id_].seconds, id_))
    for segments in map(sorted, by_file.values()):
        for i, (start, end, first) in enumerate(segments):
            for later_start, later_end, second in segments[i + 1 :]:
                common = min(end, later_end) - later_start
                if common < _MIN_OVERLAP_S:
                    if later_start >= end:
                        break
                    continue
                yield _Overlap(first, second, common, common / min(end - start, later_end - later_start))


def _pair(by_id: Mapping[str, Utterance], first: str, second: str, how: str, **details: float) -> Pair:
    labels = (by_id[first].emotion, by_id[second].emotion)
    return msgspec.convert({"utterances": (first, second), "labels": labels, "how": how, **details}, Pair)


def _with_utterances(pair: Pair, ids: tuple[str, str], emotions: Mapping[str, str]) -> Pair:
    if pair.shift_s is not None and ids != pair.utterances and ids[0] != pair.utterances[0]:
        pair = msgspec.structs.replace(pair, shift_s=-pair.shift_s)
    return msgspec.structs.replace(pair, utterances=ids, labels=(emotions[ids[0]], emotions[ids[1]]))


def _where(folds: Sequence[int], protocol: Protocol) -> str:
    where = fold_words(folds, len(protocol.folds), "of")
    return f"{where} (counted from 0)" if len(folds) < len(protocol.folds) else where


def _n_pairs(pairs: Sequence[Pair]) -> str:
    return "1 pair is" if len(pairs) == 1 else f"{len(pairs)} pairs are"
