"""Find a pretrained encoder, and read its sizes and the weights of its first layers; safetensors only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.foundation.settings import Encoder, Settings
from emocatcher.models import hub

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FOLDERS = "EMOCATCHER_ENCODERS"  # environment variable: a folder with one sub-folder per encoder
_PREFIXES = ("model.encoder.", "encoder.", "")
_LARGEST_CONFIG = 1 << 20  # bytes


class _Config(msgspec.Struct):
    """The fields of a Whisper model's `config.json` that matter here."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int
    model_type: str = "whisper"
    activation_function: str = "gelu"


def locate(encoder: Encoder) -> Path:
    """Return the folder of an encoder: the source itself, `$EMOCATCHER_ENCODERS/NAME`, or the hub's cache.

    Args:
        encoder: the settings; NAME is the source without its owner.

    Raises:
        ModelError: if it cannot be found or downloaded.
        MissingExtraError: if it has to be downloaded and huggingface_hub is not installed.
    """
    folder = Path(encoder.source).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if root := os.environ.get(FOLDERS):
        folder = Path(root).expanduser() / encoder.source.rpartition("/")[2]
        if (folder / CONFIG).is_file():
            return folder
    if not hub.looks_like_name(encoder.source):
        raise ModelError(
            f"There is no encoder in '{encoder.source}': {CONFIG} and {WEIGHTS} are needed. Give such a folder, or a "
            "name on the Hugging Face hub, such as openai/whisper-tiny.en"
        )
    return hub.download(encoder.source, encoder.revision or None, [CONFIG, WEIGHTS])


def resolve(settings: Settings) -> Settings:
    """Return a recipe with the sizes of its encoder; a recipe without one, or with the sizes, is returned unchanged.

    Raises:
        ModelError: if the encoder cannot be found, or is not one of Whisper's.
        SettingError: if it has fewer layers than the recipe uses, or another number of mel bands.
    """
    encoder = settings.encoder
    if isinstance(encoder, msgspec.UnsetType) or encoder.width:
        return settings
    path = locate(encoder) / CONFIG
    try:
        content = path.read_bytes()
        if len(content) > _LARGEST_CONFIG:
            raise ModelError(f"{path} has {len(content):,} bytes, which is no description of an encoder")
        found = msgspec.json.decode(content, type=_Config)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} does not describe a Whisper encoder: {error}. Name another encoder") from None
    if found.model_type != "whisper" or found.activation_function != "gelu":
        raise ModelError(
            f"{path} describes a '{found.model_type}' with '{found.activation_function}'. Name a Whisper encoder with "
            "'gelu', such as openai/whisper-tiny.en"
        )
    if encoder.n_layers > found.encoder_layers:
        raise SettingError(
            f"encoder.n_layers is {encoder.n_layers}, but {encoder.source} has {found.encoder_layers}. Give no more"
        )
    if found.num_mel_bins != settings.front_end.n_mels:
        raise SettingError(
            f"{encoder.source} needs {found.num_mel_bins} mel bands, but front_end.n_mels is "
            f"{settings.front_end.n_mels}. Set front_end.n_mels={found.num_mel_bins}"
        )
    try:
        sized = msgspec.structs.replace(
            encoder, width=found.d_model, n_heads=found.encoder_attention_heads, hidden=found.encoder_ffn_dim
        )
        resolved = msgspec.structs.replace(settings, encoder=sized)
        return msgspec.convert(msgspec.to_builtins(resolved), Settings)  # checks the bounds
    except (msgspec.ValidationError, ValueError) as error:
        raise ModelError(f"{path} has sizes that are not allowed: {error}. Name another encoder") from None


def read(encoder: Encoder) -> dict[str, NDArray[np.float32]]:
    """Read the weights of the layers that a recipe uses, by their names in `models.networks.whisper`.

    Args:
        encoder: the settings, with sizes.

    Raises:
        ModelError: if they cannot be found or read.
    """
    from safetensors import SafetensorError, safe_open

    path = locate(encoder) / WEIGHTS
    try:
        with safe_open(path, "numpy") as file:
            names = set(file.keys())
            prefix = next((one for one in _PREFIXES if f"{one}conv1.weight" in names), "")
            wanted = [
                name.removeprefix(prefix)
                for name in sorted(names)
                if name.startswith(prefix) and _is_used(name.removeprefix(prefix), encoder.n_layers)
            ]
            return {name: file.get_tensor(prefix + name).astype(np.float32) for name in wanted}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Copy or download the encoder again") from error


def _is_used(name: str, n_layers: int) -> bool:
    first, _, rest = name.partition(".")
    if first == "layers":
        return int(rest.partition(".")[0]) < n_layers
    return first in ("conv1", "conv2")
