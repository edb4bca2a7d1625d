"""Who stands on both sides of a protocol's folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from emocatcher.audit.findings import Leak, Note, Pair, fold_words
from emocatcher.audit.fingerprint import HOP_S
from emocatcher.audit.listening import Heard
from emocatcher.audit.matching import match
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.protocols import Protocol, speakers_shared

_LEAST_OVERLAP_S = 0.001  # what rounding makes of stretches that only touch
_SAME_STRETCH = 0.5  # of the shorter of two stretches: from here on they ought to bear one label


class Link(NamedTuple):
    """Two groups of utterances that are one recording; in a group all are equal, sample for sample."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    pair: Pair  # of their first members
    whole: bool  # so much is common that both ought to bear one label


class _Overlap(NamedTuple):
    """Two stretches of one file that have some of it in common."""

    first: str
    second: str
    seconds: float  # in common
    share: float  # of the shorter


def speakers(protocol: Protocol, corpus: Corpus) -> Iterator[Leak]:
    """Find the speakers of a test part who are heard in training or validation too."""
    folds = [number for number, fold in enumerate(protocol.folds) if speakers_shared(fold, corpus)]
    if not folds:
        return
    both: set[str] = set()
    unknown = False
    for number in folds:
        fold = protocol.folds[number]
        heard, tested = (
            {utterance.speaker for utterance in corpus.select(ids)} for ids in (fold.train + fold.valid, fold.test)
        )
        both |= {speaker for speaker in heard & tested if speaker is not None}
        unknown = unknown or None in heard | tested
    n = len(both)
    stand = f"{n} {'speaker stands' if n == 1 else 'speakers stand'} on both sides{_where(folds, protocol)}"
    if n <= 10:
        stand += f": {', '.join(sorted(both))}"
    perhaps = "speakers who are not named may stand on both sides"
    text = stand if not unknown else perhaps if not both else f"{stand}; and {perhaps}"
    yield Leak(kind="same-speaker", text=text, folds=tuple(folds), speakers=tuple(sorted(both)))


def link(utterances: Sequence[Utterance], heard: Mapping[str, Heard]) -> list[Link]:
    """Find which utterances are one recording.

    Args:
        utterances: of one corpus.
        heard: what the audit heard of each.

    Returns:
        by equal content, then by overlapping stretches of one file, then by fingerprint.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    equal: dict[str, list[str]] = defaultdict(list)
    for utterance in utterances:
        equal[heard[utterance.id].samples].append(utterance.id)
    groups = [tuple(group) for group in equal.values()]
    group_of = {id_: group for group in groups for id_ in group}
    links = [
        Link(group, group, _pair(by_id, group[0], group[1], "content"), whole=True)
        for group in groups
        if len(group) > 1
    ]
    linked = set()
    for first, second, overlap_s, share in _overlaps([group[0] for group in groups], by_id, heard):
        linked.add(frozenset((group_of[first], group_of[second])))
        pair = _pair(by_id, first, second, "overlap", overlap_s=round(overlap_s, 3))
        links.append(Link(group_of[first], group_of[second], pair, whole=share >= _SAME_STRETCH))
    for first_at, second_at, likeness in match([heard[group[0]].fingerprint for group in groups]):
        ends = frozenset((groups[first_at], groups[second_at]))
        if ends not in linked:
            pair = _pair(
                by_id, groups[first_at][0], groups[second_at][0], "fingerprint",
                bit_error_rate=round(likeness.bit_error_rate, 4), shift_s=round(likeness.shift * HOP_S, 3),
            )  # fmt: skip
            links.append(Link(groups[first_at], groups[second_at], pair, whole=True))
    return links


def recordings(protocol: Protocol, corpus: Corpus, links: Sequence[Link]) -> tuple[list[Leak], list[Note]]:
    """Find the recordings that stand on both sides of a fold, and those that bear two labels.

    Returns:
        leaks: of the kinds same-audio and two-labels.
        notes: of recordings that are there twice on one side.
    """
    emotions = {utterance.id: utterance.emotion for utterance in corpus}
    in_folds: dict[tuple[str, str], list[int]] = defaultdict(list)
    pairs: dict[tuple[str, str], Pair] = {}
    silent: list[Pair] = []
    sides = [(set(fold.train + fold.valid), set(fold.test)) for fold in protocol.folds]
    for one in links:
        crossed = False
        for number, (heard, tested) in enumerate(sides):
            for ids in _across(one, heard, tested):
                crossed = True
                in_folds[ids].append(number)
                pairs.setdefault(ids, _renamed(one.pair, ids, emotions))
        if not crossed:
            silent.append(one.pair)
    leaks, notes = [], []
    if pairs:
        found = [msgspec.structs.replace(pair, folds=tuple(in_folds[ids])) for ids, pair in pairs.items()]
        folds = sorted({number for numbers in in_folds.values() for number in numbers})
        text = f"{_n_pairs(found)} the same recording on both sides{_where(folds, protocol)}"
        leaks.append(Leak(kind="same-audio", text=text, folds=tuple(folds), pairs=tuple(found)))
    contradictory = [
        _renamed(one.pair, ids, emotions) for one in links if one.whole for ids in _contradictions(one, emotions)
    ]
    if contradictory:
        text = f"{_n_pairs(contradictory)} the same recording under two labels, so that one label is wrong"
        leaks.append(Leak(kind="two-labels", text=text, pairs=tuple(contradictory)))
    if silent:
        text = f"{_n_pairs(silent)} the same recording on one side of every fold, where it counts twice"
        notes.append(Note(text=text, pairs=tuple(silent)))
    return leaks, notes


def _across(one: Link, heard: set[str], tested: set[str]) -> Iterator[tuple[str, str]]:
    """A pair of ids, sorted, for each utterance of the test part that is heard elsewhere in another."""
    seen = set()
    for here, there in ((one.first, one.second), (one.second, one.first)):
        partner = next((id_ for id_ in here if id_ in heard), None)
        if partner is None:
            continue
        for id_ in there:
            if id_ in tested and id_ not in seen:
                seen.add(id_)
                yield (partner, id_) if partner < id_ else (id_, partner)


def _contradictions(one: Link, emotions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """For each label beyond the first the first utterance that bears it, beside the first of all."""
    first, *others = dict.fromkeys(one.first + one.second)
    seen = {emotions[first]}
    for other in others:
        if emotions[other] not in seen:
            seen.add(emotions[other])
            yield first, other


def _overlaps(ids: Sequence[str], by_id: Mapping[str, Utterance], heard: Mapping[str, Heard]) -> Iterator[_Overlap]:
    of_file: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for id_ in ids:
        start_s = by_id[id_].start_s or 0.0
        of_file[heard[id_].file].append((start_s, start_s + heard[id_].seconds, id_))
    for stretches in map(sorted, of_file.values()):
        for i, (start, end, first) in enumerate(stretches):
            for later_start, later_end, second in stretches[i + 1 :]:
                common = min(end, later_end) - later_start
                if common < _LEAST_OVERLAP_S:
                    if later_start >= end:
                        break
                    continue
                yield _Overlap(first, second, common, common / min(end - start, later_end - later_start))


def _pair(by_id: Mapping[str, Utterance], first: str, second: str, how: str, **details: float) -> Pair:
    labels = (by_id[first].emotion, by_id[second].emotion)
    return msgspec.convert({"utterances": (first, second), "labels": labels, "how": how, **details}, Pair)


def _renamed(pair: Pair, ids: tuple[str, str], emotions: Mapping[str, str]) -> Pair:
    if pair.shift_s is not None and ids != pair.utterances and ids[0] != pair.utterances[0]:
        pair = msgspec.structs.replace(pair, shift_s=-pair.shift_s)
    return msgspec.structs.replace(pair, utterances=ids, labels=(emotions[ids[0]], emotions[ids[1]]))


def _where(folds: Sequence[int], protocol: Protocol) -> str:
    where = fold_words(folds, len(protocol.folds), "of")
    return f"{where} (counted from 0)" if len(folds) < len(protocol.folds) else where


def _n_pairs(pairs: Sequence[Pair]) -> str:
    return "1 pair is" if len(pairs) == 1 else f"{len(pairs)} pairs are"
