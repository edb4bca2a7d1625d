"""A folder with a Whisper model of a few thousand random weights, as on the hub."""

import json

import numpy as np
import torch
from safetensors.numpy import save_file

from emocatcher.foundation.settings import Encoder
from emocatcher.models.networks import whisper

CONFIG = {
    "model_type": "whisper", "d_model": 32, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "num_mel_bins": 80, "activation_function": "gelu", "vocab_size": 51_864,
}  # fmt: skip


def write_encoder(folder, prefix="model.encoder.", dtype=np.float16, **changes):
    """Write a folder as it is on the hub, with random weights of a whole model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    torch.manual_seed(0)
    sizes = Encoder(source=str(folder), n_layers=4, width=32, n_heads=4, hidden=48)
    weights = {name: tensor.numpy() for name, tensor in whisper.WhisperEncoder(sizes, 80).state_dict().items()}
    extra = {"embed_positions.weight": np.zeros((50, 32)), "layer_norm.weight": np.ones(32)}
    stored = {f"{prefix}{name}": np.asarray(value, dtype) for name, value in (weights | extra).items()}
    save_file(stored | {"model.decoder.layers.0.fc1.weight": np.zeros((4, 4), dtype)}, folder / "model.safetensors")
    return weights
