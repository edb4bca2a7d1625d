"""An encoder's network on clips that overlap in one recording, as windows do: what they share is encoded once.

A clip's answer differs a little from that of the whole network, because each frame is encoded among other neighbours.
The frames are encoded in pieces about as long as an utterance, the length at which the statistics were fitted: with
pieces of ten seconds, most answers would be others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.dimensions import unscaled
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import EncoderNetwork
from emocatcher.models.model_folder import WEIGHTS, Bundle
from emocatcher.models.onnx_session import Answers, OnnxSession


class OverlappingClips:
    """The network of a model with an encoder, for clips of one recording.

    Args:
        model: an opened model folder.
        session: of its network, with the output `states`.
    """

    def __init__(self, model: Bundle, session: OnnxSession) -> None:
        self._model, self._session, settings = model, session, model.config.settings
        self._longest = settings.network.frames_per_step * EncoderNetwork.LONGEST_PIECE
        self._floor_db = np.float32(settings.front_end.floor_db)
        self._n_layers, self._width = (
            (settings.encoder.n_layers, settings.encoder.width) if settings.encoder else (0, 0)
        )

    def run(self, clips: Sequence[NDArray[np.float32]], first_frames: Sequence[int]) -> Answers:
        """Classify clips of one recording.

        Args:
            clips: each of shape (n_mels, n_frames), dB, with at least one frame.
            first_frames: of each clip, in the recording.

        Returns:
            the answers, without attention. A clip of at most three seconds that overlaps no other gives those of the
            whole network.

        Raises:
            ModelError: if the network fails, or the weights cannot be read or have other shapes than the settings.
        """
        start = min(first_frames)
        ends = [first + clip.shape[1] for first, clip in zip(first_frames, clips, strict=True)]
        spans = [(first - start, end - start) for first, end in zip(first_frames, ends, strict=True)]
        union = np.full((len(clips[0]), max(ends) - start), np.inf, np.float32)
        for clip, (first, last) in zip(clips, spans, strict=True):
            # Each clip is limited to some dB below its own maximum; the lowest limit is the nearest to the recording.
            np.minimum(union[:, first:last], clip, out=union[:, first:last])
        states, places = self._encode(union)
        rows = [statistics(states[places[first:last:2]], self._n_layers) for first, last in spans]
        mean, deviation, *layers = self._head
        pooled = (np.stack(rows) - mean) / deviation
        logits, *others = (
            np.asarray(pooled @ matrix.T + bias, np.float32)
            for matrix, bias in zip(layers[::2], layers[1::2], strict=True)
        )
        found = others[0] if others else np.empty((len(clips), 0), np.float32)
        return Answers(logits, [], unscaled(found, self._model.config.dimensions).astype(np.float32))

    @cached_property
    def _head(self) -> list[NDArray[np.float32]]:
        """The weights of the linear layers; read on first use, because a short recording does not need them."""
        weights, path = self._model.weights(), self._model.path / WEIGHTS
        n_statistics, n_classes = 2 * self._n_layers * self._width, len(self._model.config.labels)
        needed: dict[str, tuple[int, ...]] = {"mean": (n_statistics,), "deviation": (n_statistics,)}
        needed |= {"output.weight": (n_classes, n_statistics), "output.bias": (n_classes,)}
        if n := len(self._model.config.dimensions):
            needed |= {"dimensions.weight": (n, n_statistics), "dimensions.bias": (n,)}
        for name, shape in needed.items():
            if name not in weights or weights[name].shape != shape:
                raise ModelError(f"{path} has no '{name}' of the shape {shape}. Copy the model folder again")
        return [weights[name] for name in needed]

    def _encode(self, union: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Encode the frames that are in a clip; the others are infinite.

        Returns:
            states: shape (n_steps, n_layers · width).
            places: shape (n_frames,), the step of each frame.
        """
        is_used = np.isfinite(union[0])
        edges = np.flatnonzero(np.diff(is_used, prepend=False, append=False))
        states, places, n_steps = [], np.zeros(len(is_used), np.int64), 0
        for start, end in edges.reshape(-1, 2):
            n_pieces = -(-(end - start) // self._longest)
            cuts = [int(start + (end - start) * i // n_pieces) for i in range(n_pieces + 1)]
            for first, last in itertools.pairwise(cuts):
                piece = union[:, first:last]
                states.append(self._session.states(np.maximum(piece, piece.max() - self._floor_db)))
                places[first:last] = n_steps + np.arange(last - first) // 2
                n_steps += len(states[-1])
        return np.concatenate(states), places


def statistics(states: NDArray[np.float32], n_layers: int) -> NDArray[np.float32]:
    """Compute `models.networks.encoder.statistics` of a clip.

    Args:
        states: shape (n_steps, n_layers · width), from `OnnxSession.states`.
        n_layers: of the encoder.

    Returns:
        shape (2 · n_layers · width,).
    """
    mean = states.mean(axis=0)
    deviation = np.sqrt(states.var(axis=0) + np.float32(EncoderNetwork.SMALLEST_VARIANCE))
    return np.stack([part.reshape(n_layers, -1) for part in (mean, deviation)], axis=1).reshape(-1)
