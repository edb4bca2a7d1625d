"""Compute a network's input from a waveform: log-mel spectrogram, pitch and voiced span; and detect speech."""
