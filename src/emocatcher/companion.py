"""A process that computes the second half of every batch of a fold that has the machine to itself (see `halves`)."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocatcher import machine, model, optimiser, workers
from emocatcher.config import Settings
from emocatcher.dataset import FeatureTable
from emocatcher.errors import RunError
from emocatcher.halves import Batch, HalfHere
from emocatcher.model import EmotionNetwork

Message = TypeVar("Message")

_GO_ON = b"."
_LEARN, _MEASURE = "learn", "measure"
# Steps of a training that a companion shortens by more than it takes to start.
_WORTH_IT = 500


class _Stage(Enum):
    STARTING = "starting"  # its imports
    READING = "reading"  # its task
    READY = "ready"
    GONE = "gone"  # closed, or dead before it was ready; both halves are computed by the process that leads


class _Task(NamedTuple):
    settings: Settings
    n_classes: int
    features: FeatureTable
    ids: tuple[str, ...]

    def build(self) -> EmotionNetwork:
        network = model.build(self.settings, self.n_classes)
        if not isinstance(network, EmotionNetwork):
            raise TypeError(f"{type(network).__name__} cannot be learnt in halves")
        return network


class _Shared:
    """What the two processes hand each other, in memory that both have."""

    def __init__(self, network: EmotionNetwork, batch_size: int, memory: Any = None) -> None:
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        n_encoder = sum(parameter.numel() for parameter in network.encoder_parameters())
        shape = (batch_size, network.attention.key.out_features)
        sizes = [n_parameters, n_encoder, *2 * [shape[0] * shape[1]]]
        self.memory = memory or multiprocessing.get_context("spawn").RawArray("f", sum(sizes))
        parts: tuple[Tensor, ...] = torch.split(torch.frombuffer(self.memory, dtype=torch.float32), sizes)
        self.weights, self.gradient = parts[:2]
        self.context, self.d_context = parts[2].view(shape), parts[3].view(shape)


class Companion:
    """The process, as the one that leads sees it; see `halves.Companion`.

    Args:
        settings: the recipe.
        n_classes: emotions out.
        features: of the utterances.
        ids: of the training part, in its order.
    """

    def __init__(self, settings: Settings, n_classes: int, features: FeatureTable, ids: Sequence[str]) -> None:
        self._task = _Task(settings, n_classes, features, tuple(ids))
        self._shared = _Shared(self._task.build(), settings.training.batch_size)
        self._stage, self._n = _Stage.STARTING, 0
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # Little enough for the pipe that starts it: whoever starts a process that dies at once would wait for ever.
        arguments = (theirs, self._shared.memory)
        self._process = context.Process(target=_accompany, args=arguments, daemon=True)
        with machine.single_threaded():
            self._process.start()
        theirs.close()

    def close(self) -> None:
        """End the process, which has nothing of its own to save."""
        self._stage = _Stage.GONE
        self._connection.close()
        self._process.kill()
        self._process.join()

    def is_ready(self, within_s: float = 0.0) -> bool:
        """Whether it has started, or starts in that time; once it has, it stays so. One that died never is."""
        end = time.monotonic() + within_s
        try:
            while self._stage in (_Stage.STARTING, _Stage.READING):
                if not self._connection.poll(max(end - time.monotonic(), 0.0)):
                    return False
                self._connection.recv_bytes()
                if self._stage == _Stage.STARTING:
                    self._connection.send(self._task)
                self._stage = _Stage.READING if self._stage == _Stage.STARTING else _Stage.READY
        except (EOFError, OSError):
            self._stage = _Stage.GONE
        return self._stage == _Stage.READY

    def begin(self, noise: np.random.SeedSequence, halves: Sequence[Batch]) -> None:
        """See `halves.Half`."""
        self._sizes = iter([len(half) for half in halves])
        self._heard(lambda: self._connection.send((_LEARN, (noise, halves))))

    def start(self, flat: Tensor) -> None:
        """See `halves.Half`."""
        self._n = next(self._sizes)
        self._shared.weights.copy_(flat)
        self._heard(lambda: self._connection.send_bytes(_GO_ON))

    def context(self) -> Tensor:
        """See `halves.Half`."""
        self._heard(self._connection.recv_bytes)
        return self._shared.context[: self._n]

    def turn(self, d_context: Tensor) -> None:
        """See `halves.Half`."""
        self._shared.d_context[: self._n] = d_context
        self._heard(lambda: self._connection.send_bytes(_GO_ON))

    def gradient(self) -> Tensor:
        """See `halves.Half`."""
        self._heard(self._connection.recv_bytes)
        return self._shared.gradient

    def look_at(self, ids: Sequence[str], flat: Tensor) -> None:
        """See `halves.Half`."""
        self._shared.weights.copy_(flat)
        self._heard(lambda: self._connection.send((_MEASURE, tuple(ids))))

    def contexts(self) -> Tensor:
        """See `halves.Half`."""
        found: NDArray[np.float32] = self._heard(self._connection.recv)
        return torch.from_numpy(found)

    def _heard(self, exchange: Callable[[], Message]) -> Message:
        try:
            return exchange()
        except (EOFError, OSError):
            raise RunError(workers.ENDED) from None


@contextlib.contextmanager
def accompanied(
    settings: Settings, n_classes: int, features: FeatureTable, ids: Sequence[str], *, n_epochs: int
) -> Iterator[Companion | None]:
    """A companion where a core is free for it and the epochs to come are enough to gain by it, else None."""
    n_steps = n_epochs * (len(ids) // settings.training.batch_size)
    if machine.usable_cores() < 2 or n_steps < _WORTH_IT:
        yield None
        return
    try:
        companion = Companion(settings, n_classes, features, ids)
    except OSError:  # no memory, or no process more: it goes without
        yield None
        return
    with contextlib.closing(companion):
        yield companion


def _accompany(connection: Connection, memory: Any) -> None:
    """The process itself: does what it is told until the one that leads closes its end or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller alone answers it
    machine.keep_memory()
    torch.set_num_threads(machine.N_THREADS)
    with contextlib.suppress(EOFError, OSError):
        connection.send_bytes(_GO_ON)
        task: _Task = connection.recv()
        network = task.build()
        shared = _Shared(network, task.settings.training.batch_size, memory)
        flat = optimiser.flatten(network).detach()
        half = HalfHere(network, task.features, task.ids)
        connection.send_bytes(_GO_ON)
        while True:
            what, given = connection.recv()
            if what == _LEARN:
                half.begin(*given)
                for n in map(len, given[1]):
                    _learn(half, n, flat, shared, connection)
            else:
                flat.copy_(shared.weights)
                half.look_at(given, flat)
                connection.send(half.contexts().numpy())


def _learn(half: HalfHere, n: int, flat: Tensor, shared: _Shared, connection: Connection) -> None:
    """One batch's half, of `n` clips."""
    connection.recv_bytes()
    flat.copy_(shared.weights)
    half.start(flat)
    shared.context[:n] = half.context()
    connection.send_bytes(_GO_ON)
    connection.recv_bytes()
    half.turn(shared.d_context[:n].clone())
    shared.gradient.copy_(half.gradient())
    connection.send_bytes(_GO_ON)
