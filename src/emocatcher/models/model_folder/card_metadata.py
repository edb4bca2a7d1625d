"""Make the header of a model card that the Hugging Face hub reads: licence, languages, corpora and scores."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from emocatcher.foundation.errors import CorpusError, one_line

if TYPE_CHECKING:
    from emocatcher.corpora import CorpusCard
    from emocatcher.models.model_folder import ModelConfig, Training

LICENCE_FILE = "LICENSE.md"
_LICENCES = {
    "Apache 2.0": "apache-2.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-NC 4.0": "cc-by-nc-4.0",
    "CC BY-NC-ND 4.0": "cc-by-nc-nd-4.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "CC0 1.0": "cc0-1.0",
    "GPL 3.0": "gpl-3.0",
    "MIT": "mit",
    "ODbL 1.0, contents DbCL 1.0": "odbl",
}
_LANGUAGES = {
    "Amharic": "am", "Bangla": "bn", "English": "en", "French": "fr", "German": "de", "Greek": "el", "Indonesian": "id",
    "Italian": "it", "Japanese": "ja", "Kannada": "kn", "Korean": "ko", "Mandarin": "zh", "Persian": "fa",
    "Polish": "pl", "Portuguese": "pt", "Spanish": "es", "Thai": "th", "Turkish": "tr", "Urdu": "ur",
}  # fmt: skip
_ON = "unweighted_average_recall_on_"
# Scores of the whole → type and name of the hub's metric.
_METRICS = {
    "unweighted_average_recall": ("recall", "Unweighted average recall (UAR)"),
    "accuracy": ("accuracy", "Accuracy"),
}


def header(config: ModelConfig) -> str:
    """Return the header of a card, with its marks; its values are JSON, which is YAML too."""
    training = config.training
    cards = corpora(training)
    found: dict[str, Any] = {
        "library_name": "emocatcher",
        "pipeline_tag": "audio-classification",
        **_licence(training.licence),
    }
    languages = [code for card in cards for name, code in _LANGUAGES.items() if card and name in card.language]
    if languages:
        found["language"] = sorted(set(languages))
    if not training.synthetic:
        found["datasets"] = [_dataset(name, card) for name, card in zip(_names(training), cards, strict=True)]
    found["tags"] = ["speech-emotion-recognition", "audio-classification", "emotion", "onnx", "safetensors"]
    if results := _results(config):
        found["model-index"] = [{"name": one_line(config.name), "results": results}]
    lines = [f"{name}: {_plain(json.dumps(value, ensure_ascii=False))}" for name, value in found.items()]
    return "\n".join(["---", *lines, "---", ""])


def _plain(text: str) -> str:
    """Escape, in JSON, what a page that shows the header as it is would take for a tag, a cell or a link."""
    return re.sub(r"[<>|`]|\](?=\()", lambda found: f"\\u{ord(found[0]):04x}", text)


def corpora(training: Training) -> list[CorpusCard | None]:
    """Return the card of each corpus that a model was trained on; None for one without a card."""
    from emocatcher.corpora import cards

    found = []
    for name in _names(training):
        try:
            found.append(cards.find(name))
        except CorpusError:  # a damaged card of the user
            found.append(None)
    return found


def _names(training: Training) -> list[str]:
    return list(filter(None, training.corpus.split("+"))) or [training.corpus]


def _dataset(name: str, card: CorpusCard | None) -> str:
    """Return the name of a corpus on the hub, or its own."""
    on_hub = re.search(r"huggingface\.co/datasets/([\w.-]+/[\w.-]+)", card.address) if card else None
    return on_hub[1] if on_hub else one_line(name)


def _licence(text: str) -> dict[str, str]:
    """Return the hub's name of a licence, if all corpora have the same one that it knows."""
    stated = {re.sub(r"^[\w.+-]+: ", "", part) for part in text.split("; ")}
    if len(stated) == 1 and (known := _LICENCES.get(stated.pop())):
        return {"license": known}
    return {"license": "other", "license_name": "of-the-training-recordings", "license_link": LICENCE_FILE}


def _results(config: ModelConfig) -> list[dict[str, Any]]:
    """Return the scores in the hub's format: of the whole, and on each corpus that was tested alone."""
    training = config.training
    scores = training.scores
    whole = [_metric(kind, name, scores[score]) for score, (kind, name) in _METRICS.items() if score in scores]
    how = ", on corpora left out of the training" if training.across_corpora else ", held out"
    found = [_result(training.corpus, f"{training.corpus}{how}", whole)] if whole else []
    kind, name = _METRICS["unweighted_average_recall"]
    for score, value in scores.items():
        if score.startswith(_ON):
            corpus = score.removeprefix(_ON)
            found.append(_result(corpus, f"{corpus}, left out of the training", [_metric(kind, name, value)]))
    return found


def _result(corpus: str, name: str, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
        "dataset": {"type": one_line(corpus), "name": one_line(name)},
        "metrics": metrics,
    }


def _metric(kind: str, name: str, value: float) -> dict[str, Any]:
    return {"type": kind, "name": name, "value": round(value, 4)}
