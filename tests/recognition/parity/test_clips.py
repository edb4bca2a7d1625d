"""An export is checked on the best clips available, with a note if they are not held out."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher import audio
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import CorpusError, MissingExtraError
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig
from emocatcher.recognition.parity.clips import Clips, choose


@pytest.fixture(scope="module")
def config(made_model: Bundle, voices: Corpus) -> ModelConfig:
    """The config of a model that states that it was trained on one fold of the synthetic voices."""
    return changed(made_model.config, corpus=voices.name, protocol="stratified-2", fold=1, seed=5)


def changed(config: ModelConfig, **training: Any) -> ModelConfig:
    return msgspec.structs.replace(config, training=msgspec.structs.replace(config.training, **training))


def test_the_clips_are_the_test_part_of_the_models_fold(config: ModelConfig, voices: Corpus, voices_dir: Path) -> None:
    fold = protocols.load("stratified-2", voices, 5).folds[1]
    clips = choose(config, str(voices_dir))
    assert clips.held_out
    assert [clip.id for clip in clips.utterances] == list(fold.test)
    assert not {clip.id for clip in clips.utterances} & set(fold.train)
    assert clips.note == ""
    assert clips.what == f"the {len(clips)} test clips of {voices.name}, stratified-2, fold 1"


def test_another_seed_of_the_protocol_gives_another_test_part(config: ModelConfig, voices_dir: Path) -> None:
    one, other = (choose(changed(config, seed=seed), str(voices_dir)) for seed in (0, 9))
    assert one.utterances != other.utterances


def test_selection_on_the_test_part_is_noted_as_optimistic(config: ModelConfig, voices_dir: Path) -> None:
    clips = choose(changed(config, selection="best-test"), str(voices_dir))
    assert clips.held_out
    assert clips.note.startswith("optimistic")


@pytest.mark.parametrize(
    ("training", "note"),
    [
        ({"fold": None}, "trained on all of its corpus"),
        ({"fold": 2}, "has no fold 2"),
        ({"protocol": "nonsense"}, "Unknown protocol 'nonsense'"),
        ({"protocol": "speakers-99"}, "99 folds"),
        ({"protocol": "reference-holdout"}, "lacks"),
        ({"corpus": "another"}, "is not the model's own corpus"),
    ],
)
def test_without_a_test_part_the_clips_are_the_corpus_with_a_note(
    config: ModelConfig, voices_dir: Path, voices: Corpus, training: dict[str, Any], note: str
) -> None:
    clips = choose(changed(config, **training), str(voices_dir))
    assert not clips.held_out
    assert clips.utterances == voices.utterances
    assert note in clips.note
    assert clips.what == f"all {len(clips)} clips of {voices.name}"


def test_a_limited_number_of_clips_is_drawn_reproducibly(config: ModelConfig, voices_dir: Path, voices: Corpus) -> None:
    test = choose(config, str(voices_dir))
    few = choose(config, str(voices_dir), 7)
    assert few.held_out
    assert len(few) == 7
    assert set(few.utterances) < set(test.utterances)
    assert few == choose(config, str(voices_dir), 7)
    assert few.what == f"7 of {test.what}, drawn at random"
    assert choose(config, str(voices_dir), 10_000) == test


def test_fewer_clips_are_used_if_the_model_was_trained_on_them(
    config: ModelConfig, voices_dir: Path, voices: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emocatcher.recognition.parity.clips._N_TRAINED", 11)
    clips = choose(changed(config, fold=None), str(voices_dir))
    assert len(clips) == 11
    assert clips.what == f"11 of {len(voices)} clips of {voices.name}, drawn at random"
    assert len(choose(changed(config, fold=None), str(voices_dir), 12)) == 12
    assert len(choose(changed(config, corpus="another"), str(voices_dir))) == len(voices)


def test_without_the_extra_for_protocols_the_clips_are_the_corpus_with_a_note(
    config: ModelConfig, voices_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> Any:
        raise MissingExtraError("Dealing folds", "train")

    monkeypatch.setattr(protocols, "load", load)
    clips = choose(config, str(voices_dir))
    assert not clips.held_out
    assert "[train]'" in clips.note


def test_without_the_models_corpus_the_clips_are_synthetic(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "cache"))
    for name in ("ravdess", "synthetic", "my own voices"):
        clips = choose(changed(config, corpus=name))
        assert (clips.utterances, clips.held_out) == ((), False)
        assert f"'{name}' was not found" in clips.note
        assert "--corpus" in clips.note
        assert len(list(choose(changed(config, corpus=name), most=3).waveforms(8000))) == 3
        assert str(len(clips)) in clips.what
    assert not (tmp_path / "cache").exists()  # the synthetic corpus was not generated for this


def test_a_damaged_corpus_is_an_error_only_if_it_was_given(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (tmp_path / "ravdess" / folder).mkdir(parents=True)
        (tmp_path / "ravdess" / folder / "03-01-05-01-02-01-16.wav").write_bytes(b"")
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    clips = choose(changed(config, corpus="ravdess"))
    assert clips.utterances == ()
    assert "03-01-05-01-02-01-16" in clips.note
    with pytest.raises(CorpusError, match="03-01-05-01-02-01-16"):
        choose(changed(config, corpus="ravdess"), "ravdess")


def test_a_given_corpus_that_is_missing_is_an_error(config: ModelConfig, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.csv"):
        choose(config, str(tmp_path / "none.csv"))


@pytest.mark.corpus
def test_the_bundled_model_has_no_held_out_part(ravdess_dir: Path) -> None:
    folder = model_folder.bundled()
    if folder is None:
        pytest.skip("no model comes with this checkout")
    clips = choose(model_folder.read(folder).config)
    assert (len(clips), clips.held_out) == (240, False)
    assert "trained on all of its corpus" in clips.note


@pytest.mark.parametrize("sample_rate", [8000, 22_050])
def test_synthetic_clips_vary_and_are_reproducible(sample_rate: int) -> None:
    clips = Clips(what="made")
    waveforms = list(clips.waveforms(sample_rate))
    assert len(waveforms) == len(clips) > 20
    for waveform, again in zip(waveforms, clips.waveforms(sample_rate), strict=True):
        assert (waveform.ndim, waveform.dtype) == (1, np.float32)
        assert np.abs(waveform).max() <= 1.0
        np.testing.assert_array_equal(waveform, again)
    lengths = np.array([len(waveform) for waveform in waveforms]) / sample_rate
    assert lengths.min() < 0.2
    assert lengths.max() > 5.0


def test_recordings_are_read_as_waveforms_at_the_models_sample_rate(config: ModelConfig, voices: Corpus) -> None:
    whole = voices.utterances[0]
    part = msgspec.structs.replace(whole, start_s=0.5, end_s=1.25)
    first, second = Clips(what="two", utterances=(whole, part)).waveforms(8000)
    np.testing.assert_array_equal(first, audio.load(whole.path, 8000)[0])
    assert len(second) == pytest.approx(0.75 * 8000, abs=2)


def test_clips_of_one_of_the_models_several_corpora_are_not_held_out(
    config: ModelConfig, voices_dir: Path, voices: Corpus
) -> None:
    clips = choose(changed(config, corpus=f"other+{voices.name}", fold=None), str(voices_dir))
    assert clips.note == f"the model was trained on recordings of {voices.name}, perhaps on these"
    assert not clips.held_out
