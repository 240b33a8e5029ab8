"""Frozen recipes, and how they are timed: from arrays in memory to answers."""
