"""Speedruns: how long a frozen recipe takes from arrays in memory to its answers."""
