"""Compiled kernels for the passes over memory that a convolutional net's step is made of."""
