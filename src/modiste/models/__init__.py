"""Families of nets as lists of layers, and models that are fitted in one go."""
