import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher import audio
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.features import extraction
from emocatcher.features.padding import pad_batch
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError, FeatureCacheError, NonFiniteError
from emocatcher.foundation.settings import load_preset
from emocatcher.training import dataset
from emocatcher.training.dataset import batches, load_features

CABG = load_preset("cabg")
RATE = 16_000


def write_clip(path, seed, seconds=1.0):
    samples = np.random.default_rng(seed).normal(0, 0.01, round(seconds * RATE))
    samples[len(samples) // 3 : len(samples) // 2] *= 20
    soundfile.write(path, samples, RATE)


def corpus_of(paths, name="mine", **fields) -> Corpus:
    utterances = [Utterance(id=path.stem, path=path, emotion="sad", **fields) for path in paths]
    return Corpus(name=name, utterances=tuple(utterances), labels=("sad",))


@pytest.fixture
def paths(tmp_path):
    """Five recordings of different length, not in the order of their names."""
    found = [tmp_path / f"{name}.wav" for name in "dbeac"]
    for seed, path in enumerate(found):
        write_clip(path, seed, 1.0 + seed / 3)
    return found


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """The sources that were decoded; a test clears it between two loads."""
    sources = []
    read = audio.read

    def watch(source, *args, **kwargs):
        sources.append(source)
        return read(source, *args, **kwargs)

    monkeypatch.setattr(audio, "read", watch)
    return sources


def direct(path, **stretch):
    """The features that inference computes."""
    waveform = audio.read(path, CABG.front_end.sample_rate, **stretch).waveform
    return extraction.extract(waveform, CABG.front_end, CABG.vad).log_mel


def assert_equals_inference(table, corpus):
    assert table.ids == tuple(utterance.id for utterance in corpus)
    assert len(table) == len(corpus)
    assert table.lengths.tolist() == [table.clip(id_).shape[1] for id_ in table.ids]
    for utterance in corpus:
        expected = direct(utterance.path, start_s=utterance.start_s, end_s=utterance.end_s)
        np.testing.assert_array_equal(table.clip(utterance.id), expected)


def test_training_gets_the_arrays_that_inference_gets_in_the_corpus_order(paths, cache):
    corpus = corpus_of(paths)
    table = load_features(corpus, CABG, folder=cache)
    assert_equals_inference(table, corpus)
    for one, id_ in zip(table.clips(["a", "d", "a"]), "ada", strict=True):
        np.testing.assert_array_equal(one, table.clip(id_))
    with pytest.raises(KeyError):
        table.clip("no such id")


def test_a_second_load_decodes_nothing(paths, cache, monkeypatch):
    corpus = corpus_of(paths)
    first = load_features(corpus, CABG, folder=cache)
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns

    def fail(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr(audio, "read", fail)
    second = load_features(corpus, CABG, folder=cache)
    assert second.digest() == first.digest()
    np.testing.assert_array_equal(second.lengths, first.lengths)
    assert second.ids == first.ids
    assert file.stat().st_mtime_ns == written
    assert list(cache.iterdir()) == [file]


def test_the_longest_utterance_is_measured_in_frames_of_the_front_end(paths, cache):
    table = load_features(corpus_of(paths), CABG, folder=cache)
    longest = max(table.clip(id_).shape[1] for id_ in table.ids)
    assert table.longest_s(CABG.front_end) == pytest.approx(longest * 1364 / 22_050, abs=1e-6)


def test_sums_over_features_are_the_same_whether_they_are_new_or_cached(paths, cache):
    corpus = corpus_of(paths)
    new, cached = (load_features(corpus, CABG, folder=cache) for _ in range(2))
    assert new.clip("a").strides == cached.clip("a").strides
    means = [np.concatenate(table.clips(table.ids), axis=1).mean(axis=1) for table in (new, cached)]
    assert means[0].tobytes() == means[1].tobytes()


def test_only_what_changed_is_decoded_again(paths, cache, decoded):
    load_features(corpus_of(paths), CABG, folder=cache)
    assert len(decoded) == 5
    decoded.clear()
    write_clip(paths[2], seed=99)
    table = load_features(corpus_of(paths), CABG, folder=cache)
    assert decoded == [paths[2].read_bytes()]
    decoded.clear()
    added = paths[0].with_name("new.wav")
    write_clip(added, seed=100)
    table = load_features(corpus_of([added, *paths]), CABG, folder=cache)
    assert decoded == [added.read_bytes()]
    decoded.clear()
    assert_equals_inference(table, corpus_of([added, *paths]))


def test_reordered_renamed_or_fewer_clips_are_read_from_the_cache(paths, cache, decoded):
    load_features(corpus_of(paths), CABG, folder=cache)
    decoded.clear()
    renamed = [path.rename(path.with_name(f"renamed-{path.name}")) for path in reversed(paths)]
    tables = [load_features(corpus_of(some), CABG, folder=cache) for some in (renamed, renamed[1:3])]
    assert decoded == []
    assert_equals_inference(tables[0], corpus_of(renamed))
    assert_equals_inference(tables[1], corpus_of(renamed[1:3]))


@pytest.mark.parametrize("override", ["front_end.f_max=5000.0", "vad.margin_frames=1", "front_end.hop_length=1000"])
def test_other_feature_settings_have_their_own_file(paths, cache, decoded, override):
    changed = load_preset("cabg", [override])
    first = load_features(corpus_of(paths), CABG, folder=cache)
    other = load_features(corpus_of(paths), changed, folder=cache)
    assert len(decoded) == 10
    assert len(list(cache.iterdir())) == 2
    assert other.digest() != first.digest()
    decoded.clear()
    assert load_features(corpus_of(paths), CABG, folder=cache).digest() == first.digest()
    assert load_features(corpus_of(paths), changed, folder=cache).digest() == other.digest()
    assert decoded == []


def test_settings_that_do_not_change_features_share_them(paths, cache, decoded):
    load_features(corpus_of(paths), CABG, folder=cache)
    decoded.clear()
    load_features(corpus_of(paths), load_preset("cabg", ["training.n_epochs=1"]), folder=cache)
    assert decoded == []


def test_features_of_older_code_are_not_read(paths, cache, decoded, monkeypatch):
    load_features(corpus_of(paths), CABG, folder=cache)
    decoded.clear()
    monkeypatch.setattr(dataset, "_CODE_VERSION", dataset._CODE_VERSION + 1)
    load_features(corpus_of(paths), CABG, folder=cache)
    assert len(decoded) == 5


@pytest.mark.parametrize("how", ["cut", "garbled", "flipped", "emptied", "text", "gone"])
def test_a_damaged_file_is_written_again(paths, cache, decoded, how):
    first = load_features(corpus_of(paths), CABG, folder=cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:middle],
        "garbled": np.random.default_rng(0).bytes(len(whole)),
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "emptied": b"",
        "text": b"no features",
    }
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(damaged[how])
    decoded.clear()
    again = load_features(corpus_of(paths), CABG, folder=cache)
    assert len(decoded) == 5
    assert again.digest() == first.digest()
    assert list(cache.iterdir()) == [file]
    decoded.clear()
    load_features(corpus_of(paths), CABG, folder=cache)
    assert decoded == []


def test_segments_of_one_recording_are_cached_separately(tmp_path, cache, decoded):
    write_clip(tmp_path / "long.wav", 0, 4.0)
    stretches = {"whole": (None, None), "start": (None, 1.5), "middle": (1.0, 2.5), "end": (2.0, None)}
    corpus = corpus_of([tmp_path / "long.wav"])
    utterances = [
        msgspec.structs.replace(corpus.utterances[0], id=id_, start_s=start_s, end_s=end_s)
        for id_, (start_s, end_s) in stretches.items()
    ]
    corpus = msgspec.structs.replace(corpus, utterances=tuple(utterances))
    assert_equals_inference(load_features(corpus, CABG, folder=cache), corpus)
    decoded.clear()
    again = load_features(corpus, CABG, folder=cache)
    assert decoded == []
    assert_equals_inference(again, corpus)


def test_two_names_of_one_content_give_the_same_features(paths, cache):
    copy = paths[0].with_name("copy.wav")
    copy.write_bytes(paths[0].read_bytes())
    corpus = corpus_of([*paths, copy])
    for _ in range(2):
        table = load_features(corpus, CABG, folder=cache)
        assert_equals_inference(table, corpus)
        np.testing.assert_array_equal(table.clip("copy"), table.clip(paths[0].stem))


@pytest.mark.parametrize(
    ("payload", "kind"),
    [(b"just text", DecodeError), (b"", EmptyAudioError), (None, AudioError), ("nan", NonFiniteError)],
)
def test_a_recording_that_cannot_be_decoded_is_named(paths, cache, payload, kind):
    if payload is None:
        paths[3].unlink()
    elif payload == "nan":
        soundfile.write(paths[3], np.array([0.1, np.nan]), RATE, subtype="FLOAT")
    else:
        paths[3].write_bytes(payload)
    with pytest.raises(kind) as caught:
        load_features(corpus_of(paths), CABG, folder=cache)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(str(paths[3]))
    assert "audio bytes" not in str(caught.value)


def test_what_was_extracted_before_an_error_is_kept(paths, cache, decoded):
    whole = paths[4].read_bytes()
    paths[4].write_bytes(b"just text")
    with pytest.raises(DecodeError):
        load_features(corpus_of(paths), CABG, folder=cache)
    paths[4].write_bytes(whole)
    decoded.clear()
    assert_equals_inference(load_features(corpus_of(paths), CABG, folder=cache), corpus_of(paths))
    assert decoded[0] == whole  # then those of `assert_equals_inference`
    assert whole not in decoded[1:]


def test_a_segment_beyond_the_end_is_named(paths, cache):
    with pytest.raises(EmptyAudioError, match=rf"{paths[0].name}: ends at"):
        load_features(corpus_of(paths, start_s=100.0), CABG, folder=cache)


def test_a_cache_that_cannot_be_written_is_an_error(paths, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FeatureCacheError, match="EMOCATCHER_CACHE") as caught:
        load_features(corpus_of(paths), CABG, folder=tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)


def test_a_full_disk_leaves_the_old_cache(paths, cache, monkeypatch):
    load_features(corpus_of(paths[:3]), CABG, folder=cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FeatureCacheError, match="No space left"):
        load_features(corpus_of(paths), CABG, folder=cache)
    assert file.read_bytes() == whole
    assert list(cache.iterdir()) == [file]


def test_the_users_cache_is_the_default(paths, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "mine"))
    load_features(corpus_of(paths, name="named"), CABG)
    (file,) = (tmp_path / "mine" / "features").iterdir()
    assert file.name.startswith("named-")


def test_progress_is_reported_after_each_utterance(paths, cache):
    for _ in range(2):
        reported = []
        load_features(
            corpus_of(paths),
            CABG,
            folder=cache,
            on_progress=lambda *step, steps=reported: steps.append(step),
        )
        assert reported == [(done, 5) for done in range(1, 6)]


# Batches


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 8))
def test_padding_keeps_every_clip_and_adds_zeros(lengths, n_mels):
    clips = [np.full((n_mels, n), i + 1, np.float32) for i, n in enumerate(lengths)]
    batch, valid = pad_batch(clips)
    assert (batch.shape, batch.dtype, valid.dtype) == (
        (len(clips), n_mels, max(lengths)),
        np.dtype(np.float32),
        np.dtype(np.int64),
    )
    assert valid.tolist() == lengths
    for row, clip in zip(batch, clips, strict=True):
        np.testing.assert_array_equal(row[:, : clip.shape[1]], clip)
        assert not row[:, clip.shape[1] :].any()


@pytest.mark.parametrize("clips", [[], [np.ones((3, 4)), np.ones((2, 4))]])
def test_clips_of_different_channels_are_refused(clips):
    with pytest.raises(ValueError, match="number of channels"):
        pad_batch(clips)


@given(st.integers(0, 300), st.integers(2, 40))
def test_batches_contain_every_utterance_once_and_never_a_single_one(n_utterances, batch_size):
    order = np.random.default_rng(n_utterances).permutation(n_utterances)
    cut = list(batches(order, batch_size))
    np.testing.assert_array_equal(np.concatenate([*cut, order[:0]]), order)
    assert all(len(batch) == batch_size for batch in cut[:-1])
    if n_utterances > 1:
        assert 2 <= len(cut[-1]) <= batch_size + 1
    elif n_utterances == 1:
        assert [len(batch) for batch in cut] == [1]
    else:
        assert cut == []


def test_targets_are_the_votes_and_all_of_the_label_without_votes(tmp_path):
    def made(emotion, votes=None):
        return Utterance(id=str(votes), path=tmp_path, emotion=emotion, votes=votes)

    labels = ("neutral", "calm", "sad")
    given = [
        made("sad", (("calm", 0.25), ("sad", 0.75))),
        made("neutral"),
        made("calm", (("neutral", 0.5), ("calm", 0.5))),
    ]
    shares = dataset.target_shares(given, labels)
    assert shares.tolist() == [[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
    merged = dataset.target_shares(given, labels, lambda label: "neutral" if label == "calm" else label)
    assert merged.tolist() == [[0.25, 0.0, 0.75], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert dataset.target_shares([made("sad")], labels) is None


def test_the_features_of_a_channel_are_those_of_a_recording_of_it_alone(voices, tmp_path):
    left, right = (soundfile.read(voices.utterances[i].path)[0][:40_000] for i in (0, 70))
    n = min(len(left), len(right))
    for name, samples in (("left", left[:n]), ("right", right[:n])):
        soundfile.write(tmp_path / f"{name}.wav", samples, 22_050)
    soundfile.write(tmp_path / "call.wav", np.stack([left[:n], right[:n]], axis=1), 22_050)
    call = Corpus(name="call", utterances=(Utterance(id="a", path=tmp_path / "call.wav", emotion="x"),), labels=("x",))
    cache = tmp_path / "cache"
    for channel, name in ((0, "left"), (1, "right")):
        alone = Utterance(id="a", path=tmp_path / f"{name}.wav", emotion="x")
        expected = load_features(msgspec.structs.replace(call, utterances=(alone,)), CABG, folder=cache).clip("a")
        load_features(call, CABG, folder=cache)
        found = load_features(call.of_channel(channel), CABG, folder=cache).clip("a")
        np.testing.assert_array_equal(found, expected)
