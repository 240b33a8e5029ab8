"""What opens the test part of a source, and who may hold it.

`modiste.data.sealed` makes a key after the opening was written into the ledger, and `Source` asks
for one; a machine checks that no other module imports this one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """Opens the test part of one source.

    Attributes:
        source: Its name.
        entry: The mark of the ledger's entry that counts this opening.
    """

    source: str
    entry: str
