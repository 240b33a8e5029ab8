"""A trained net as a folder for others, and the proof that it is the same."""
