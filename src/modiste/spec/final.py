"""Which stages a study may call final: those whose winner has weights, to be saved as a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modiste.errors import SpecError
from modiste.spec.parts import Estimator
from modiste.spec.run import ModelSpec


def check_final(
    name: str,
    is_final: bool,
    models: Sequence[ModelSpec],
    needs: Iterable[str],
    before: Mapping[str, str],
) -> dict[str, str]:
    """Refuse a final stage that a model without weights may win.

    Args:
        name: Of the stage.
        is_final: Whether the study calls it so.
        models: Of its points.
        needs: Stages whose winners it begins with.
        before: For each earlier stage that a model without weights may win, its family.

    Returns:
        The same for this stage; empty if every model that may win it has weights.

    Raises:
        SpecError: If it is final and one has none.
    """
    found = [model.family for model in models if isinstance(model.params, Estimator)]
    found += [before[other] for other in needs if other in before]
    if not found:
        return {}
    if is_final:
        raise SpecError(
            f"stages[{name}].final: it may be won by {found[0]!r}, which is fitted in one go and "
            "has no weights to save as a model. Take `final` out: `modiste evaluate STUDY --final "
            f"--stages {name} --reason ...` measures its winner on the test set all the same."
        )
    return {name: found[0]}
