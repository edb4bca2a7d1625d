"""The clips for the check of an exported file: held-out recordings if possible, synthetic clips if there are none."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from emocatcher import audio, corpora
from emocatcher.corpora import cards, joined
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError, MissingExtraError, ProtocolError
from emocatcher.models.model_folder import ModelConfig

_N_SYNTHETIC = 24  # clips
_N_TRAINED = 240  # clips the model was trained on: enough for the parity of two graphs, useless for accuracy


class Clips(msgspec.Struct, frozen=True, kw_only=True):
    """Clips for the comparison."""

    what: str  # for people
    utterances: tuple[Utterance, ...] = ()  # empty: synthetic clips
    n_synthetic: int = _N_SYNTHETIC
    held_out: bool = False  # none of them was in the model's training
    note: str = ""  # why no better clips were available

    def __len__(self) -> int:
        return len(self.utterances) or self.n_synthetic

    def waveforms(self, sample_rate: int) -> Iterator[audio.Waveform]:
        """Yield each clip's waveform, shape (n_samples,), float32.

        Raises:
            AudioError: if a recording cannot be used.
        """
        for clip in self.utterances:
            yield audio.load(clip.path, sample_rate, start_s=clip.start_s, end_s=clip.end_s)[0]
        if not self.utterances:
            yield from _synthesise(sample_rate, self.n_synthetic)


def choose(config: ModelConfig, corpus_argument: str | None = None, most: int | None = None) -> Clips:
    """Choose the test part that the model was not trained on, or else clips of the corpus, or else synthetic clips.

    Args:
        config: the model's config.
        corpus_argument: as for `corpora.load`; None for the model's own corpus, if it is on this machine.
        most: largest number of clips, drawn at random; None for all clips if they were held out or are of another
            corpus, and for 240 clips if the model may have been trained on them.

    Raises:
        CorpusError: if a corpus was given by name and cannot be loaded.
    """
    training = config.training
    try:
        if corpus_argument is None and not _is_available(training.corpus):
            raise CorpusNotFoundError(f"'{training.corpus}' was not found")
        corpus = corpora.load(corpus_argument or training.corpus)
    except CorpusError as error:
        if corpus_argument is not None:
            raise
        # The user did not ask for this corpus, so an export must not fail because it is missing or damaged.
        n_synthetic = min(most or _N_SYNTHETIC, _N_SYNTHETIC)
        return Clips(
            what=f"{n_synthetic} synthetic clips",
            n_synthetic=n_synthetic,
            note=f"the model's own corpus is not available ({error}). Name one with --corpus",
        )
    everything = Clips(what=f"all {len(corpus)} clips of {corpus.name}", utterances=corpus.utterances)
    if corpus.name != training.corpus:
        if shared := set(joined.names(training.corpus)).intersection(joined.names(corpus.name)):
            note = f"the model was trained on recordings of {', '.join(sorted(shared))}, perhaps on these"
            return _draw(msgspec.structs.replace(everything, note=note), most or _N_TRAINED)
        note = f"{corpus.name} is not the model's own corpus"
        return _draw(msgspec.structs.replace(everything, note=note), most)
    if training.fold is None:
        note = (
            "the model was trained on all of its corpus, so its accuracy here would be meaningless. Models of a fold, "
            "RUN/fold_K/last, have clips that were held out"
        )
        return _draw(msgspec.structs.replace(everything, note=note), most or _N_TRAINED)
    test_part = _test_part(config, corpus, everything)
    return _draw(test_part, most or (None if test_part.held_out else _N_TRAINED))


def _draw(clips: Clips, most: int | None) -> Clips:
    """Draw at most `most` clips, the same ones each time."""
    n = len(clips)
    if most is None or n <= most:
        return clips
    places = np.sort(np.random.default_rng(0).choice(n, most, replace=False))
    what = f"{most} of {clips.what.removeprefix('all ')}, drawn at random"
    return msgspec.structs.replace(clips, what=what, utterances=tuple(clips.utterances[i] for i in places))


def _test_part(config: ModelConfig, corpus: Corpus, everything: Clips) -> Clips:
    training = config.training
    try:
        protocol = protocols.load(training.protocol, corpus, training.seed or 0)
    except (ProtocolError, MissingExtraError) as error:
        return msgspec.structs.replace(everything, note=f"the test part is not available: {error}")
    if training.fold is None or training.fold >= len(protocol.folds):
        return msgspec.structs.replace(everything, note=f"{training.protocol} has no fold {training.fold}")
    utterances = corpus.select(protocol.folds[training.fold].test)
    what = f"the {len(utterances)} test clips of {corpus.name}, {training.protocol}, fold {training.fold}"
    note = "optimistic: the model's epoch was chosen on these clips" if training.selection == "best-test" else ""
    return Clips(what=what, utterances=utterances, held_out=True, note=note)


def _is_available(name: str) -> bool:
    return all(cards.find(part) and corpora.locate(part) for part in corpora.parts(name))


def _synthesise(sample_rate: int, n_clips: int) -> Iterator[audio.Waveform]:
    """Yield clips of 0.1 to 6 s with bursts of coloured noise between near-silence."""
    random = np.random.default_rng(0)
    for duration_s in np.geomspace(0.1, 6.0, n_clips):
        n_samples = int(duration_s * sample_rate)
        knots = random.uniform(-70.0, -15.0, 8)
        level_db = np.interp(np.linspace(0, 7, n_samples), np.arange(8), knots)
        noise = random.normal(size=n_samples + 15)
        colour = np.convolve(noise, random.normal(size=16), mode="valid") / 4.0
        yield (np.clip(colour * 10.0 ** (level_db / 20.0), -1.0, 1.0)).astype(np.float32)
