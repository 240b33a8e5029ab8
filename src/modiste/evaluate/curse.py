"""The winner's curse: how far the figures that a search chose by lie above what they are worth."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.evaluate.contrast import UNMOVED, Contrast, Seeds, contrast


def winners_curse(
    searched: Sequence[float], confirmed: Sequence[Sequence[float]], seeds: Sequence[Seeds]
) -> Contrast:
    """Score in the search less score on fresh seeds, in the mean over confirmed points.

    Paired: each point's own figure in the search is set against its own fresh seeds, on the same
    images. The figures of the search are taken as what they are, numbers that somebody reads and
    chose by; what is not known is what each point scores in the mean over all seeds. So the
    interval covers the fresh seeds, which had no part in choosing, and holds although the points
    were picked for their figures. The luck of the images is in both scores alike, and none of it
    is in the difference. Points are taken as independent, though they share their fresh seeds
    (decision 0044).

    Args:
        searched: What each point had in the search.
        confirmed: What each of its fresh seeds has.
        seeds: Variance between seeds of each point, from `contrast.pooled`; none where it is not
            known, and there is no interval then.

    Returns:
        `one` is the mean in the search, `two` that of the fresh seeds; above 0, the search
        promised too much.

    Raises:
        SpecError: If there is no point, or one without fresh seeds.

    Source:
        The name: E. C. Capen, R. V. Clapp, W. M. Campbell, J. Petroleum Technology 23 (1971)
        641-653, doi:10.2118/2993-PA; for models that were chosen: G. C. Cawley, N. L. C. Talbot,
        J. Mach. Learn. Res. 11 (2010) 2079-2107.

    Example:
        >>> from modiste.evaluate.contrast import Pooled
        >>> found = winners_curse([0.92, 0.91], [[0.91, 0.90], [0.91, 0.90]], [Pooled(1e-6, 8)] * 2)
        >>> f"{found.difference:.4f} ({found.low:.4f} to {found.high:.4f})"
        '0.0100 (0.0088 to 0.0112)'
    """
    fixed: list[Seeds] = [UNMOVED] * len(searched)
    return contrast([[figure] for figure in searched], confirmed, [*fixed, *seeds])
