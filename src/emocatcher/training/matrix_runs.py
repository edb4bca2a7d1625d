"""Train the runs that a matrix of some corpora needs, as far as they are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from emocatcher import corpora
from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, ratings_digest
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import across_corpora
from emocatcher.evaluation.scoring.run_result import Plan
from emocatcher.foundation.errors import CorpusError, RunError
from emocatcher.foundation.settings import Settings
from emocatcher.models import encoder_weights
from emocatcher.training import experiment

_MOST_FOLDS = 5  # of a run within one corpus


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the matrix."""

    folder: Path
    corpus: Corpus
    corpus_argument: str
    protocol: str


def plan(argument: str, out: Path, *, load: Callable[[str], Corpus] = corpora.load) -> list[PlannedRun]:
    """Plan the runs of a matrix.

    Args:
        argument: two or more corpora, separated by commas.
        out: the folder of the run folders.
        load: reads a corpus.

    Returns:
        one run within each corpus of two known speakers or more, for the diagonal; one of `cross-corpus`; and, for
        three or more corpora, one of `leave-one-corpus-out`. Corpora that share speakers count as one.

    Raises:
        CorpusError: if fewer than two corpora are named, or one cannot be used.
    """
    arguments = corpora.parts(argument)
    if len(arguments) < 2:
        raise CorpusError(f"A matrix needs two or more corpora, but '{argument}' is one. Name several with commas")
    whole = load(argument)
    by_name = dict(zip(dict.fromkeys(str(utterance.corpus) for utterance in whole), arguments, strict=True))
    units = across_corpora.units(whole)
    planned = [PlannedRun(folder=out / "cross-corpus", corpus=whole, corpus_argument=argument, protocol="cross-corpus")]
    if len(units) > 2:
        name = "leave-one-corpus-out"
        planned.append(PlannedRun(folder=out / name, corpus=whole, corpus_argument=argument, protocol=name))
    for unit in units:
        own_argument = ",".join(by_name[name] for name in unit)
        own = load(own_argument)
        if len(own.speakers) > 1 and all(utterance.speaker for utterance in own):
            protocol = f"speakers-{min(_MOST_FOLDS, len(own.speakers))}"
            folder = out / f"within-{'+'.join(unit)}"
            planned.append(PlannedRun(folder=folder, corpus=own, corpus_argument=own_argument, protocol=protocol))
    return planned


def train(planned: PlannedRun, settings: Settings, *, seed: int = 0, **options: Any) -> bool:
    """Train a planned run, resume it, or leave it if it is finished; return whether it was trained.

    Args:
        planned: from `plan`.
        settings: the recipe.
        seed: the seed of the run.
        options: further arguments of `experiment.run`.

    Raises:
        RunError: if the folder has a finished run of another recipe, corpus, protocol or seed.
    """
    settings = encoder_weights.resolve(settings)
    if (planned.folder / "result.json").is_file():
        _refuse_another(planned, settings, seed)
        return False
    protocol = protocols.load(planned.protocol, planned.corpus, seed)
    experiment.run(
        planned.corpus, protocol, settings, planned.folder,
        seed=seed, corpus_argument=planned.corpus_argument, resume=planned.folder.exists(), **options,
    )  # fmt: skip
    return True


def _refuse_another(planned: PlannedRun, settings: Settings, seed: int) -> None:
    corpus = planned.corpus
    wanted = Plan(
        corpus=corpus.name, protocol=planned.protocol, seed=seed, n_utterances=len(corpus),
        votes_sha256=votes.digest(corpus),
        ratings_sha256=ratings_digest(corpus),
    )  # fmt: skip
    try:
        found = msgspec.json.decode((planned.folder / "run.json").read_bytes(), type=Plan)
        found = msgspec.structs.replace(found, device=wanted.device)  # any will do
        same = found == wanted and (planned.folder / "config.toml").read_text(encoding="utf-8") == settings.to_toml()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{planned.folder} is not a whole run: {error}. Name another folder with --out") from None
    if not same:
        raise RunError(
            f"{planned.folder} holds another run: its settings, corpus, votes, protocol or seed differ. "
            "Give the same ones, or name another folder with --out"
        )
