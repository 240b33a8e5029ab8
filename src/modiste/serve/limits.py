"""How much of each thing one client may take, so that the others are still served."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What is refused, and when patience ends.

    Attributes:
        body_bytes: Of one request, all its images together.
        held_bytes: Of all requests that are being read or answered; those of one more are told to
            come again. A slow sender takes up no more than it has sent.
        images: In one request.
        head_bytes: Of the first line and the headers, as long as their end has not come.
        head_seconds: For the first line and the headers, and between two requests.
        body_seconds: For the whole body, however it comes.
        answer_seconds: From the last byte of the request until its answer is known.
        send_seconds: For a client to take its answer.
        queued: Requests that wait for a thread; one more is told to come again.
        workers: Threads that decode and classify. With two, one large photograph does not keep
            everybody waiting.
        connections: Open at once; one more is told to come again.
        retry_seconds: When to come again.
    """

    body_bytes: int = 8 * MEBIBYTE
    held_bytes: int = 256 * MEBIBYTE
    images: int = 64
    head_bytes: int = 64 << 10
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    answer_seconds: float = 10.0
    send_seconds: float = 10.0
    queued: int = 64
    workers: int = 2
    connections: int = 512
    retry_seconds: int = 1

    @property
    def request_seconds(self) -> float:
        """From the headers of a request to the last byte of its answer."""
        return self.body_seconds + self.answer_seconds + self.send_seconds
