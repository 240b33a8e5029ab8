"""How long Keras takes for an epoch of the reference CNN: a part of it, measured and scaled.

Runs in a process of its own, because TensorFlow is told about threads once, before it computes:

    python -m modiste.recipes.keras_epoch --threads 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec

from modiste.errors import InstallError

# The study's CNN 128-256-512 on 48,000 images in batches of 256.
FILTERS, DROPOUT = (128, 256, 512), 0.25
BATCH_SIZE, NUM_IMAGES = 256, 48_000
STEPS = -(-NUM_IMAGES // BATCH_SIZE)
# Each `fit` costs something of its own, whatever it does: what twelve steps take more than two is
# what ten steps take. The first `fit` builds, and is not timed.
FEW, MANY = 2, 12
LIMIT_SECONDS = 600


def keras_epoch_seconds(threads: int) -> float | None:
    """Seconds for the training steps of one epoch; none where Keras or TensorFlow is not installed.

    Args:
        threads: That it may compute with.

    Raises:
        InstallError: If they are installed and cannot do it.
    """
    if not (find_spec("keras") and find_spec("tensorflow")):
        return None
    try:
        told = subprocess.run(
            [sys.executable, "-m", __name__, "--threads", str(threads)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _cannot(f"no answer in {LIMIT_SECONDS} s") from None
    if told.returncode:
        raise _cannot((told.stderr.strip().splitlines() or ["no word"])[-1])
    return float(json.loads(told.stdout.splitlines()[-1])["epoch_seconds"])


def _cannot(why: str) -> InstallError:
    return InstallError(
        f"Keras could not be measured ({why}); --no-keras leaves it out, and "
        "`pip install 'modiste[peers]'` installs what we measure with."
    )


def main() -> None:
    """Measure some steps, and print the seconds of an epoch as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    threads = parser.parse_args().threads

    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    parts = [layers.Input((28, 28, 1))]
    for width in FILTERS:
        parts += [
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2, padding="same"),
            layers.Dropout(DROPOUT),
        ]
    net = keras.Sequential([*parts, layers.Flatten(), layers.Dense(10, "softmax")])
    net.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    count = MANY * BATCH_SIZE
    images = np.random.default_rng(0).random((count, 28, 28, 1), np.float32)
    labels = np.arange(count) % 10

    def seconds(steps: int) -> float:
        part = slice(steps * BATCH_SIZE)
        began = time.perf_counter()
        net.fit(images[part], labels[part], batch_size=BATCH_SIZE, verbose=0)
        return time.perf_counter() - began

    seconds(FEW)
    few, many = seconds(FEW), seconds(MANY)
    epoch = (many - few) / (MANY - FEW) * STEPS
    sys.stdout.write(json.dumps({"epoch_seconds": epoch}) + "\n")


if __name__ == "__main__":
    main()
