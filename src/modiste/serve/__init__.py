"""An exported model over HTTP, for programs and for people. numpy and onnxruntime, never torch.

bytes from outside -> guard (who may ask) -> app (what is asked) -> body (which images, how many)
-> engine (a bounded queue, threads off the event loop) -> answers
"""
