"""Image sets of your own: listed, looked at one by one, divided, and made into a `Source`."""
