"""What several test files share."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from emocatcher import corpora
from emocatcher.corpora import joined, synthetic
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.training.dataset import Part, load_features
from emocatcher.training.feature_cache import FeatureTable

pytest_plugins = ("generated_runs", "made_models", "rated_voices", "remote_places")

# Before PyTorch is imported: two threads that wait for each other beside a busy core make these tests ten times longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where the tests run in the background of a shell, Ctrl-C is ignored, also by each program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Modules and tests last until the end, so the garbage collector need not search them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def ravdess_dir() -> Path:
    """The folder of the real RAVDESS, or a skip that says how to have it."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    if not root or not (Path(root) / "ravdess").is_dir():
        pytest.skip("needs the real RAVDESS: set EMOCATCHER_CORPORA to the folder that holds ravdess/")
    return Path(root) / "ravdess"


@pytest.fixture(scope="session", autouse=True)
def scratch_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test touches the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("EMOCATCHER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def page_in_wheel() -> Callable[[Path], dict[str, bytes]]:
    """The files, by name, that `hatch_build.py` adds to the wheel of a checkout."""
    specification = importlib.util.spec_from_file_location("hatch_build", Path(__file__).parents[1] / "hatch_build.py")
    assert specification is not None
    assert specification.loader is not None
    hatch_build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hatch_build)

    def added(root: Path) -> dict[str, bytes]:
        hook = hatch_build.PageHook(str(root), {}, None, None, str(root / "dist"), "wheel")
        build_data: dict[str, Any] = {"force_include": {}}
        hook.initialize("standard", build_data)
        with zipfile.ZipFile(root / "wheel.zip", "w") as wheel:
            for path, place in build_data["force_include"].items():
                wheel.write(path, place)
        hook.finalize()
        with zipfile.ZipFile(root / "wheel.zip") as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}

    return added


@pytest.fixture(scope="session")
def voices_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four synthetic voices: 240 clips, 2 s each."""
    root = tmp_path_factory.mktemp("voices") / "corpus"
    synthetic.generate(root, n_voices=4)
    return root


@pytest.fixture(scope="session")
def voices(voices_dir: Path) -> Corpus:
    return corpora.load(str(voices_dir))


@pytest.fixture(scope="session")
def small_network() -> tuple[str, ...]:
    """Overrides that make a network of a few thousand parameters, with which an epoch takes a moment."""
    return ("network.conv_channels=[8, 8]", "network.gru_units=8", "network.classifier_units=8")


@pytest.fixture(scope="session")
def small_settings(small_network: tuple[str, ...]) -> Settings:
    return load_preset("cabg", [*small_network, "training.n_epochs=3"])


@pytest.fixture(scope="session")
def features(voices: Corpus, small_settings: Settings) -> FeatureTable:
    """Of `voices`."""
    return load_features(voices, small_settings)


@pytest.fixture(scope="session")
def parts(voices: Corpus) -> dict[str, Part]:
    """A fold of `voices`: a quarter to train on, another to test on."""

    def part(start: int) -> Part:
        chosen = voices.utterances[start::4]
        return Part(tuple(u.id for u in chosen), np.array([voices.labels.index(u.emotion) for u in chosen], np.int64))

    return {"train": part(0), "test": part(1)}


@pytest.fixture(scope="session")
def residual_settings() -> Settings:
    """A small `emocatcher-2`."""
    small = ("channels=8", "gru_units=8", "attention_units=8", "classifier_units=8")
    coarse = ("front_end.hop_length=512", "vad.margin_frames=8", "training.n_epochs=5")
    return load_preset("emocatcher-2", [*(f"network.{size}" for size in small), *coarse])


class Finished(NamedTuple):
    folder: Path
    corpus: Corpus
    protocol: protocols.Protocol
    settings: Settings


@pytest.fixture(scope="session")
def crowded() -> Callable[[Corpus], Corpus]:
    """A function that gives the utterances of a corpus to five women and five men, so that groups can be scored."""

    def spread(corpus: Corpus) -> Corpus:
        genders = ["female" if n % 3 else "male" for n in range(len(corpus))]
        utterances = [
            msgspec.structs.replace(u, speaker=f"{gender}-{n % 5}", gender=gender)
            for n, (u, gender) in enumerate(zip(corpus, genders, strict=True))
        ]
        return msgspec.structs.replace(corpus, utterances=tuple(utterances))

    return spread


class InProcess:
    """Stands in for `TrainingPool`: one task after the other, here, where starting processes would take seconds."""

    def __init__(self, n_workers: int, warm_up: Callable[[], None], on_report: Callable[[Any], None]) -> None:
        self.on_report, self.patch = on_report, pytest.MonkeyPatch()

    def __enter__(self) -> InProcess:
        self.patch.setattr("emocatcher.training.training_pool.report", self.on_report)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        yield from map(function, reversed(tasks))  # outcomes come in any order


@pytest.fixture(scope="session")
def train_here() -> Iterator[Callable[..., Finished]]:
    """`experiment.run` in this process, without audit and report: (out, corpus, protocol's name, settings, …)."""
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from emocatcher.training import experiment

    def train(out: Path, corpus: Corpus, name: str, settings: Settings, **options: Any) -> Finished:
        protocol = protocols.load(name, corpus, options.get("seed", 0))
        experiment.run(corpus, protocol, settings, out, audited=False, reported=False, **options)
        return Finished(out, corpus, protocol, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "TrainingPool", InProcess)
        yield train


@pytest.fixture(scope="session")
def small_run(
    tmp_path_factory: pytest.TempPathFactory,
    train_here: Callable[..., Finished],
    voices: Corpus,
    small_network: tuple[str, ...],
) -> Finished:
    """Two folds that share speakers, 12 epochs. Not to be written to."""
    settings = load_preset("cabg", [*small_network, "training.n_epochs=12"])
    return train_here(tmp_path_factory.mktemp("runs") / "small", voices, "stratified-2", settings)


def piece(voices: Corpus, name: str, speakers: tuple[str, ...], emotions: tuple[str, ...], n: int = 24) -> Corpus:
    """A small corpus of some of the synthetic voices."""
    chosen = [u for u in voices if u.speaker in speakers and u.emotion in emotions]
    order = np.random.default_rng(len(name)).permutation(len(chosen))[:n]
    return msgspec.structs.replace(
        voices, name=name, utterances=tuple(chosen[i] for i in sorted(order)), labels=emotions
    )


@pytest.fixture(scope="session")
def several(voices: Corpus) -> Corpus:
    """Three joined corpora: one has calm, one lacks happy and has listeners, who chose happy most, one is larger."""
    first, second, third, _ = voices.speakers
    lacking = piece(voices, "lacking", (second,), ("neutral", "sad", "angry"))
    voted = tuple(msgspec.structs.replace(u, listeners=(("happy", 9), (u.emotion, 5))) for u in lacking)
    return joined.join(
        [
            piece(voices, "with-calm", (first,), ("neutral", "calm", "happy", "sad", "fearful")),
            msgspec.structs.replace(lacking, utterances=voted),
            piece(voices, "larger", (third,), ("neutral", "happy", "sad", "angry"), n=40),
        ],
        {},
    )


@pytest.fixture(scope="session")
def across(
    tmp_path_factory: pytest.TempPathFactory,
    train_here: Callable[..., Finished],
    several: Corpus,
    small_network: tuple[str, ...],
) -> Finished:
    """A run of `leave-one-corpus-out`, 2 epochs. Not to be written to."""
    settings = load_preset("cabg", [*small_network, "training.n_epochs=2", "training.balance=corpora-and-classes"])
    return train_here(tmp_path_factory.mktemp("runs") / "across", several, "leave-one-corpus-out", settings)
