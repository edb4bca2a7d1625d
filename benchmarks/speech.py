"""Fit the gate of `emocatcher.features.speech_gate`, and measure it on sounds it was not fitted to.

    python benchmarks/speech.py --sounds FOLDER [--fit] [--to FOLDER]

FOLDER holds one folder for each Debian package in `SOURCES`; none of them needs to be installed:

    apt-get download PACKAGE && dpkg -x PACKAGE_*.deb FOLDER/PACKAGE

Half of the sounds are for fitting and half for testing, by a checksum of the name without its number, so that dog1 and
dog2 stay together. The packages in `UNSEEN` are for testing only, and so are actors 9 to 24 of RAVDESS
(EMOCATCHER_CORPORA); results are given for all its clips and for those actors. Files with human voices are excluded by
their names; no one listened to the remaining files. `--fit` prints constants for
`emocatcher.features.speech_gate` and stops.
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# One thread, because the measured processor time would include the waiting of linear-algebra threads.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
import soundfile
from numpy.typing import NDArray

import emocatcher
import results
from emocatcher import audio, corpora
from emocatcher.features import extraction, speech_gate
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import AudioError
from emocatcher.foundation.settings import load_preset

HEADING = "Recognition: is it speech?"
FRONT_END = load_preset("cabg").front_end
RATE = FRONT_END.sample_rate
SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
LONG_S, PIECE_S, STARTS_S = 8.0, 4.0, (5.0, 30.0, 60.0)
MIN_S = 0.3
MAX_SPEECH = 200  # files per package
RAVDESS, LAST_ACTOR_FOR_FITTING = "RAVDESS", 8
ALL_SOUNDS = "all without speech"
CLEAN, TELEPHONE, ROOM = "as it is", "telephone, 8 kHz", "room"
CONDITIONS = (TELEPHONE, ROOM, "noise 20 dB", "noise 10 dB", "sounds 20 dB", "sounds 10 dB")
# Package, a pattern for the path, and the kind of sound: the first match counts. None: excluded.
SOURCES = (
    ("tuxpaint-stamps-default", r"_desc", "speech"),
    ("tuxpaint-stamps-default", r"/(symbols|flags|roadsigns)/|dreydl|apollo|ghost|roll-call|candy|santa|apple", None),
    ("tuxpaint-stamps-default", r"/animals/|blackcat|spider|bat_left", "animals"),
    ("tuxpaint-stamps-default", r"/music/", "instruments"),
    ("tuxpaint-stamps-default", r"", "things"),
    ("scratch", r"/Vocals/|Laugh|Scream|PartyNoise", None),
    ("scratch", r"/Animal/", "animals"),
    ("scratch", r"/(Instruments|Percussion)/", "instruments"),
    ("scratch", r"/Music Loops/", "music"),
    ("scratch", r"/Electronic/", "electronic"),
    ("scratch", r"", "things"),
    ("sonic-pi-samples", r"rand-stream", None),
    ("sonic-pi-samples", r"misc_crow", "animals"),
    ("sonic-pi-samples", r"/(loop|ambi)_", "music"),
    ("sonic-pi-samples", r"/(drum|bd|sn|tabla|perc|guit|bass)_", "instruments"),
    ("sonic-pi-samples", r"", "electronic"),
    ("hedgewars-data", r"/voices/|hogchant|hell_|Yoohoo|countdown|/Kiss", None),
    ("hedgewars-data", r"/Music/|valkyries", "music"),
    ("hedgewars-data", r"BirdyLay|/bee\.", "animals"),
    ("hedgewars-data", r"", "things"),
    ("extremetuxracer-data", r"/music/", "music"),
    ("extremetuxracer-data", r"", "things"),
    ("frozen-bubble-data", r"noh|hurry|snore|applause", None),
    ("frozen-bubble-data", r"zik|newroot", "music"),
    ("frozen-bubble-data", r"", "electronic"),
    ("lincity-ng-data", r"School|Market|SportsCroud|Commune|Shanty|Residential|University|Health", None),
    ("lincity-ng-data", r"/music/", "music"),
    ("lincity-ng-data", r"Farm|Green|ParklandLake|Water|Fire|Harbor", "nature"),
    ("lincity-ng-data", r"", "machines"),
    ("freedink-data", r"nono|scream|grunt", None),
    ("freedink-data", r"\.ogg", "music"),
    ("freedink-data", r"bird", "animals"),
    ("freedink-data", r"", "things"),
    ("colobot-common-sounds", r"/music/", "music"),
    ("colobot-common-sounds", r"", "machines"),
    ("lomiri-sounds", r"ringtones", "music"),
    ("lomiri-sounds", r"", "electronic"),
    ("simutrans-pak64", r"forest|tropic|desert|arctic|Water", "nature"),
    ("simutrans-pak64", r"horse|seagulls", "animals"),
    ("simutrans-pak64", r"", "machines"),
    ("gamine-data", r"youcannot|tuxok", None),
    ("gamine-data", r"Bach", "music"),
    ("gamine-data", r"", "electronic"),
    ("klettres-data", r"/syllab/", "speech"),
    ("ktuberling-data", r"", "speech"),
    *((f"asterisk-core-sounds-{language}-wav", r"silence|beep|tone", None) for language in ("en", "fr", "ru", "es")),
    *((f"asterisk-core-sounds-{language}-wav", r"", "speech") for language in ("en", "fr", "ru", "es")),
)
UNSEEN = ("scratch", "simutrans-pak64", "ktuberling-data", "asterisk-core-sounds-es-wav")


class Clip(NamedTuple):
    """One sound."""

    package: str
    kind: str
    for_fitting: bool
    waveform: audio.Waveform

    @property
    def is_speech(self) -> bool:
        """Whether the clip holds speech."""
        return self.kind == "speech"

    def log_mel(self) -> NDArray[np.float32]:
        """Compute the front end's log-mel, shape (n_mels, n_frames), dB."""
        return extraction.log_mel_spectrogram(self.waveform, FRONT_END)


class Answer(NamedTuple):
    """The answers for one clip, and their processor time in ms."""

    has_speech: bool
    has_speech_at_once: bool
    ms: float
    ms_at_once: float
    used_silero: bool


def main() -> None:
    """Read the sounds; then fit, or measure and write the results."""
    process_setup.keep_memory()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True, help="the folder with a folder for each package")
    parser.add_argument(
        "--fit", action="store_true", help="print new constants for emocatcher.features.speech_gate, and stop"
    )
    parser.add_argument("--to", type=Path, default=results.FOLDER, help="the folder of RESULTS.md")
    arguments = parser.parse_args()
    clips = [*read(arguments.sounds), *read_ravdess()]
    if arguments.fit:
        fit(clips)
        return
    text = "\n\n".join([introduction(arguments.sounds), *measure(clips), cost()])
    print(text)
    results.rewrite(HEADING, text, arguments.to)


def read(folder: Path) -> Iterator[Clip]:
    """Yield the clips of all packages; a long sound without speech gives a few pieces."""
    for package in dict.fromkeys(package for package, _, _ in SOURCES):
        paths = [path for path in (folder / package).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
        n_speech = 0
        for path in sorted(paths, key=lambda path: zlib.crc32(str(path.relative_to(folder)).encode())):
            kind = kind_of(package, str(path.relative_to(folder)))
            n_speech += kind == "speech"
            if kind is None or path.is_symlink() or (kind == "speech" and n_speech > MAX_SPEECH):
                continue
            try:
                waveform, _ = audio.load(path, RATE)
            except AudioError:
                continue
            pieces = [waveform]
            if kind != "speech" and len(waveform) > LONG_S * RATE:
                pieces = [waveform[int(start * RATE) : int((start + PIECE_S) * RATE)] for start in STARTS_S]
            for piece in pieces:
                if len(piece) >= MIN_S * RATE:
                    yield Clip(package, kind, for_fitting(package, path.stem), piece[: int(LONG_S * RATE)])


def kind_of(package: str, path: str) -> str | None:
    """Return the kind of sound in a file, by its name; None if it is excluded."""
    return next((kind for name, pattern, kind in SOURCES if name == package and re.search(pattern, path)), None)


def for_fitting(package: str, stem: str) -> bool:
    """Return whether a file is in the half for fitting; takes of one sound (dog1, dog2) are in the same half."""
    take = re.sub(r"\d+|_desc.*", "", stem.lower())
    take = stem if take in ("", "sound", "music") else take  # numbered files that have nothing in common
    return package not in UNSEEN and zlib.crc32((package + take).encode()) % 2 == 0


def read_ravdess() -> Iterator[Clip]:
    """Yield all clips of RAVDESS."""
    for utterance in corpora.load("ravdess"):
        fitting = int(utterance.path.stem[-2:]) <= LAST_ACTOR_FOR_FITTING
        yield Clip(RAVDESS, "speech", fitting, audio.load(utterance.path, RATE)[0])


def degrade(clip: Clip, condition: str, others: Sequence[audio.Waveform], rng: np.random.Generator) -> Clip:
    """Return the clip under another recording condition."""
    waveform = clip.waveform
    if condition == TELEPHONE:
        changed = audio.resample(audio.resample(waveform, RATE, 8_000), 8_000, RATE)
    elif condition == ROOM:  # decaying noise of 0.3 to 0.7 s after the direct sound
        n_echo = int(RATE * rng.uniform(0.3, 0.7))
        echo = rng.normal(size=n_echo) * 10.0 ** (-3.0 * np.arange(n_echo) / n_echo)
        echo[0] = rng.uniform(5.0, 12.0)
        n_fft = 1 << (len(waveform) + n_echo).bit_length()
        changed = np.fft.irfft(np.fft.rfft(waveform, n_fft) * np.fft.rfft(echo / np.linalg.norm(echo), n_fft), n_fft)
    else:
        what, db, _ = condition.split()
        noise = np.resize(others[rng.integers(len(others))], len(waveform)) if what == "sounds" else hiss(clip, rng)
        changed = waveform + noise * (level(waveform) / max(level(noise), 1e-6) * 10.0 ** (-float(db) / 20.0))
    return clip._replace(waveform=np.asarray(changed[: len(waveform)], np.float32))


def hiss(clip: Clip, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise as long as a clip: pink, or for fitting anything from white to brown."""
    slope = rng.uniform(0.0, 2.0) if clip.for_fitting else 1.0
    spectrum = np.fft.rfft(rng.normal(size=len(clip.waveform)))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 4.0) ** (slope / 2.0), len(clip.waveform))


def level(waveform: NDArray[Any]) -> float:
    """Return the root mean square of the frames within 20 dB of the loudest."""
    frames = np.sqrt((waveform[: len(waveform) // 512 * 512].reshape(-1, 512) ** 2).mean(axis=1) + 1e-12)
    return float(np.sqrt((frames[frames > 0.1 * frames.max()] ** 2).mean()))


def backgrounds(clips: Sequence[Clip], fitting: bool) -> list[audio.Waveform]:
    """Return the sounds of one half that serve as background noise for speech."""
    kinds = {"nature", "machines", "things", "music"}
    return [c.waveform for c in clips if c.kind in kinds and c.for_fitting == fitting and len(c.waveform) > RATE]


def fit(clips: Sequence[Clip]) -> None:
    """Print the gate's constants."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng, others = np.random.default_rng(0), backgrounds(clips, True)
    chosen: list[Clip] = []
    for i, clip in enumerate(clip for clip in clips if clip.for_fitting):
        chosen.append(clip)
        if not clip.is_speech:
            conditions = [str(one) for one in rng.permutation([*CONDITIONS[:4], "noise 30 dB"])[:3]]
        elif clip.package == RAVDESS:
            conditions = list(CONDITIONS) if i % 4 == 0 else []
        else:
            conditions = [CONDITIONS[i % len(CONDITIONS)]]
        if clip.is_speech:
            conditions.append(f"noise {rng.integers(3, 30)} dB")
        chosen += [degrade(clip, condition, others, rng) for condition in conditions]
    log_mels = [clip.log_mel() for clip in chosen]
    numbers = np.array([speech_gate.traits(log_mel, speech_gate.loudness_db(log_mel)) for log_mel in log_mels])
    true = np.array([clip.is_speech for clip in chosen])
    # RAVDESS is the largest set of speech and the easiest, so its clips weigh less.
    weights = np.array([0.3 if clip.package == RAVDESS else 1.0 for clip in chosen])
    weights[true] *= weights[~true].sum() / weights[true].sum()
    scaler = StandardScaler().fit(numbers)
    gate = LogisticRegression(C=0.1, max_iter=5_000).fit(scaler.transform(numbers), true, sample_weight=weights)
    slopes = gate.coef_[0] / scaler.scale_
    print(f"{true.sum()} clips with speech, {(~true).sum()} without")
    print("_BIAS =", round(float(gate.intercept_[0] - (slopes * scaler.mean_).sum()), 4))
    print("_WEIGHTS =", [round(float(slope), 4) for slope in slopes])


def answer(clip: Clip) -> Answer:
    """Answer one clip with and without Silero, and time both."""
    log_mel = clip.log_mel()
    started = time.process_time()
    has_speech = speech_gate.has_speech(clip.waveform, RATE, log_mel, FRONT_END)
    between = time.process_time()
    at_once = speech_gate.has_speech_at_once(clip.waveform, RATE, log_mel, FRONT_END)
    ended = time.process_time()
    odds = speech_gate.log_odds(log_mel, speech_gate.loudness_db(log_mel))
    return Answer(has_speech, at_once, (between - started) * 1e3, (ended - between) * 1e3, speech_gate.in_doubt(odds))


def measure(clips: Sequence[Clip]) -> Iterator[str]:
    """Yield the tables: one for sounds without speech, one for speech."""
    of_sounds: dict[str, list[Answer]] = collections.defaultdict(list)
    of_speech: dict[str, list[Answer]] = collections.defaultdict(list)
    rng, others = np.random.default_rng(1), backgrounds(clips, False)
    for i, clip in enumerate(clips):
        if clip.package == RAVDESS:
            found = answer(clip)
            of_speech[f"{RAVDESS}, all"].append(found)
            if not clip.for_fitting:
                of_speech[f"{RAVDESS}, actors 9 to 24"].append(found)
                for condition in CONDITIONS if i % 4 == 0 else ():
                    of_speech[f"… {condition}"].append(answer(degrade(clip, condition, others, rng)))
        elif not clip.for_fitting:
            found = answer(clip)
            if clip.is_speech:
                of_speech[clip.package].append(found)
                continue
            of_sounds[ALL_SOUNDS].append(found)
            of_sounds[clip.kind].append(found)
            if clip.package in UNSEEN:
                of_sounds["packages not used for fitting"].append(found)
    yield table("without speech", of_sounds)
    yield table("speech", of_speech)


def table(what: str, groups: dict[str, list[Answer]]) -> str:
    """Format a table with one row per group."""
    header = [what, "clips", "no speech found", "by the gate alone", "Silero used", "mean ms", "median ms", "gate, ms"]
    rows = []
    for name, found in groups.items():
        has_speech, at_once, ms, ms_at_once, used = np.array(found, float).T
        shares = [f"{1 - has_speech.mean():.1%}", f"{1 - at_once.mean():.1%}", f"{used.mean():.1%}"]
        rows.append([name, f"{len(found):,}", *shares, *(f"{x:.2f}" for x in (ms.mean(), np.median(ms)))])
        rows[-1].append(f"{np.median(ms_at_once):.2f}")
    return results.table(header, rows)


def cost() -> str:
    """Time the whole recognition from the bytes of a WAV file, over RAVDESS."""
    recognizer, took, worked, lengths_s = emocatcher.load(), [], [], []
    for utterance in corpora.load("ravdess"):
        samples, rate = soundfile.read(utterance.path, dtype="int16")
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="WAV")
        payload = file.getvalue()
        started, started_work = time.perf_counter(), time.process_time()
        recognizer.predict(payload)
        took.append((time.perf_counter() - started) * 1e3)
        worked.append((time.process_time() - started_work) * 1e3)
        lengths_s.append(len(samples) / rate)
    return (
        f"From the bytes of a WAV file to its `Prediction`, {len(took):,} clips of RAVDESS one after the other, "
        f"{np.mean(lengths_s):.1f} s on average: wall time mean {np.mean(took):.2f} ms, median "
        f"{np.median(took):.2f} ms; processor time mean {np.mean(worked):.2f} ms, median {np.median(worked):.2f} ms."
    )


def introduction(folder: Path) -> str:
    """Describe the measurement and its data."""
    names = dict.fromkeys(package for package, _, _ in SOURCES)
    versions = ", ".join(f"`{name}`{version_of(folder, name)}" for name in names)
    return (
        f"`python benchmarks/speech.py --sounds FOLDER` on {results.software()}; sounds from Debian's packages "
        f"{versions}. All rows except “{RAVDESS}, all” are of clips that the gate was not fitted to; no clip of "
        f"{', '.join(f'`{name}`' for name in UNSEEN)} was used for fitting. Noise is pink, sounds are those of the "
        "first table; decibels are the level of the voice above them. Times are processor time, because the machine is "
        "shared: those of `has_speech`, which uses Silero in doubt, and for the gate those of `has_speech_at_once`, "
        "which never does."
    )


def version_of(folder: Path, package: str) -> str:
    """Return the latest version in the package's change log, with a space before it."""
    import gzip

    for path in (folder / package / "usr/share/doc" / package).glob("changelog.Debian*.gz"):
        return " " + gzip.open(path, "rt", encoding="utf-8").readline().split("(")[1].split(")")[0]
    return ""


if __name__ == "__main__":
    main()
