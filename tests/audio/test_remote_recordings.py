"""Recordings at URIs: the same samples as from a file, and what happens when their place fails."""

from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.audio.decoding import declared_duration_s
from emocatcher.audio.sources import held
from emocatcher.foundation.errors import AudioError, DecodeError, EmptyAudioError, UnreachableError
from emocatcher.foundation.uris import attempts, remote_file

RATE = 16_000
SOUND = (0.3 * np.sin(2 * np.pi * 220 * np.arange(2 * RATE) / RATE) + 0.05 * np.cos(np.arange(2 * RATE))).astype(
    np.float32
)
STEREO = np.stack([SOUND, SOUND[::-1]], axis=1)
LIBSNDFILE = ("WAV", "AIFF", "FLAC", "OGG")
FFMPEG = (("mp3", "mp3"), ("mp4", "aac"))
MORE = (
    *((kind, "") for kind in ("RF64", "AU", "CAF", "W64")),
    ("webm", "libopus"),
    ("adts", "aac"),
    ("matroska", "pcm_s16le"),
    ("ogg", "libopus"),
    ("mpegts", "mp2"),
    ("avi", "pcm_s16le"),
)
BLOCK = 8000  # bytes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """A recording of two seconds has many blocks."""
    monkeypatch.setattr(remote_file, "BLOCK", BLOCK)
    monkeypatch.setattr(attempts, "_FIRST_PAUSE_S", 0.001)


def encoded(kind: str, codec: str = "", samples=SOUND) -> bytes:
    sink = io.BytesIO()
    if not codec:
        soundfile.write(sink, samples, RATE, format=kind)
        return sink.getvalue()
    with av.open(sink, "w", format=kind) as output:
        stream = output.add_stream(codec, rate=48_000 if codec == "libopus" else RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = RATE
        for part in av.AudioResampler(stream.format, stream.layout, stream.rate).resample(frame):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return sink.getvalue()


WAV = encoded("WAV")


@pytest.mark.parametrize(
    ("kind", "codec", "fault"),
    [
        *((kind, "", "") for kind in LIBSNDFILE),
        *((*both, "") for both in FFMPEG),
        *(pytest.param(*both, "", marks=pytest.mark.slow) for both in MORE),
        ("WAV", "", "no-ranges"),
    ],
)
def test_the_samples_are_those_of_the_file(web, kind, codec, fault):
    content = encoded(kind, codec)
    uri = web.add("/sound", content, fault)
    expected, rate = audio.load(content)
    samples, found_rate = audio.load(uri)
    assert found_rate == rate
    assert np.array_equal(samples, expected)
    facts, expected_facts = audio.Facts(), audio.Facts()
    for source, of_it in ((uri, facts), (content, expected_facts)):
        assert sum(map(len, audio.blocks(source, facts=of_it))) == len(expected)
    assert facts == expected_facts
    assert audio.count_channels(uri) == 1
    with held(uri) as source, held(content) as same:
        assert declared_duration_s(source) == declared_duration_s(same)


def test_a_wave_is_decoded_while_it_arrives_and_a_flac_is_fetched(web):
    long = np.tile(SOUND, 20)  # longer than the section of 30 s in which a recording is mixed
    blocks = audio.blocks(web.add("/a.wav", encoded("WAV", samples=long)), block_s=0.5)
    next(blocks)
    n_at_first = web.asked["/a.wav"]
    assert sum(map(len, blocks)) < len(long)
    assert n_at_first < web.asked["/a.wav"] * 0.9
    blocks = audio.blocks(web.add("/a.flac", encoded("FLAC", samples=long)))
    next(blocks)
    n_at_first = web.asked["/a.flac"]
    blocks.close()
    audio.load(f"{web.uri}/a.flac")
    assert web.asked["/a.flac"] == 2 * n_at_first


def test_a_header_without_lengths_is_understood(web):
    content = bytearray(encoded("AU"))
    content[8:12] = bytes(4)
    assert np.array_equal(audio.load(web.add("/a.au", bytes(content)))[0], audio.load(bytes(content))[0])


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_place_that_fails_midway_is_an_error_and_no_shorter_recording(web, kind, monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "0")
    with pytest.raises(UnreachableError, match="503"):
        audio.load(web.add("/a", encoded(kind), "every-3"))


def test_a_place_that_fails_for_a_while_gives_the_whole_recording(web):
    assert np.array_equal(audio.load(web.add("/a", WAV, "every-3"))[0], audio.load(WAV)[0])


@pytest.mark.parametrize(
    ("content", "fault", "kind"),
    [
        (b"", "", EmptyAudioError),
        (b"no sound" * 5000, "", DecodeError),
        (WAV, "status-404", DecodeError),
        (WAV, "status-403", UnreachableError),
        (WAV, "changing", UnreachableError),
    ],
)
def test_errors_name_the_place_without_its_secret(web, content, fault, kind):
    with pytest.raises(AudioError) as found:
        audio.load(f"{web.add('/a b.wav', content, fault)}?token=hush")
    assert type(found.value) is kind
    assert str(found.value).startswith(f"{web.uri}/a b.wav?…: ")
    assert "hush" not in str(found.value)


def test_files_of_this_computer_can_have_a_uri(tmp_path):
    (tmp_path / "a b#1.wav").write_bytes(WAV)
    for uri in ((tmp_path / "a b#1.wav").as_uri(), f"file://{tmp_path}/a b#1.wav"):
        assert np.array_equal(audio.load(uri)[0], audio.load(WAV)[0])
    with pytest.raises(DecodeError, match="no such file"):
        audio.load("file:///no/such/file.wav")
    with pytest.raises(DecodeError, match="computer 'elsewhere'"):
        audio.load("file://elsewhere/a.wav")


@pytest.mark.parametrize("name", ["a:b.wav", "C:\\x.wav", "s3:a.wav", "http:a.wav", "é ?#%.wav"])
def test_odd_names_stay_paths(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(WAV)
    assert np.array_equal(audio.load(name)[0], audio.load(WAV)[0])


def test_a_scheme_that_cannot_be_read_is_named():
    with pytest.raises(DecodeError, match="ftp:// cannot be read"):
        audio.load("ftp://host/a.wav")


def test_a_forged_header_does_not_end_the_process(web):
    forged = bytearray(WAV)
    forged[16:20] = (0xFFFFFFF0).to_bytes(4, "little")
    for content in (bytes(forged), WAV[:43], WAV[:100], b"RIFF" + bytes(20_000)):
        outcomes = []
        for source in (content, web.add("/a.wav", content)):
            try:
                outcomes.append(len(audio.load(source)[0]))
            except AudioError as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1]


def test_a_wave_of_the_standard_library_is_read(web):
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((STEREO * 32767).astype("<i2").tobytes())
    assert audio.count_channels(web.add("/a.wav", sink.getvalue())) == 2
