"""Frozen specs, registries and fingerprints."""
