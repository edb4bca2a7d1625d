"""Run a model folder's network with ONNX Runtime, on files that may come from strangers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import ModelError, one_line
from emocatcher.models import model_folder, onnx_check
from emocatcher.models.model_folder import Bundle

_INPUTS, _OUTPUTS = ["log_mel", "lengths"], ["logits", "attention"]
_DIMENSIONS, _STATISTICS = "dimensions", "statistics"


class Answers(NamedTuple):
    """What a network returns for some clips."""

    logits: NDArray[np.float32]  # (n_clips, n_classes)
    attention: list[NDArray[np.float32]]  # one array of shape (n_frames',) per clip, summing to 1
    dimensions: NDArray[np.float32]  # (n_clips, n_dimensions), ratings within their ranges


class OnnxSession:
    """A network that is ready to run.

    Args:
        model: an opened model folder.

    Attributes:
        has_encoder: whether the network has an encoder, of which the graph has the statistics as its last output.
        n_dimensions: number of dimensions that the network estimates.

    Raises:
        ModelError: if the graph is refused (see `onnx_check`) or cannot be opened, or its labels, inputs or outputs
            differ from those of the model.
    """

    def __init__(self, model: Bundle) -> None:
        import onnxruntime

        self._only_needed = onnxruntime.RunOptions()
        self._only_needed.only_execute_path_to_fetches = True
        encoder = model.config.settings.encoder
        self._n_statistics = 2 * encoder.n_layers * encoder.width if encoder else 0
        self._path, self._n_classes = model.onnx_path, len(model.config.labels)
        self.n_dimensions = len(model.config.dimensions)
        self._outputs = [*_OUTPUTS, *([_DIMENSIONS] if self.n_dimensions else [])]
        try:
            # The checked bytes, not the path: the file could be replaced in between.
            payload = self._path.read_bytes()
            onnx_check.check(payload, str(self._path))
            self._session = open_session(payload)
            labels = json.loads(self._session.get_modelmeta().custom_metadata_map.get("labels", "[]"))
            named = ", ".join(map(str, labels)) or "(none)"
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no other common base class
            raise self._problem(error) from error
        if labels != list(model.config.labels):
            raise ModelError(
                f"{self._path} names the emotions {named}, but {model_folder.CONFIG} "
                f"{', '.join(model.config.labels)}. Copy the model folder again"
            )
        ports = [[port.name for port in ports] for ports in (self._session.get_inputs(), self._session.get_outputs())]
        self.has_encoder = ports[1][-1:] == [_STATISTICS]
        if ports != [_INPUTS, self._outputs + [_STATISTICS] * self.has_encoder]:
            raise ModelError(
                f"{self._path} has the inputs {ports[0]} and the outputs {ports[1]}; {_INPUTS} and {self._outputs} are "
                "needed. Copy the model folder again"
            )

    def run(self, batch: NDArray[np.float32], lengths: NDArray[np.int64], n_steps: NDArray[np.int64]) -> Answers:
        """Run one batch.

        Args:
            batch: shape (n_clips, n_channels, n_frames).
            lengths: shape (n_clips,), frames of each clip.
            n_steps: shape (n_clips,), attention weights of each clip.

        Raises:
            ModelError: if the network fails, or its outputs have another shape, or are not finite.
            MemoryError: if there is not enough memory.
        """
        logits, attention, *others = self._run(self._outputs, batch, lengths)
        dimensions = others[0] if others else np.empty((len(batch), 0), np.float32)
        n_clips, longest = len(batch), n_steps.max(initial=0)
        fits = attention.ndim == 2 and attention.shape[0] == n_clips and attention.shape[1] >= longest
        fits = fits and logits.shape == (n_clips, self._n_classes) and dimensions.shape == (n_clips, self.n_dimensions)
        if not fits:
            rated = f", dimensions of shape {dimensions.shape}" if others else ""
            raise ModelError(
                f"{self._path} returns logits of shape {logits.shape}{rated} and attention of shape {attention.shape} "
                f"for {n_clips} clips, which do not fit {model_folder.CONFIG}. Copy the model folder again"
            )
        if not all(np.isfinite(one).all() for one in (logits, attention, dimensions)):
            raise ModelError(f"{self._path} returns NaN or infinity. The model is damaged: use another one")
        return Answers(logits, [weights[:n] for weights, n in zip(attention, n_steps, strict=True)], dimensions)

    def statistics(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run an encoder on one clip, and pool its states over time.

        Args:
            clip: shape (n_mels, n_frames), dB.

        Returns:
            shape (2 · n_layers · width,): mean and deviation of the first layer's states, and so on.

        Raises:
            ModelError: as for `run`.
            MemoryError: as for `run`.
        """
        (found,) = self._run([_STATISTICS], clip[None], np.array([clip.shape[1]], np.int64))
        if found.shape != (1, self._n_statistics):
            raise ModelError(
                f"{self._path} returns statistics of shape {found.shape}, which do not fit {model_folder.CONFIG}. "
                "Copy the model folder again"
            )
        if not np.isfinite(found).all():
            raise ModelError(f"{self._path} returns NaN or infinity. The model is damaged: use another one")
        return np.asarray(found[0])

    def _run(self, names: list[str], batch: NDArray[np.float32], lengths: NDArray[np.int64]) -> list[Any]:
        # The published graphs name their input `log_mel`, although it also has the pitch rows.
        return self.run_in(self._session, names, dict(zip(_INPUTS, (batch, lengths), strict=True)))

    def run_in(self, session: Any, names: list[str], inputs: dict[str, NDArray[Any]]) -> list[Any]:
        """Run this graph, or one that was made from it, and return some of its outputs.

        Raises:
            ModelError: if it fails.
            MemoryError: if there is not enough memory.
        """
        try:
            outputs: list[Any] = session.run(names, inputs, self._only_needed)
        except Exception as error:  # as above
            if "alloc" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise self._problem(error) from error
        return outputs

    def _problem(self, error: Exception) -> ModelError:
        reason = one_line(str(error).partition("\n")[0][:300] or type(error).__name__)
        return ModelError(f"{self._path} cannot be run: {reason}. Copy the model folder again")


def open_session(payload: bytes) -> Any:
    """Open a graph that was checked."""
    # Imported here because it takes a third of a second, which reading a model's card does not need.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One clip is too little work for several threads: waiting for each other would take longer than the work.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its warnings quote names of the graph, which could control a terminal
    return onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
