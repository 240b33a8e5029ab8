"""Find, train, honestly evaluate, report on and ship small image classifiers.

Load, look, fit, compare, evaluate, read the report:

    import modiste

    data = modiste.load("fashion-mnist")
    run = modiste.fit(data, {"family": "mlp", "params": {"hidden": [256]}}, {"epochs": 5})
    print(modiste.compare([run]))

Names are imported when they are first used, so `import modiste` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modiste import errors as errors
    from modiste.api.audit import audit as audit
    from modiste.api.classifier import ImageClassifier as ImageClassifier
    from modiste.api.data import from_arrays as from_arrays
    from modiste.api.data import scan as scan
    from modiste.api.ensembles import together as together
    from modiste.api.evaluation import evaluate as evaluate
    from modiste.api.exporting import export_model as export_model
    from modiste.api.fitting import fit as fit
    from modiste.api.fitting import fit_many as fit_many
    from modiste.api.fitting import load as load
    from modiste.api.fitting import look as look
    from modiste.api.frontier import frontier as frontier
    from modiste.api.imported import import_study as import_study
    from modiste.api.init import init_study as init_study
    from modiste.api.plan import plan_study as plan_study
    from modiste.api.reading import compare as compare
    from modiste.api.reading import compare_studies as compare_studies
    from modiste.api.reading import show as show
    from modiste.api.receiving import load_artifact as load_artifact
    from modiste.api.receiving import verify_export as verify_export
    from modiste.api.reproduce import reproduce as reproduce
    from modiste.api.results import Evaluation as Evaluation
    from modiste.api.results import Predictions as Predictions
    from modiste.api.speedrun import speedrun as speedrun
    from modiste.api.study import run_study as run_study
    from modiste.api.study import write_report as write_report
    from modiste.runs.run import Run as Run
    from modiste.search.study import Study as Study

    __version__: str

_HOMES = {
    "audit": "modiste.api.audit",
    "scan": "modiste.api.data",
    "init_study": "modiste.api.init",
    "load": "modiste.api.fitting",
    "from_arrays": "modiste.api.data",
    "look": "modiste.api.fitting",
    "fit": "modiste.api.fitting",
    "fit_many": "modiste.api.fitting",
    "frontier": "modiste.api.frontier",
    "speedrun": "modiste.api.speedrun",
    "compare": "modiste.api.reading",
    "evaluate": "modiste.api.evaluation",
    "export_model": "modiste.api.exporting",
    "import_study": "modiste.api.imported",
    "plan_study": "modiste.api.plan",
    "reproduce": "modiste.api.reproduce",
    "compare_studies": "modiste.api.reading",
    "show": "modiste.api.reading",
    "run_study": "modiste.api.study",
    "together": "modiste.api.ensembles",
    "verify_export": "modiste.api.receiving",
    "load_artifact": "modiste.api.receiving",
    "write_report": "modiste.api.study",
    "Evaluation": "modiste.api.results",
    "ImageClassifier": "modiste.api.classifier",
    "Predictions": "modiste.api.results",
    "Run": "modiste.runs.run",
    "Study": "modiste.search.study",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def _find(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("modiste.errors")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("modiste")
    if name not in _HOMES:
        raise AttributeError(f"module 'modiste' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


if not TYPE_CHECKING:  # it would tell a type checker that every name is there
    __getattr__ = _find


def __dir__() -> list[str]:
    return sorted([*_HOMES, "errors", "__version__"])


class _Package(ModuleType):
    """`modiste.evaluate` is the function, whatever was imported before.

    Importing `modiste.evaluate.metrics` sets the attribute `evaluate` of this package to the
    package of that name, as the import system does; here that is let go.
    """

    @property
    def evaluate(self) -> Any:
        return _find("evaluate")

    @evaluate.setter
    def evaluate(self, package: ModuleType) -> None: ...


sys.modules[__name__].__class__ = _Package
