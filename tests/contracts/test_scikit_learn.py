"""What scikit-learn asks of every classifier, put to `ImageClassifier` by its own checks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from modiste import ImageClassifier

# The first is what everybody gets; their images are 1 x n or 2 x 2 pixels, which an MLP answers, so
# that a CNN is asked as well. The last has a high rate, because it has few epochs.
NETS = [
    ImageClassifier(),
    ImageClassifier("cnn", epochs=8, batch_size=16, learning_rate=0.03),
]


FAILS = {
    "check_class_weight_classifiers": "asks for a weight for each label; class_weight is None or "
    "'balanced', which is what the engine has (docs/decisions/0035-the-estimator.md)"
}


@parametrize_with_checks(NETS, expected_failed_checks=lambda _: FAILS)
def test_it_keeps_to_the_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
def test_it_keeps_to_the_one_that_needs_a_variable() -> None:
    # SciPy reads it when it is imported; without it scikit-learn leaves this check out.
    code = (
        "from sklearn.utils.estimator_checks import check_array_api_input as check\n"
        "from modiste import ImageClassifier\n"
        "check('ImageClassifier', ImageClassifier(epochs=3), 'numpy', "
        "expect_only_array_outputs=False)\nprint('checked')"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("checked\n", "")
