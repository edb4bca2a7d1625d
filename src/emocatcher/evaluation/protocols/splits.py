"""Make folds on the fly for any corpus: by speaker, by utterance, or from the manifest's column `split`."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.protocols.protocol import SHARED_CLAIM, Fold, Protocol, speakers_shared
from emocatcher.foundation.errors import MissingExtraError, ProtocolError

_UNKNOWN_CLAIM = (
    "Speakers are unknown and may occur in both training and test, so the score does not apply to unseen speakers."
)


def speakers(corpus: Corpus, n_folds: int, seed: int) -> Protocol:
    """Make folds that share no speaker, balanced in utterances and, where possible, in emotions and genders.

    Raises:
        ProtocolError: if n_folds is below 2 or above the number of speakers, or a speaker is unknown.
    """
    name = f"speakers-{n_folds}"
    utterances = _sorted(corpus)
    unknown = sum(utterance.speaker is None for utterance in utterances)
    if unknown:
        raise ProtocolError(
            f"Protocol '{name}' needs a speaker for every utterance, but {unknown} of the {len(corpus)} utterances of "
            f"corpus '{corpus.name}' have none. Add a speaker column, or use stratified-{n_folds}, which may share "
            "speakers."
        )
    n_speakers = len(corpus.speakers)
    if not 2 <= n_folds <= n_speakers:
        raise ProtocolError(
            f"Protocol '{name}' has {n_folds} folds. Corpus '{corpus.name}' has {n_speakers} "
            + ("speaker" if n_speakers == 1 else "speakers")
            + (f": allowed are 2 to {n_speakers}." if n_speakers >= 2 else "; at least 2 are needed.")
        )
    return Protocol(
        name=name,
        title=f"{n_folds} folds that share no speaker (seed {seed})",
        corpus=None,
        separates_speakers=True,
        folds=_folds(utterances, speaker_folds(utterances, n_folds, seed), n_folds),
        command=f"{name}, made on the fly with seed {seed}",
        cannot_claim="",
    )


def stratified(corpus: Corpus, n_folds: int, seed: int) -> Protocol:
    """Make folds of utterances with the same share of every emotion, regardless of speakers.

    Raises:
        ProtocolError: if n_folds is below 2 or an emotion has fewer utterances than there are folds.
    """
    name = f"stratified-{n_folds}"
    utterances = _sorted(corpus)
    emotions = [utterance.emotion for utterance in utterances]
    if not emotions:
        raise ProtocolError(f"Corpus '{corpus.name}' has no utterance to split. Check it with: emocatcher check")
    rarest, fewest = min(Counter(emotions).items(), key=lambda item: item[1])
    if not 2 <= n_folds <= fewest:
        raise ProtocolError(
            f"Protocol '{name}' has {n_folds} folds. The rarest emotion of corpus '{corpus.name}' is "
            f"'{rarest}' with {fewest} utterance{'s' if fewest != 1 else ''}"
            + (f": allowed are 2 to {fewest}." if fewest >= 2 else "; at least 2 are needed.")
        )
    splitter = model_selection().StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    folds = _folds(utterances, _test_fold(splitter.split(emotions, emotions), len(emotions)), n_folds)
    return Protocol(
        name=name,
        title=f"{n_folds} folds of utterances, stratified by emotion (seed {seed})",
        corpus=None,
        separates_speakers=False,
        folds=folds,
        command=f"{name}, made on the fly with seed {seed}",
        cannot_claim=_cannot_claim(folds, corpus),
    )


def manifest(corpus: Corpus) -> Protocol:
    """Make the one fold that the manifest's column `split` defines.

    Raises:
        ProtocolError: if an utterance has no split, or one other than train, valid and test.
    """
    utterances = _sorted(corpus)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for utterance in utterances:
        if utterance.split is None:
            raise ProtocolError(
                f"Protocol 'manifest' needs a split for every utterance, but '{utterance.id}' of corpus "
                f"'{corpus.name}' has none. Fill the column split with train, valid or test, or use speakers-5."
            )
        if utterance.split not in parts:
            raise ProtocolError(
                f"Utterance '{utterance.id}' has the split '{utterance.split}'. Allowed: {', '.join(parts)}"
            )
        parts[utterance.split].append(utterance.id)
    fold = Fold(train=tuple(parts["train"]), valid=tuple(parts["valid"]), test=tuple(parts["test"]))
    return Protocol(
        name="manifest",
        title="the split in the manifest",
        corpus=corpus.name,
        separates_speakers=not speakers_shared(fold, corpus),
        folds=(fold,),
        command="the column split of the manifest",
        cannot_claim=_cannot_claim((fold,), corpus),
    )


def speaker_folds(utterances: Sequence[Utterance], n_folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Assign whole speakers to folds.

    Args:
        utterances: all with a speaker, from at least `n_folds` different speakers.
        n_folds: at least 2.
        seed: seed of the order in which equal speakers are assigned.

    Returns:
        shape (n_utterances,), int64: the fold of each utterance.
    """
    _, speaker = np.unique([str(utterance.speaker) for utterance in utterances], return_inverse=True)
    # StratifiedGroupKFold assigns groups of equal composition in the order of their numbers. The numbers are shuffled
    # here because its own shuffle lost the balance before scikit-learn's pull request 32540. RandomState is used
    # because its stream is frozen, so that a seed always gives the same folds.
    group = np.random.RandomState(seed).permutation(speaker.max() + 1)[speaker]
    # It needs one class with at least as many members as folds: take the finest stratification that has one.
    by_gender = [f"{utterance.emotion} {utterance.gender}" for utterance in utterances]
    by_emotion = [utterance.emotion for utterance in utterances]
    one_class = [""] * len(utterances)
    classes = next(c for c in (by_gender, by_emotion, one_class) if max(Counter(c).values()) >= n_folds)
    splitter = model_selection().StratifiedGroupKFold(n_folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return _test_fold(splitter.split(classes, classes, group), len(utterances))


def model_selection() -> ModuleType:
    """Import `sklearn.model_selection`, which is not part of the base install.

    Raises:
        MissingExtraError: if scikit-learn is not installed.
    """
    try:
        import sklearn.model_selection
    except ImportError:
        raise MissingExtraError("Making folds", "train") from None
    module: ModuleType = sklearn.model_selection
    return module


def _sorted(corpus: Corpus) -> list[Utterance]:
    # A split must not depend on the order in which a folder lists its files.
    return sorted(corpus, key=lambda utterance: utterance.id)


def _test_fold(splits: Any, n_utterances: int) -> npt.NDArray[np.int64]:
    test_fold = np.empty(n_utterances, dtype=np.int64)
    for number, (_, test) in enumerate(splits):
        test_fold[test] = number
    return test_fold


def _folds(utterances: Sequence[Utterance], test_fold: npt.NDArray[np.int64], n_folds: int) -> tuple[Fold, ...]:
    ids = np.array([utterance.id for utterance in utterances], dtype=object)
    return tuple(
        Fold(train=tuple(ids[test_fold != number]), valid=(), test=tuple(ids[test_fold == number]))
        for number in range(n_folds)
    )


def _cannot_claim(folds: Sequence[Fold], corpus: Corpus) -> str:
    if not any(speakers_shared(fold, corpus) for fold in folds):
        return ""
    return _UNKNOWN_CLAIM if any(utterance.speaker is None for utterance in corpus) else f"{SHARED_CLAIM}."
