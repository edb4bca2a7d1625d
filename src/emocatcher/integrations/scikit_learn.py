"""Embeddings as a scikit-learn transformer: recordings in, a matrix out, for pipelines and cross-validation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio.channels import Channels
from emocatcher.audio.sources import check_several
from emocatcher.foundation.errors import AudioError, MissingExtraError, SettingError, suggest
from emocatcher.recognition import failures
from emocatcher.recognition.embedding import Embedding, embed
from emocatcher.recognition.prediction import Failure
from emocatcher.recognition.recognizer import load

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ModuleNotFoundError:
    raise MissingExtraError("The scikit-learn transformer", "train", "Recognizer.embed needs none") from None

_ERRORS = ("raise", "nan")


class EmotionEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Maps recordings to the vectors from which a model answers. It learns nothing, so `fit` changes nothing.

    Args:
        model: as for `emocatcher.load`; None for the default model.
        channels: as for `Recognizer.predict`: "mix", "left", "right" or a number.
        workers: number of worker processes.
        errors: for a recording that cannot be used, or has no speech: "raise" an `AudioError`, or give a row of "nan".

    Attributes:
        n_features_out_: number of values of a vector, after the first `transform`.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        channels: Channels = "mix",
        workers: int = 1,
        errors: Literal["raise", "nan"] = "raise",
    ) -> None:
        self.model, self.channels, self.workers, self.errors = model, channels, workers, errors

    def fit(self, X: Iterable[audio.Source], y: object = None) -> EmotionEmbedder:  # noqa: ARG002, N803
        """Return the transformer as it is."""
        return self

    def transform(self, X: Iterable[audio.Source]) -> NDArray[np.float32]:  # noqa: N803
        """Embed recordings.

        Args:
            X: paths, URIs, encoded files' bytes, or (samples, sample_rate); also an array or a column of paths.

        Returns:
            shape (n_recordings, n_values), float32; 2304 values by default.

        Raises:
            AudioError: if a recording cannot be used or has no speech, unless `errors` is "nan".
            SettingError: if `errors`, `channels` or `workers` is not allowed, or a table has several columns.
            ModelError: if there is no such model, or it has no embedding.
            TypeError: if `X` is one recording. Give a list.
        """
        if self.errors not in _ERRORS:
            raise SettingError(suggest(str(self.errors), _ERRORS, "errors"))
        recognizer = load(self.model)
        n_values = recognizer.pooled.n_values
        sources = [str(one) if isinstance(one, np.str_) else one for one in _flat(X)]
        found = failures.outcomes(
            cast("failures.Predict", partial(_embed_one, recognizer, self.channels)),
            sources,
            self.workers,
            ordered=True,
        )
        vectors: list[NDArray[np.float32] | None] = []
        for (one,) in cast("Iterable[tuple[Embedding | Failure]]", found):
            if isinstance(one, Failure) and self.errors == "raise":
                raise AudioError(one.path or f"recording {len(vectors)}", one.message)
            vectors.append(None if isinstance(one, Failure) else one.vector)
        self.n_features_out_ = n_values
        missing = np.full(n_values, np.nan, np.float32)
        rows = [missing if vector is None else vector for vector in vectors]
        return np.stack(rows) if rows else np.empty((0, n_values), np.float32)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:  # noqa: ARG002
        """Return the names of the values: `e0`, `e1` and so on."""
        return np.array([f"e{n}" for n in range(load(self.model).pooled.n_values)], object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        return tags


def _flat(sources: Iterable[audio.Source]) -> Iterable[audio.Source]:
    """Also of an array or a table with one column."""
    check_several(sources)  # each letter of a path would be taken for a recording
    if getattr(sources, "ndim", 1) == 2:
        table = np.asarray(sources)
        if table.shape[1] != 1:
            raise SettingError(f"The table has {table.shape[1]} columns. Give the one that has the recordings")
        return cast("Iterable[audio.Source]", table.reshape(-1))
    return sources


def _embed_one(recognizer: Any, channels: Channels, source: audio.Source) -> tuple[Embedding]:
    return (embed(recognizer, source, channels=channels),)
