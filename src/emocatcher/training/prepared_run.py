"""One run before it is trained: its folds, its checks, and the tasks of its folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, ratings_digest
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring.run_result import Plan
from emocatcher.foundation.errors import ProtocolError, RunError
from emocatcher.foundation.settings import Settings, reading
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Training
from emocatcher.training import run_writer
from emocatcher.training.dataset import Part, scaled_ratings, target_shares
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.fold import FoldTask


class SeedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is asked for: a seed, the folds that it gives, and the run folder to write."""

    seed: int
    protocol: Protocol
    out: Path


class PreparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that passed its checks; nothing is written yet."""

    plan: Plan
    protocol: Protocol
    out: Path
    folds: tuple[protocols.Fold, ...]  # with validation parts, where the recipe needs them
    split: str  # the text of `split.csv`
    teachers: tuple[tuple[Path, ...], ...]  # model folders, for each fold


def prepare(
    corpus: Corpus, wanted: SeedRun, settings: Settings, *, teachers: Sequence[Path], device: str, resume: bool
) -> PreparedRun:
    """Cut the folds of a run, and check all that can be checked before work.

    Raises:
        ModelError: if no model may have such a label.
        ProtocolError: if a fold has one utterance to train on.
        SettingError: if there is only one label.
        RunError: if the folder contains a run and `resume` is not set, or another run; or if a teacher is not a
            finished run of the same split.
    """
    plan = Plan(
        corpus=corpus.name,
        protocol=wanted.protocol.name,
        seed=wanted.seed,
        n_utterances=len(corpus),
        teachers=tuple(str(run) for run in teachers),
        device=device,
        votes_sha256=votes.digest(corpus),
        ratings_sha256=ratings_digest(corpus),
    )
    folds = [_with_validation(one, corpus, wanted.protocol, settings, wanted.seed) for one in wanted.protocol.folds]
    reading.check_classes(settings, len(corpus.labels))
    model_folder.check_names(wanted.protocol.name, corpus.labels)
    for number, one in enumerate(folds):
        if len(one.train) < 2:
            raise ProtocolError(f"Fold {number} has 1 utterance to train on. At least 2 are needed: add recordings")
    split = run_writer.split_table(corpus, folds)
    run_writer.check(wanted.out, plan, settings, split, resume=resume)
    return PreparedRun(
        plan=plan,
        protocol=wanted.protocol,
        out=wanted.out,
        folds=tuple(folds),
        split=split,
        teachers=tuple(_teacher_folders(teachers, split, len(folds))),
    )


def tasks(
    run: PreparedRun,
    corpus: Corpus,
    settings: Settings,
    features: FeatureTable,
    encoded: EncodedClips | None,
    *,
    resume: bool,
) -> list[FoldTask]:
    """Return the task of each fold."""
    training = _training(corpus, run.protocol, run.plan.seed)
    return [
        FoldTask(
            fold=number,
            seed=run.plan.seed,
            folder=run.out / f"fold_{number}",
            settings=settings,
            labels=corpus.labels,
            dimensions=corpus.dimensions,
            features=features,
            parts=parts_of(one, corpus),
            training=training,
            resume=resume,
            encoded=encoded,
            teachers=run.teachers[number],
            device=run.plan.device,
        )
        for number, one in enumerate(run.folds)
    ]


def _teacher_folders(runs: Sequence[Path], split: str, n_folds: int) -> list[tuple[Path, ...]]:
    """Return the teachers' model folders for each fold; empty tuples if there are no teachers."""
    for run in runs:
        path = run / "split.csv"
        if not (run / "result.json").is_file() or not path.is_file():
            raise RunError(f"{run} is not a finished run. Give run folders that `emocatcher train` has finished")
        if path.read_bytes() != split.encode():
            raise RunError(
                f"{run} has another split: its networks may have been trained on what the student is tested on. "
                "Give runs of the same corpus and protocol"
            )
    return [tuple(run / f"fold_{number}" / "last" for run in runs) for number in range(n_folds)]


def _with_validation(
    one: protocols.Fold, corpus: Corpus, protocol: Protocol, settings: Settings, seed: int
) -> protocols.Fold:
    if settings.training.selection != "best-valid":
        return one
    return protocols.carve_validation(
        one,
        corpus,
        separates_speakers=protocol.separates_speakers,
        fraction=settings.training.valid_fraction,
        seed=seed,
    )


def parts_of(one: protocols.Fold, corpus: Corpus) -> dict[str, Part]:
    """Return the parts of a fold that are not empty ("train", "valid", "test"), with their labels."""
    position = {label: i for i, label in enumerate(corpus.labels)}
    number = {name: i for i, name in enumerate(dict.fromkeys(utterance.corpus for utterance in corpus))}
    scored = None if one.between is None else np.array(sorted(map(position.__getitem__, one.between.classes)), np.int64)
    return {
        name: Part(
            ids,
            np.array([position[one.emotion(utterance)] for utterance in utterances], np.int64),
            np.array([number[utterance.corpus] for utterance in utterances], np.int64) if len(number) > 1 else None,
            scored if name == "test" else None,
            target_shares(utterances, corpus.labels, one.counted_as) if name == "train" else None,
            scaled_ratings(utterances, corpus.dimensions),
        )
        for name in ("train", "valid", "test")
        if (ids := getattr(one, name)) and (utterances := corpus.select(ids))
    }


def _training(corpus: Corpus, protocol: Protocol, seed: int) -> Training:
    return Training(
        corpus=corpus.name,
        licence=corpus.licence,
        protocol=protocol.name,
        fold=None,
        speakers_shared=any(protocols.speakers_shared(one, corpus) for one in protocol.folds),
        selection="last",
        epoch=0,
        seed=seed,
        synthetic=corpus.synthetic,
        note=votes.described(corpus.utterances),
    )
