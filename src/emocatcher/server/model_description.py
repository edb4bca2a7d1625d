"""Describe a model for `GET /v1/model` and for the page, which contains the same description."""

from __future__ import annotations

import msgspec

from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import FrontEnd
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.recognition.prediction import SCHEMA_VERSION
from emocatcher.recognition.settling import Settled


class TrainingDescription(msgspec.Struct, frozen=True, kw_only=True):
    """How the model was trained, and its scores."""

    corpus: str
    licence: str  # of the corpus, which the weights inherit
    protocol: str
    speakers_shared: bool | None  # None: not known
    scores: dict[str, float]  # fractions; the concordance of a dimension is from -1 to 1
    synthetic: bool
    note: str


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """All that a client needs to show a prediction of this model."""

    name: str
    version: str  # of emocatcher, when the model was written
    weights_sha256: str  # tells apart models of one name and version
    schema_version: int = SCHEMA_VERSION  # of the answers
    labels: tuple[str, ...]
    dimensions: tuple[Dimension, ...]  # that it estimates beside the emotion
    sample_rate_hz: int
    frame_period_s: float
    frames_per_step: int  # frames for each attention weight
    temperature: float
    abstain_below: float
    n_parameters: int
    longest_voiced_s: float | None  # of the training recordings; None: not known
    front_end: FrontEnd
    training: TrainingDescription
    card: str  # Markdown
    waveform_onnx: str | None  # address of the ONNX graph with a waveform input; None: not available
    listen_corpus: bool  # whether there are clips to guess
    token_required: bool
    settled: Settled | None = None  # what the server's answers have settled on by default


def describe(
    model: Bundle, *, waveform_onnx: str | None, listen_corpus: bool = False, token_required: bool = False
) -> ModelDescription:
    """Read a model folder's settings and card.

    Args:
        model: an opened model folder.
        waveform_onnx: the address of its ONNX graph with a waveform input; None if there is none.
        listen_corpus: whether this server has clips to guess.
        token_required: whether this server requires a token.
    """
    config = model.config
    training, front_end = config.training, config.settings.front_end
    card = model.path / model_folder.CARD
    return ModelDescription(
        name=config.name,
        version=config.version,
        weights_sha256=config.sha256.get(model_folder.WEIGHTS, ""),
        labels=config.labels,
        dimensions=config.dimensions,
        sample_rate_hz=front_end.sample_rate,
        frame_period_s=front_end.frame_period_s,
        frames_per_step=config.settings.network.frames_per_step,
        temperature=config.temperature,
        abstain_below=config.abstain_below,
        n_parameters=config.n_parameters,
        longest_voiced_s=config.longest_voiced_s,
        front_end=front_end,
        training=TrainingDescription(
            corpus=training.corpus,
            licence=training.licence,
            protocol=training.protocol,
            speakers_shared=training.speakers_shared,
            scores=training.scores,
            synthetic=training.synthetic,
            note=training.note,
        ),
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else "",
        waveform_onnx=waveform_onnx,
        listen_corpus=listen_corpus,
        token_required=token_required,
    )
