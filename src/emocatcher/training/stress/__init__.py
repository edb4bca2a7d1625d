"""Stress test: recognise the test part as it is and degraded in each way, and count the points that are lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio import degradation
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring import robustness
from emocatcher.evaluation.scoring.robustness import Stress
from emocatcher.evaluation.scoring.run_result import Result
from emocatcher.features import extraction
from emocatcher.foundation.errors import AudioError, CorpusError, ProtocolError, RunError
from emocatcher.foundation.labels import spelling
from emocatcher.foundation.settings import Settings
from emocatcher.models.finding import find_folder
from emocatcher.recognition import parallel
from emocatcher.recognition.recognizer import Recognizer, load
from emocatcher.training import fold_evaluation, long_recordings
from emocatcher.training.stress import conditions
from emocatcher.training.stress.conditions import CONDITIONS, Recording

_N_VOICES = 64  # of a fold, from which each café's are drawn


class Tested(NamedTuple):
    """What is tested: models by fold."""

    name: str
    recognizers: dict[int, Recognizer]
    protocol: Protocol
    seed: int  # of the protocol


class _Item(NamedTuple):
    fold: int
    utterance: Utterance
    emotion: str  # in the spelling of the model's labels
    voices: tuple[Utterance, ...]  # of others, in the order in which a café takes those that are not silent


def open_models(model: str, corpus: Corpus, protocol: str, fold: int | None) -> Tested:
    """Open a model, or the models of a run, each for the fold whose training part it was trained on.

    Args:
        model: a model folder, the name of a model, or a run folder of this protocol.
        corpus: the utterances.
        protocol: the name of the protocol.
        fold: the fold to test; None for all, or for that of a model which was trained on one fold of this protocol.

    Raises:
        ModelError: if there is no such model, or it cannot be opened.
        RunError: if a run folder is not finished, or has another protocol or corpus.
        ProtocolError: if the protocol is unknown, or has no such fold.
    """
    result_path = Path(model) / "result.json"
    if not result_path.is_file():
        recognizer = load(find_folder(model))
        training = recognizer.config.training
        chosen = protocols.load(protocol, corpus, training.seed or 0)
        if fold is None and training.corpus == corpus.name and training.protocol == protocol:
            fold = training.fold
        numbers = _numbers(chosen, range(len(chosen.folds)), fold)
        return Tested(recognizer.config.name, dict.fromkeys(numbers, recognizer), chosen, training.seed or 0)
    try:
        result = msgspec.json.decode(result_path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(
            f"'{result_path}' cannot be read: {error}. Give a folder written by `emocatcher train`"
        ) from None
    if (result.corpus, result.protocol) != (corpus.name, protocol):
        raise RunError(
            f"'{model}' is a run of {result.protocol} on '{result.corpus}', not of {protocol} on '{corpus.name}'. "
            "Its models are tested on their own test parts: give the run's corpus and protocol"
        )
    chosen = protocols.load(protocol, corpus, result.seed)
    kind = "last" if result.selection == "last" else "best"
    numbers = _numbers(chosen, [one.fold for one in result.folds], fold)
    found = {number: load(Path(model) / f"fold_{number}" / kind) for number in numbers}
    return Tested(Path(model).resolve().name, found, chosen, result.seed)


def run(
    tested: Tested,
    corpus: Corpus,
    *,
    seed: int = 0,
    n_workers: int = 1,
    on_progress: Callable[[int, int], object] | None = None,
) -> Stress:
    """Recognise the test parts as they are and degraded in each way.

    Args:
        tested: from `open_models`.
        corpus: the utterances; their emotions must be among the models' labels.
        seed: of the noise, the rooms and the cuts. The result does not depend on the number of workers.
        n_workers: number of worker processes; 1 runs in this process.
        on_progress: called with (done, total) utterances.

    Raises:
        ModelError: if an emotion of the corpus is not among a model's labels.
        CorpusError: if there are no voices of others for a café, or all are silent.
        AudioError: if a recording cannot be decoded.
        RunError: if a worker process ended early.
    """
    items = _items(tested, corpus, seed)
    recognise = partial(_recognise, tested.recognizers, seed)
    total, rows = len(items), []
    for item, logits in zip(
        items, parallel.ordered_map(recognise, items, n_workers=n_workers, on_death=_ended), strict=True
    ):
        rows.append(_answers(item, logits, tested))
        if on_progress:
            on_progress(len(rows), total)
    answers = np.stack(rows)
    labels = next(iter(tested.recognizers.values())).config.labels
    true = np.array([labels.index(one.emotion) for one in items])
    scores = robustness.compare(
        true,
        answers[:, 0],
        {name: answers[:, 1 + place] for place, name in enumerate(CONDITIONS)},
        [item.utterance.speaker for item in items],
        len(labels),
    )
    return Stress(
        model=tested.name,
        corpus=corpus.name,
        protocol=tested.protocol.name,
        folds=tuple(tested.recognizers),
        seed=seed,
        scores=scores,
        titles={name: condition.title for name, condition in CONDITIONS.items()},
        synthetic=corpus.synthetic,
        warnings=_warnings(tested, corpus, items),
    )


def _recognise(recognizers: dict[int, Recognizer], seed: int, item: _Item) -> NDArray[np.float32]:
    """Recognise an utterance as it is, then degraded in each way; return shape (1 + n_degradations, n_classes)."""
    recognizer = recognizers[item.fold]
    settings = recognizer.config.settings
    waveform, rate = _read(item.utterance)

    def features(waveform: audio.Waveform) -> extraction.Features:
        recording = audio.read((waveform, rate), settings.front_end.sample_rate)
        return extraction.extract(recording.waveform, settings.front_end, settings.vad)

    clean = features(waveform)
    voiced = slice(int(clean.voiced_start_s * rate), max(int(clean.voiced_end_s * rate), 1))
    audible = (voice for one in item.voices if (voice := _voice(one, rate, settings)).any())
    voices = list(islice(audible, degradation.N_VOICES))
    if not voices:
        raise CorpusError(
            f"All {len(item.voices)} recordings that were drawn from the training part of fold {item.fold} for the "
            "noise of a café are silent. Test on a corpus with audible recordings"
        )
    clip = Recording(waveform, rate, voiced, voices)
    degraded = [conditions.degrade(name, clip, item.utterance.id, seed) for name in CONDITIONS]
    return recognizer.run([clean.channels, *(features(waveform).channels for waveform in degraded)])[0]


def _read(utterance: Utterance, rate: int | None = None) -> tuple[audio.Waveform, int]:
    try:
        return audio.load(str(utterance.path), rate, start_s=utterance.start_s, end_s=utterance.end_s)
    except AudioError as error:
        raise type(error)(utterance.path, error.reason) from error


@lru_cache(maxsize=2 * _N_VOICES)
def _voice(utterance: Utterance, rate: int, settings: Settings) -> audio.Waveform:
    """Return the voiced span of an utterance at another rate."""
    waveform, _ = _read(utterance, rate)
    front_end = settings.front_end
    recording = audio.read((waveform, rate), front_end.sample_rate)
    found = extraction.extract(recording.waveform, front_end, settings.vad)
    return waveform[int(found.voiced_start_s * rate) : max(int(found.voiced_end_s * rate), 1)]


def _ended(item: _Item) -> NDArray[np.float32]:
    raise RunError(f"A worker process ended early at {item.utterance.path}. Try with one worker: --workers 1")


def _answers(item: _Item, logits: NDArray[np.float32], tested: Tested) -> NDArray[np.int64]:
    between, labels = tested.protocol.folds[item.fold].between, tested.recognizers[item.fold].config.labels
    if between is not None:
        classes = [spelling(label, labels) for label in between.classes]
        logits = np.where([label in classes for label in labels], logits, -np.inf)
    return np.asarray(logits.argmax(axis=1), np.int64)


def _warnings(tested: Tested, corpus: Corpus, items: Sequence[_Item]) -> tuple[str, ...]:
    tested_on = {item.utterance.id: item.utterance for item in items}
    found = long_recordings.note(list(tested_on.values()), "is recognised as one utterance here")
    notes = () if found is None else (found,)
    known = [
        fold_evaluation.trained_on(recognizer.config.training, corpus, tested.protocol, tested.seed)
        for recognizer in tested.recognizers.values()
    ]
    if any(ids is None for ids in known):
        return *notes, "it is unknown which recordings of this corpus the model was trained on: perhaps on these"
    by_fold = dict(zip(tested.recognizers, known, strict=True))
    n_trained = sum(item.utterance.id in (by_fold[item.fold] or ()) for item in items)
    return (*notes, f"the model was trained on {n_trained} of these {len(items)} recordings") if n_trained else notes


def _numbers(protocol: Protocol, known: Sequence[int], fold: int | None) -> list[int]:
    if fold is not None and fold not in known:
        raise ProtocolError(
            f"Protocol '{protocol.name}' has no fold {fold} here. Allowed: {', '.join(map(str, known))}"
        )
    return list(known) if fold is None else [fold]


def _items(tested: Tested, corpus: Corpus, seed: int) -> list[_Item]:
    """List the test utterances, each with voices of others from the training part of its fold."""
    items = []
    for number, recognizer in tested.recognizers.items():
        fold = tested.protocol.folds[number]
        utterances = corpus.select(fold.test)
        named = [fold.emotion(utterance) for utterance in utterances]
        emotions = fold_evaluation.in_words_of(recognizer, corpus, named)
        random = np.random.default_rng([seed, number])
        trained = corpus.select(fold.train)
        pool = [trained[place] for place in random.permutation(len(trained))[:_N_VOICES].tolist()]
        for utterance, emotion in zip(utterances, emotions, strict=True):
            others = [voice for voice in pool if voice.speaker is None or voice.speaker != utterance.speaker]
            if not others:
                raise CorpusError(
                    f"'{corpus.name}' has no voices of others than speaker '{utterance.speaker}' in the training part "
                    f"of fold {number}, for the noise of a café. Test on a corpus of several speakers"
                )
            drawn = conditions.generator(utterance.id, "voices", seed).permutation(len(others))
            items.append(_Item(number, utterance, emotion, tuple(others[place] for place in drawn.tolist())))
    return items
