"""Studies: spaces, methods, halving, the driver and its workers, tables."""
