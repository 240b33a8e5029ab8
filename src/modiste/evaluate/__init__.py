"""Pure functions of saved predictions: metrics, intervals, paired tests, calibration, findings."""
