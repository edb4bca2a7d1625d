"""The model folder: weights, settings, labels, calibration, ONNX and model card. Nothing in it is pickled.

```
config.json          settings, labels and training: `ModelConfig`, with the other files' hashes
model.safetensors    the trained weights, named as in the PyTorch module (`emocatcher.models.networks.registry`)
model.onnx           the same network for inference without PyTorch; it alone has the weights of an encoder
README.md            the model card, as the Hugging Face hub shows it
```
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from emocatcher.evaluation.scoring.adaptation import Adaptation
from emocatcher.evaluation.scoring.run_result import SpeakerGroup
from emocatcher.foundation import atomic_files, dimensions
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import Settings, upgrade
from emocatcher.models.model_folder import model_card

FORMAT = 1
_NAME = re.compile(r"\w[\w.-]*")
_LARGEST_CONFIG = 1 << 24  # bytes
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"  # such characters could control a terminal, or end a line
Name = Annotated[str, msgspec.Meta(pattern=_NO_CONTROL, max_length=300)]
Label = Annotated[str, msgspec.Meta(pattern=_NO_CONTROL, min_length=1, max_length=100)]
_SHIPPED = Path(__file__).parents[1] / "shipped"
BUNDLED = "emocatcher-3"  # the default model
ALL_RECORDINGS = "all"  # the protocol of a model that was trained on all recordings of its corpus
WEIGHTS, ONNX, CARD, CONFIG = "model.safetensors", "model.onnx", "README.md", "config.json"


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How a model was trained, and its scores."""

    corpus: str
    licence: str  # of the corpus; it also applies to the weights
    protocol: str
    fold: int | None
    speakers_shared: bool | None  # whether training and test share speakers; None: not known
    selection: str
    epoch: int | None  # None: not known
    seed: int | None
    scores: dict[str, float] = {}
    across_corpora: bool = False  # the scores are on corpora that were not in the training part
    speaker_groups: tuple[SpeakerGroup, ...] = ()  # held out, as the scores; none: unknown
    synthetic: bool = False
    device: str = ""  # that it was trained on, such as "cpu"; "" for not known
    note: str = ""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `config.json`."""

    format: int = FORMAT
    name: Name
    version: Name  # of emocatcher, when the folder was written
    labels: Annotated[tuple[Label, ...], msgspec.Meta(min_length=1, max_length=1000)]
    settings: Settings
    training: Training
    n_parameters: int
    dimensions: tuple[Dimension, ...] = ()  # that it estimates beside the emotion, in the order of its outputs
    temperature: Annotated[float, msgspec.Meta(ge=1e-3, le=1e3)] = 1.0  # logits are divided by it before the softmax
    abstain_below: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # calibrated probability of the answer
    longest_voiced_s: float | None = None  # of the training recordings; None: not known
    adaptation: Adaptation | None = None  # if it was adapted from another model
    sha256: dict[str, str] = {}

    def __post_init__(self) -> None:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("two of the labels are the same")
        dimensions.check(self.dimensions)


class _Format(msgspec.Struct):
    format: int


class Bundle(msgspec.Struct, frozen=True):
    """An opened model folder."""

    path: Path
    config: ModelConfig

    @property
    def onnx_path(self) -> Path:
        """The ONNX file, for inference."""
        return self.path / ONNX

    def content_hash(self) -> str:
        """Return the SHA-256 of `config.json`, which has the hashes of the other files: it identifies the whole model.

        Raises:
            ModelError: if the file cannot be read.
        """
        try:
            return hashlib.sha256((self.path / CONFIG).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(
                f"{self.path / CONFIG} cannot be read: {error.strerror}. Copy the model folder again"
            ) from None

    def weights(self) -> dict[str, NDArray[Any]]:
        """Read the weights by name.

        Raises:
            ModelError: if the file cannot be read or is damaged.
        """
        try:
            return load_tensors((self.path / WEIGHTS).read_bytes())
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:  # KeyError: an unusual data type
            raise ModelError(f"{self.path / WEIGHTS} cannot be read: {error}. Copy the model folder again") from error


def bundled(name: str = BUNDLED) -> Path | None:
    """Return the folder of a model that is included in the package; None if there is none of that name.

    Examples:
        >>> bundled("no-such-model") is None
        True
    """
    folder = _SHIPPED / name
    return folder if _NAME.fullmatch(name) and (folder / CONFIG).is_file() else None


def bundled_names() -> list[str]:
    """Return the names of the models that are included in the package, the default first.

    Examples:
        >>> bundled_names()
        ['emocatcher-3', 'cabg', 'emocatcher-2', 'emocatcher-3-free']
    """
    names = sorted(folder.name for folder in _SHIPPED.iterdir() if bundled(folder.name))
    return sorted(names, key=lambda name: name != BUNDLED)


def check_names(name: str, labels: Sequence[str]) -> None:
    """Check that a model may have such a name and such labels.

    Raises:
        ModelError: if it could not be read again.
    """
    for what, text, kind, most in (("name", name, Name, 300), *(("label", one, Label, 100) for one in labels)):
        try:
            msgspec.convert(text.encode().decode(), kind)
        except (msgspec.ValidationError, UnicodeEncodeError):
            raise ModelError(
                f"The {what} {text[:40]!r} cannot be that of a model. Give 1 to {most} characters, none of them a "
                "control character"
            ) from None


def write(folder: Path, config: ModelConfig, weights: dict[str, NDArray[Any]], onnx: bytes) -> Bundle:
    """Write a model folder. `config.json` is written last, so a folder without it is incomplete.

    Args:
        folder: the destination; files of the same names are replaced.
        config: the model's config; its hashes are filled in here.
        weights: by name.
        onnx: the serialised graph.

    Raises:
        ModelError: if the folder cannot be written, or the name or a label cannot be read again.
    """
    check_names(config.name, config.labels)
    parts = {WEIGHTS: save_tensors(weights), ONNX: onnx, CARD: model_card.text(config).encode()}
    hashes = {name: hashlib.sha256(payload).hexdigest() for name, payload in parts.items() if name != CARD}
    config = msgspec.structs.replace(config, sha256=hashes)
    try:
        (folder / CONFIG).unlink(missing_ok=True)
        for name, payload in parts.items():
            atomic_files.write_bytes(folder / name, payload)
        atomic_files.write_bytes(folder / CONFIG, msgspec.json.format(msgspec.json.encode(config)) + b"\n")
    except OSError as error:
        raise ModelError(f"The model folder {folder} cannot be written: {error.strerror}") from error
    return Bundle(folder, config)


def read(folder: Path) -> Bundle:
    """Open a model folder and check the hashes of its files.

    Raises:
        ModelError: if the folder or a file is missing, altered, or of a format that this version does not support.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelError(
            f"{folder} is not a model folder: it has no {CONFIG}. "
            "`emocatcher train` writes model folders to RUN/fold_K/last; `emocatcher convert` converts .pth files"
        )
    try:
        if (size := path.stat().st_size) > _LARGEST_CONFIG:
            raise ModelError(f"{path} has {size:,} bytes; allowed are {_LARGEST_CONFIG:,}. Copy the model folder again")
        payload = path.read_bytes()
        # Decode the format number alone first, because another format may have other fields.
        found = msgspec.json.decode(payload, type=_Format).format
        if found != FORMAT:
            raise ModelError(
                f"{folder} has the format {found}; this version of emocatcher reads {FORMAT}. Install a newer one"
            )
        raw = msgspec.json.decode(payload)
        upgrade(raw.get("settings"))
        if isinstance(earlier := raw.get("conditions"), dict):  # which earlier configs have instead
            raw.setdefault("longest_voiced_s", earlier.get("longest_voiced_s"))
        config = msgspec.convert(raw, ModelConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise ModelError(f"{path} does not describe a model: {error}. Copy the model folder again") from None
    for name in (WEIGHTS, ONNX):
        part = folder / name
        if not part.is_file():
            raise ModelError(f"{folder} lacks {name}. Copy the model folder again")
        try:
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{part} cannot be read: {error.strerror}. Copy the model folder again") from None
        if digest != config.sha256.get(name):
            raise ModelError(f"{part} is not the file that {CONFIG} describes. Copy the model folder again")
    return Bundle(folder, config)
