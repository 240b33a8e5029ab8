"""The one look at the test set: frozen runs, measured once, counted in the ledger."""
