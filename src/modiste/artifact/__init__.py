"""An exported model on the machine of whoever receives it: read, checked, run. Never torch.

`modiste export` writes such a folder; `modiste verify`, `predict` and `serve` use it.
"""
