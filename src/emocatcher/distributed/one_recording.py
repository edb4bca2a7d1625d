"""Recognise one recording in the process that is limited and may be lost (see `parallel.IsolatedProcess`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from emocatcher import audio
from emocatcher.audio.channels import Channels
from emocatcher.audio.sources import path_of
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import EmoCatcherError, one_line
from emocatcher.models import model_folder
from emocatcher.recognition import failures
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.settling import Settled

_LONGEST_MESSAGE = 300


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one recording may take."""

    seconds: float  # both wall-clock and processor time
    memory_bytes: int  # beyond what the process has with the model
    longest_s: float  # duration of the recording


class OneRecording:
    """A function that recognises a recording with a model that each process loads once.

    Args:
        folder: the model folder.
        emotions: as for `Recognizer`.
        settled: as for `Recognizer`.
        channels: as for `Recognizer.predict`.
        abstain_below: as for `Recognizer.predict`.
        limits: for each recording.
    """

    def __init__(
        self, folder: Path, *, emotions: tuple[str, ...] | None, settled: Settled | None, channels: Channels,
        abstain_below: float | None, limits: Limits,
    ) -> None:  # fmt: skip
        self._folder, self._emotions, self._settled, self._limits = folder, emotions, settled, limits
        self._options: dict[str, Any] = {"channels": channels, "abstain_below": abstain_below}

    def prepare(self) -> None:
        """Load the model, check the options, and limit the memory.

        Raises:
            ModelError: if the model cannot be run.
            SettingError: if an option is not allowed.
        """
        model = model_folder.read(self._folder)
        self._recognizer = Recognizer(model, emotions=self._emotions, settled=self._settled)
        self._recognizer.predict_many([], **self._options)
        process_setup.limit_memory(self._limits.memory_bytes)

    def __call__(self, source: audio.Source) -> Prediction | Failure:
        """Recognise a recording; whatever its decoding raises becomes a failure."""
        process_setup.limit_processor_time(self._limits.seconds)
        try:
            (outcome,) = failures.attempt(self._predict, source)
        except EmoCatcherError:  # of the model or the options, which all recordings would have
            raise
        except Exception as error:  # a fault of this package or of a decoder must not end a job of millions
            message = one_line(f"unexpected error: {error}")[:_LONGEST_MESSAGE]
            return Failure(path=path_of(source), error=type(error).__name__, message=message)
        # The attention is not a column, and would take longer to send than all the rest.
        return outcome if isinstance(outcome, Failure) else msgspec.structs.replace(outcome, attention=())

    def _predict(self, source: audio.Source) -> tuple[Prediction, ...]:
        longest_s = self._limits.longest_s
        return (self._recognizer.predict(source, longest_s=longest_s, threads=1, **self._options),)
