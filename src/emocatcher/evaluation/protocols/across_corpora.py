"""Make folds that test on other corpora than they train on, with the classes that both sides have."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.protocols.protocol import Fold, Protocol, speakers_shared
from emocatcher.evaluation.scoring.run_result import Between
from emocatcher.foundation.errors import ProtocolError

_WITH_CALM = "-with-calm"
NAMES = (
    "leave-one-corpus-out",
    "cross-corpus",
    f"leave-one-corpus-out{_WITH_CALM}",
    f"cross-corpus{_WITH_CALM}",
)
_UNKNOWN_CLAIM = "Some speakers are unknown, so that two of the corpora may share speakers"

Unit = tuple[str, ...]  # corpora that share speakers, and are therefore on one side; mostly a single one


def is_joined(corpus: Corpus) -> bool:
    """Whether a corpus is joined from several."""
    return any(utterance.corpus is not None for utterance in corpus)


def units(corpus: Corpus) -> tuple[Unit, ...]:
    """Group the corpora of a joined corpus so that no two groups share a known speaker, in the order of the corpora.

    Examples:
        >>> from pathlib import Path
        >>> rows = [("speech", "1"), ("other", "2"), ("song", "1")]
        >>> clips = [Utterance(id=c, path=Path(c), emotion="sad", speaker=s, corpus=c) for c, s in rows]
        >>> units(Corpus(name="all", utterances=tuple(clips), labels=("sad",)))
        (('speech', 'song'), ('other',))
    """
    speakers: dict[str, set[str]] = {}
    for utterance in corpus:
        known = {utterance.speaker} - {None}
        speakers.setdefault(utterance.corpus or corpus.name, set()).update(map(str, known))
    groups: list[tuple[Unit, set[str]]] = []
    for name, people in speakers.items():
        shared = [group for group in groups if group[1] & people]
        names = (*itertools.chain.from_iterable(group[0] for group in shared), name)
        merged = names, people.union(*(group[1] for group in shared))
        at = groups.index(shared[0]) if shared else len(groups)
        groups = [group for group in groups if group not in shared]
        groups.insert(at, merged)
    order = list(speakers)
    return tuple(tuple(sorted(names, key=order.index)) for names, _ in groups)


def make(name: str, corpus: Corpus) -> Protocol:
    """Make a protocol between the corpora of a joined corpus.

    `leave-one-corpus-out` tests each corpus once and trains on all others; `cross-corpus` has a fold for each ordered
    pair, which trains on one corpus and tests on the other. Corpora that share speakers count as one.

    Only the classes that both sides of a fold have are scored. Calm counts as neutral, unless every corpus has both of
    them; with "-with-calm" in the name, it stays a class of its own.

    Raises:
        ProtocolError: if there are fewer than two corpora without shared speakers, or two sides share fewer than two
            classes.
    """
    groups = units(corpus)
    if len(groups) < 2:
        reason = (
            f"'{corpus.name}' is one corpus. Name several with commas, such as --corpus ravdess,crema-d"
            if not is_joined(corpus)
            else f"all corpora of '{corpus.name}' share speakers. Add a corpus of other speakers"
        )
        raise ProtocolError(f"Protocol '{name}' tests on one corpus and trains on others, but {reason}")
    merged = not name.endswith(_WITH_CALM) and _calm_counts_as_neutral(corpus, groups)
    if name.startswith("leave-one-corpus-out"):
        sides = [([one for one in groups if one is not tested], tested) for tested in groups]
        title = "each corpus tested once, by training on all others"
    else:
        sides = [([trained], tested) for trained, tested in itertools.permutations(groups, 2)]
        title = "each ordered pair of corpora: trained on the first, tested on the second"
    utterances = sorted(corpus, key=lambda utterance: utterance.id)
    folds = tuple(_fold(name, utterances, corpus.labels, trained, tested, merged=merged) for trained, tested in sides)
    shared = any(speakers_shared(fold, corpus) for fold in folds)
    return Protocol(
        name=name,
        title=title,
        corpus=None,
        separates_speakers=not shared,
        folds=folds,
        command=f"{name}, made on the fly",
        cannot_claim=f"{_UNKNOWN_CLAIM}." if shared else "",
    )


def _calm_counts_as_neutral(corpus: Corpus, groups: Sequence[Unit]) -> bool:
    emotions = {name: {u.emotion for u in corpus if u.corpus == name} for group in groups for name in group}
    of_groups = [set().union(*(emotions[name] for name in group)) for group in groups]
    both = {"calm", "neutral"}
    return both <= set().union(*of_groups) and not all(both <= found for found in of_groups)


def _fold(
    name: str,
    utterances: Sequence[Utterance],
    labels: Sequence[str],
    trained: Sequence[Unit],
    tested: Unit,
    *,
    merged: bool,
) -> Fold:
    trained_on = tuple(itertools.chain.from_iterable(trained))
    between = Between(
        trained_on=trained_on, tested_on=tested, classes=(), calm_as_neutral=merged, not_scored={}, chance=0.0
    )
    whole = Fold(train=tuple(_ids(utterances, trained_on)), valid=(), test=(), between=between)
    classes_of = {
        side: Counter(whole.emotion(utterance) for utterance in utterances if utterance.corpus in side)
        for side in (trained_on, tested)
    }
    both = classes_of[trained_on].keys() & classes_of[tested].keys()
    shared = tuple(label for label in labels if label in both)
    if len(shared) < 2:
        common = f"1 class: {shared[0]}" if shared else "no class"
        raise ProtocolError(
            f"Protocol '{name}' cannot test {_listed(tested)} on what {_listed(trained_on)} trains: they share "
            f"{common}. At least 2 are needed: leave a corpus out, or add one"
        )
    lacking = {emotion: n for emotion, n in sorted(classes_of[tested].items()) if emotion not in shared}
    scored = [utterance for utterance in utterances if whole.emotion(utterance) in shared]
    return Fold(
        train=whole.train,
        valid=(),
        test=tuple(_ids(scored, tested)),
        between=Between(
            trained_on=trained_on,
            tested_on=tested,
            classes=shared,
            calm_as_neutral=merged,
            not_scored=lacking,
            chance=1 / len(shared),
        ),
    )


def _ids(utterances: Sequence[Utterance], names: Unit) -> Iterator[str]:
    return (utterance.id for utterance in utterances if utterance.corpus in names)


def _listed(names: Sequence[str]) -> str:
    return "+".join(names)
