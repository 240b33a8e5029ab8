"""Accuracy against what it costs: parameters, FLOPs, training time, latency."""
