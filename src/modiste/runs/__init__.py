"""Run folders, written once, whole or not at all, and the ledger of test looks."""
