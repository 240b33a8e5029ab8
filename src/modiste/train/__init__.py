"""The loop, on one page; schedules, early stopping, checkpoints."""
