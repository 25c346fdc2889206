"""Weights from batches: losses, learning rates, the loop."""
