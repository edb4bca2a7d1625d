"""The networks in PyTorch: features → logits and attention. One file per network."""
