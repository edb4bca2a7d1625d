"""A waveform → what a network receives: log-mel spectrogram, pitch and voiced span; and whether it is speech."""
