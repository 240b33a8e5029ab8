"""A recorder that needs no GPU."""

from __future__ import annotations

from collections.abc import Callable

from modiste.train.step import NUM_REHEARSALS, Found, Passed


class Again:
    """Records on the CPU: what is played is the work itself, into the memory of the first time."""

    def record(self, work: Callable[[], Found]) -> tuple[Found, Callable[[], None]]:
        for _ in range(NUM_REHEARSALS):
            work()
        found = work()

        def play() -> None:
            again = work()
            if isinstance(found, Passed) and isinstance(again, Passed):
                found.loss.copy_(again.loss)
                found.logits.copy_(again.logits)

        return found, play
