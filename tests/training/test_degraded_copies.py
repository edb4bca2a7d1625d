"""Degraded copies of training clips: what each setting does, on what a copy depends, and the runs made with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.audio import degradation
from emocatcher.corpora.table import Corpus
from emocatcher.foundation.errors import AudioError, SettingError
from emocatcher.foundation.settings import Settings, from_toml, load_preset
from emocatcher.models import encoder_weights
from emocatcher.training import degraded_copies, encoding
from emocatcher.training.dataset import load_features

from ..conftest import InProcess
from ..models.encoder_folder import write_encoder

MIXED = ("noisy=0.5", "rooms=0.4", "telephone=0.2", "coded=0.2", "cut=0.3")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Settings of a tiny random encoder with two copies, and with these settings of [degradation]."""
    source = tmp_path_factory.mktemp("encoders") / "tiny"
    write_encoder(source)
    base = ["network.n_copies=2", "training.n_epochs=6", f'encoder.source="{source}"', "encoder.n_layers=2"]

    def recipe(*changes: str) -> Settings:
        zeros = [f"degradation.{name}=0" for name in ("noisy", "rooms", "telephone", "coded", "cut")]
        settings = load_preset("emocatcher-3", [*base, *zeros, *(f"degradation.{change}" for change in changes)])
        if not changes:
            settings = msgspec.structs.replace(settings, degradation=msgspec.UNSET)
        return encoder_weights.resolve(settings)

    return recipe


@pytest.fixture(scope="module")
def few(voices: Corpus) -> Corpus:
    chosen = [u for u in voices if u.emotion in ("sad", "angry")][::4]
    return msgspec.structs.replace(voices, name="few", utterances=tuple(chosen), labels=("sad", "angry"))


def copies(corpus: Corpus, settings: Settings, folder: Path) -> encoding.EncodedClips:
    pool: Any = InProcess(1, lambda: None, lambda _: None)
    found = encoding.encode(pool, corpus, load_features(corpus, settings), settings, folder=folder)
    assert found is not None
    return found


def drawn(corpus: Corpus, settings: Settings, seed: int = 0) -> np.ndarray | None:
    return degraded_copies.draw_channels(corpus.utterances[0], settings, np.random.default_rng(seed))


def test_recipes_without_the_section_stay_what_they_were() -> None:
    plain = msgspec.structs.replace(load_preset("emocatcher-3"), degradation=msgspec.UNSET)
    assert "degradation" not in plain.to_toml()
    chosen = load_preset("emocatcher-3", ["degradation.noisy=0.5", "degradation.snr_db=[5, 20]"])
    assert chosen.degradation.snr_db == (5.0, 20.0)  # type: ignore[union-attr]
    assert from_toml(chosen.to_toml(), "again") == chosen


@pytest.mark.parametrize(
    ("preset", "setting", "reason"),
    [
        ("cabg", "degradation.noisy=0.5", "needs a network of kind 'encoder'"),
        ("emocatcher-3", "degradation.snr_db=[20, 5]", "Give the smaller one first"),
        ("emocatcher-3", "degradation.telephon=1", "Did you mean 'telephone'"),
        ("emocatcher-3", "degradation.noisy=2", "<= 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(preset: str, setting: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        load_preset(preset, [setting])


def test_a_copy_is_sent_over_one_line_at_most() -> None:
    with pytest.raises(SettingError, match="more than 1 together"):
        load_preset("emocatcher-3", ["degradation.telephone=0.7", "degradation.coded=0.5"])


def test_without_copies_there_is_nothing_to_degrade() -> None:
    with pytest.raises(SettingError, match=r"network\.n_copies of 1 or more"):
        load_preset("emocatcher-3", ["network.n_copies=0", "degradation.noisy=0.5"])


def test_the_share_of_degraded_copies_is_the_one_of_the_settings(
    recipe: Callable[..., Settings], few: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"noisy": "add_noise", "rooms": "reverberate", "telephone": "telephone", "coded": "code", "cut": "cut"}
    n_called = dict.fromkeys(kinds, 0)

    def count(name: str) -> Callable[..., np.ndarray]:
        def counted(waveform: np.ndarray, *_: object) -> np.ndarray:
            n_called[name] += 1
            return waveform

        return counted

    for name, function in kinds.items():
        monkeypatch.setattr(degradation, function, count(name))
    settings = recipe("noisy=0.5", "rooms=0.4", "telephone=0.2", "coded=0.3", "cut=0.1")
    n_plain = sum(drawn(few, settings, seed) is None for seed in range(400))
    shares = {name: n / 400 for name, n in n_called.items()}
    assert shares == pytest.approx({"noisy": 0.5, "rooms": 0.4, "telephone": 0.2, "coded": 0.3, "cut": 0.1}, abs=0.08)
    assert n_plain / 400 == pytest.approx(0.5 * 0.6 * 0.5 * 0.9, abs=0.06)


def test_each_degradation_shows_in_the_features(recipe: Callable[..., Settings], few: Corpus) -> None:
    clean = load_features(few, recipe()).clip(few.utterances[0].id)

    def of(change: str) -> np.ndarray:
        found = drawn(few, recipe(change))
        assert found is not None
        assert found.shape[0] == len(clean)
        return found

    phone = of("telephone=1")
    assert (phone - phone.max()).mean(axis=1)[-10:].max() < (clean - clean.max()).mean(axis=1)[-10:].min()
    assert np.median(of("noisy=1") - of("noisy=1").max()) > np.median(clean - clean.max()) + 3.0
    cut = recipe("cut=1", "cut_s=[0.3, 0.5]")
    assert max(drawn(few, cut, seed).shape[1] for seed in range(5)) <= 51  # type: ignore[union-attr]
    assert not np.array_equal(of("rooms=1"), clean)
    assert not np.array_equal(of("coded=1"), clean)


def test_originals_and_copies_that_are_not_degraded_stay_what_they_were(
    recipe: Callable[..., Settings], few: Corpus, tmp_path: Path
) -> None:
    ids = [utterance.id for utterance in few]
    plain = copies(few, recipe(), tmp_path)
    off = copies(few, recipe("noisy=0"), tmp_path)
    mixed = copies(few, recipe(*MIXED), tmp_path)
    np.testing.assert_array_equal(plain.all_copies(ids), off.all_copies(ids))
    np.testing.assert_array_equal(plain.originals(ids), mixed.originals(ids))
    same = [np.array_equal(a, b) for a, b in zip(plain.all_copies(ids), mixed.all_copies(ids), strict=True)]
    n_copies = 2 * len(ids)
    n_same = sum(same) - len(ids)  # without the originals
    assert 0.02 * n_copies < n_same < 0.4 * n_copies  # 0.5 · 0.6 · 0.6 · 0.7 = 13%


def test_a_copy_depends_on_its_own_clip_alone(recipe: Callable[..., Settings], few: Corpus, tmp_path: Path) -> None:
    """No voice of another clip is in it, so that no fold trains on the voice of a clip that it tests on."""
    settings = recipe(*MIXED)
    whole = copies(few, settings, tmp_path / "whole")
    part = msgspec.structs.replace(few, utterances=few.utterances[:3])
    ids = [utterance.id for utterance in part]
    alone = copies(part, settings, tmp_path / "part")
    np.testing.assert_array_equal(whole.all_copies(ids), alone.all_copies(ids))
    grown = copies(few, settings, tmp_path / "part")  # three from the cache
    all_ids = [utterance.id for utterance in few]
    np.testing.assert_array_equal(whole.all_copies(all_ids), grown.all_copies(all_ids))


def test_the_voices_of_the_noise_are_many_and_the_same_each_time() -> None:
    first = degraded_copies.voices(16_000)
    degraded_copies.voices.cache_clear()
    again = degraded_copies.voices(16_000)
    assert len(first) == 40
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
        assert len(one) > 16_000
        assert 0.05 < one.std() < 0.2
    assert abs(np.corrcoef(first[0][:16_000], first[1][:16_000])[0, 1]) < 0.3


def test_rooms_of_all_draws_have_a_place_for_voice_and_microphone(recipe: Callable[..., Settings]) -> None:
    settings = recipe("rooms=1").degradation
    for seed in range(300):
        room = degraded_copies._room(settings, np.random.default_rng(seed))  # type: ignore[arg-type]
        assert 0.15 <= room.rt60_s <= 0.7


def test_a_recording_that_is_gone_is_named(recipe: Callable[..., Settings], few: Corpus, tmp_path: Path) -> None:
    gone = msgspec.structs.replace(few.utterances[0], path=tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"gone\.wav"):
        degraded_copies.draw_channels(gone, recipe("noisy=1"), np.random.default_rng(0))


@pytest.mark.slow
def test_a_resumed_run_has_the_same_weights(
    recipe: Callable[..., Settings], few: Corpus, train_here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe(*MIXED)
    once, again = tmp_path / "once", tmp_path / "again"
    train_here(once, few, "speakers-2", settings)
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "empty"))  # nothing encoded is left
    train_here(again, few, "speakers-2", settings)
    for outcome in again.rglob("outcome.safetensors"):
        outcome.unlink()
    train_here(again, few, "speakers-2", settings, resume=True)
    for path in ("fold_0/last/model.safetensors", "fold_1/last/model.onnx", "predictions.csv"):
        assert (once / path).read_bytes() == (again / path).read_bytes()
    assert "[degradation]" in (once / "config.toml").read_text()
