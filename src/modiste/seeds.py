"""Random generators by name: each use of chance draws from its own stream.

A stream is named by the run's seed, a word and, where needed, counters: ``("order", epoch)``,
``("dropout", epoch, step)``. Streams do not depend on each other, so adding a dropout layer
reshuffles nothing, and nothing has to be stored to resume in the middle of an epoch.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt


def sequence(seed: int, word: str, *counters: int) -> np.random.SeedSequence:
    """The seed sequence of one stream: the same arguments always give the same stream."""
    return np.random.SeedSequence([seed, zlib.crc32(word.encode()), *counters])


def words(seed: int, word: str, *counters: int) -> list[int]:
    """What `sequence` is made of, as NumPy cuts it: numbers of 32 bits, the lowest first.

    Example:
        >>> words(7, "order", 2**32 + 3)
        [7, 4113142680, 3, 1]
    """
    found = []
    for number in (seed, zlib.crc32(word.encode()), *counters):
        rest = number
        found.append(rest & 0xFFFFFFFF)
        while rest := rest >> 32:
            found.append(rest & 0xFFFFFFFF)
    return found


def generator(seed: int, word: str, *counters: int) -> np.random.Generator:
    """A generator of its own for one use of chance (SFC64: the fastest of NumPy's).

    Example:
        >>> one, two = generator(7, "order", 3), generator(7, "order", 3)
        >>> bool((one.permutation(5) == two.permutation(5)).all())
        True
    """
    return np.random.Generator(np.random.SFC64(sequence(seed, word, *counters)))


def derive(seed: int, word: str, *counters: int) -> int:
    """A seed of 63 bits for a library that wants a number, such as `torch.Generator`."""
    low, high = sequence(seed, word, *counters).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) & (2**63 - 1)


def coins(seed: int, word: str, which: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """One toss for each number, the same whenever it is asked for and whatever beside it.

    Source:
        Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
        doi:10.1145/2660193.2660195 (the mixing function of SplitMix64).

    Example:
        >>> coins(7, "mirror", np.array([0, 1, 0])).tolist()
        [True, False, True]
    """
    with np.errstate(over="ignore"):
        mixed = which.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed += np.uint64(derive(seed, word))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(63)).astype(np.bool_)
