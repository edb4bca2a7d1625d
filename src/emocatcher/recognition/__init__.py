"""A recording → a `Prediction`, with ONNX Runtime and without PyTorch; many recordings, long ones and live sound."""
