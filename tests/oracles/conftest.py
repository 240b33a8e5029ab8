"""Keras as a peer, for the tests marked `peers`."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def keras(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Keras 3 on TensorFlow, on one thread.

    TensorFlow, because the reference study ran on it, and because it shares no kernel with
    PyTorch: on Keras's torch backend, half of what is compared would be the same code.
    """
    pytest.importorskip("tensorflow", reason="needs the extra 'peers'", exc_type=ImportError)
    pytest.importorskip("keras", reason="needs the extra 'peers'", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of while they load is not ours to mend
        environment.setenv("KERAS_BACKEND", "tensorflow")
        environment.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        environment.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    assert keras.backend.backend() == "tensorflow"
    return keras
