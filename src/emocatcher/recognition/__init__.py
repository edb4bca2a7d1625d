"""Recognise one recording, many, long ones or live audio, with ONNX Runtime and without PyTorch."""
