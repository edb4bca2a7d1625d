"""Encode the clips of a corpus once, for networks with a frozen encoder: statistics over time instead of frames.

Training then needs neither the encoder nor the frames. The training part is degraded and augmented before it is
encoded, so a recipe has a fixed number of copies of each clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.settings import Encoder, EncoderNetwork, Settings
from emocatcher.models import encoder_weights
from emocatcher.models.model_folder import Bundle
from emocatcher.training.feature_cache import FeatureCache, FeatureTable
from emocatcher.training.training_pool import Pool

if TYPE_CHECKING:
    from emocatcher.models.networks.whisper import WhisperEncoder

# Increment it when the code computes other statistics from the same settings: older caches are then not read.
_CODE_VERSION = 3
_DEGRADATION_VERSION = 1  # the same for degraded copies alone
_AT_ONCE = 32  # clips of a task


class _Task(msgspec.Struct, frozen=True):
    features: FeatureTable
    settings: Settings
    keys: tuple[tuple[str, Utterance, int], ...]  # (key in the cache, utterance, copy)
    device: str
    model: Path | None  # whose graph encodes; None for the encoder of the settings


class EncodedClips:
    """The statistics of clips and of their augmented copies, each of shape (n_statistics, 1).

    Args:
        table: one row for each copy of each utterance.
        n_copies: augmented copies of each clip.
    """

    def __init__(self, table: FeatureTable, n_copies: int) -> None:
        self.table, self._n_copies = table, n_copies

    def originals(self, ids: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the statistics of the clips themselves."""
        return self.table.clips([_copy_id(id_, 0) for id_ in ids])

    def all_copies(self, ids: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the statistics of the clips and of all their copies."""
        return self.table.clips([_copy_id(id_, number) for id_ in ids for number in range(self._n_copies + 1)])

    def drawn(self, ids: Sequence[str], random: np.random.Generator) -> list[NDArray[np.float32]]:
        """Return one of the clip and its copies, drawn for each utterance."""
        numbers = random.integers(self._n_copies + 1, size=len(ids)).tolist()
        return self.table.clips([_copy_id(id_, number) for id_, number in zip(ids, numbers, strict=True)])


def encode(
    pool: Pool,
    corpus: Corpus,
    features: FeatureTable,
    settings: Settings,
    *,
    device: str = "cpu",
    model: Bundle | None = None,
    n_copies: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> EncodedClips | None:
    """Encode all clips and their augmented copies on all cores, or find them in the cache.

    They are saved as they are encoded, so an interrupted run continues where it stopped.

    Args:
        pool: workers to compute in.
        corpus: the utterances, whose recordings are read again where they are degraded.
        features: the clips.
        settings: the recipe, with the sizes of its encoder.
        device: to encode on. What a GPU encoded has a cache of its own, because it is not bit-identical.
        model: whose graph encodes, on the CPU; None for the encoder that the settings name.
        n_copies: augmented copies of each clip; None for those of the settings.
        on_progress: called with (done, total) clips.
        folder: the cache folder; by default, the user's.

    Returns:
        the statistics; None if the network has no encoder.

    Raises:
        ModelError: if the encoder cannot be found.
        AudioError: if a recording cannot be decoded any more.
        FeatureCacheError: if the cache cannot be written.
    """
    network, encoder = settings.network, settings.encoder
    if not isinstance(network, EncoderNetwork) or isinstance(encoder, msgspec.UnsetType):
        return None
    path = model.onnx_path if model else encoder_weights.locate(encoder) / encoder_weights.WEIGHTS
    with path.open("rb") as file:
        source = hashlib.file_digest(file, "sha256").hexdigest()
    n_copies = network.n_copies if n_copies is None else n_copies
    recipe = [_CODE_VERSION, source, encoder.n_layers, settings.front_end, settings.augmentation]
    if settings.degradation is not msgspec.UNSET:
        recipe += [_DEGRADATION_VERSION, settings.vad, settings.degradation]
    if device != "cpu":
        recipe.append(device)
    name = f"encoded-{hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()[:16]}.safetensors"
    cache = FeatureCache((folder or cache_dir() / "features") / name)
    keys: dict[str, str] = {}  # by the id of a copy
    missing: dict[str, tuple[str, Utterance, int]] = {}
    for utterance in corpus:
        content = hashlib.sha256(features.clip(utterance.id).tobytes()).hexdigest()[:32]
        for number in range(n_copies + 1):
            key = keys[_copy_id(utterance.id, number)] = f"{content}#{number}"
            if key not in cache:
                missing.setdefault(key, (key, utterance, number))
    n_done = 0
    with cache:
        tasks = _tasks(features, settings, list(missing.values()), device, model.path if model else None)
        for found in pool.run(_encode, tasks):
            for key, row in found.items():
                cache.add(key, row[:, None])
            n_done += len(found)
            if on_progress:
                on_progress(n_done, len(missing))
    return EncodedClips(cache.table(list(keys), list(keys.values())), n_copies)


def _tasks(
    features: FeatureTable,
    settings: Settings,
    missing: Sequence[tuple[str, Utterance, int]],
    device: str,
    model: Path | None,
) -> list[_Task]:
    """Cut the work into tasks; each contains only what it needs, because it is sent to another process."""
    cuts = [tuple(missing[start : start + _AT_ONCE]) for start in range(0, len(missing), _AT_ONCE)]
    return [
        _Task(
            features.select(list(dict.fromkeys(utterance.id for _, utterance, _ in cut))), settings, cut, device, model
        )
        for cut in cuts
    ]


def _copy_id(utterance: str, number: int) -> str:
    return f"{utterance}#{number}"


def _encode(task: _Task) -> dict[str, NDArray[np.float32]]:
    """Compute statistics in a worker process: key → shape (n_statistics,)."""
    return dict(_statistics(task))


def _statistics(task: _Task) -> Iterator[tuple[str, NDArray[np.float32]]]:
    from emocatcher.training.augmentation import Augmenter
    from emocatcher.training.degraded_copies import draw_channels

    pooled = _pooling_of_graph(task.model) if task.model else _pooling(task.settings, task.device)
    augmenter = Augmenter(task.settings.augmentation, task.settings.front_end)
    for key, utterance, number in task.keys:
        clip = task.features.clip(utterance.id)
        if number:  # by the clip's content, so that a copy does not depend on the others
            seed = np.frombuffer(bytes.fromhex(key[:32]), np.uint32)
            degraded = draw_channels(utterance, task.settings, np.random.default_rng([*seed, number, 1]))
            clip = clip if degraded is None else degraded
            clip = augmenter(clip, np.random.default_rng([*seed, number]))
        yield key, pooled(np.array(clip, order="C"))


def _pooling(settings: Settings, device: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function from channels to their statistics, by PyTorch."""
    import torch

    from emocatcher.models.networks.encoder import statistics

    assert isinstance(settings.encoder, Encoder)  # noqa: S101 (`encode` has checked it)
    encoder = _encoder(settings.encoder, settings.front_end.n_mels, device)

    def pooled(clip: NDArray[np.float32]) -> NDArray[np.float32]:
        channels, lengths = torch.from_numpy(clip[None]), torch.tensor([clip.shape[1]])
        with torch.inference_mode():
            return np.asarray(statistics(encoder, channels.to(device), lengths.to(device))[0].cpu().numpy())

    return pooled


@lru_cache(maxsize=1)
def _pooling_of_graph(folder: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function from channels to their statistics, by the graph of a model folder."""
    from emocatcher.models import model_folder
    from emocatcher.models.onnx_session import OnnxSession

    return OnnxSession(model_folder.read(folder)).statistics


def load_encoder(network: object, settings: Settings) -> None:
    """Set the weights of a network's encoder to those of its source."""
    from emocatcher.models.networks.encoder import EncoderModule
    from emocatcher.models.networks.whisper import load

    if isinstance(network, EncoderModule) and isinstance(settings.encoder, Encoder):
        load(network.encoder, encoder_weights.read(settings.encoder))


@lru_cache(maxsize=1)
def _encoder(settings: Encoder, n_mels: int, device: str) -> WhisperEncoder:
    from emocatcher.models.networks.whisper import WhisperEncoder, load

    encoder = WhisperEncoder(settings, n_mels)
    load(encoder, encoder_weights.read(settings))
    return encoder.eval().to(device)
