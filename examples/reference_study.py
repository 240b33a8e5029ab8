"""The reference study in its own order, from Python: load, look, fit, compare, evaluate.

    python examples/reference_study.py [--epochs 15] [--out runs/example]

Everything here is modiste's public API. A run that is there already is opened, not trained again,
so the script can be stopped and started at will. The test set is not opened: that is done once,
at the very end of a study, with `modiste.evaluate(..., final=True, reason="...")`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import modiste

# What the study says of training, for every model; `epochs` is its limit, not its number.
STOPPING = {
    "early_stopping": {"monitor": "val_loss", "patience": 20, "restore_best": True},
    "schedule": {
        "name": "reduce_on_plateau",
        "monitor": "val_loss",
        "patience": 10,
        "factor": 0.1,
        "cooldown": 2,
    },
}
ADAM = {"name": "adam", "learning_rate": 0.001}


def mlp(*hidden: int, dropout: float = 0.0) -> dict[str, Any]:
    """Flatten, then dense layers with dropout after each."""
    return {"family": "mlp", "params": {"hidden": hidden, "dropout": dropout}}


def cnn(num_layers: int, filters: int, dropout: float = 0.2) -> dict[str, Any]:
    """Convolution, batch norm, pooling and dropout, `num_layers` times; filters double."""
    params = {"num_layers": num_layers, "filters": filters, "dropout": dropout}
    return {"family": "cnn", "params": params}


def show(title: str, runs: Mapping[str, modiste.Run]) -> str:
    """Print a stage's table, best first, and return the best one's name.

    The standard error is that of an accuracy measured on so many images: rows that differ by
    less than about twice of it are tied.
    """
    print(f"\n{title}")
    rows = modiste.compare(runs.values(), list(runs))
    for row in rows:
        print(
            f"  {row['name']:24} {row['parameters']:>9,} parameters   validation accuracy "
            f"{row['val_accuracy']:.4f} (standard error {row['standard_error']:.4f}), "
            f"{row['epochs']} epochs, {row['seconds']:.0f} s"
        )
    return str(rows[0]["name"])


def main() -> None:
    """Go through the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist", help="a data source")
    parser.add_argument("--folder", help="the folder that holds the data")
    parser.add_argument("--num-val", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=15, help="the study's limit is 300")
    parser.add_argument("--out", type=Path, default=Path("runs/example"))
    options = parser.parse_args()

    # Load: 48,000 images to fit with, 12,000 to choose by; the test images stay sealed.
    data = modiste.load(options.data, folder=options.folder, num_val=options.num_val)
    print(f"{len(data.train):,} training and {len(data.val):,} validation images")

    # Look.
    for path in modiste.look(data, options.out / "figures"):
        print(f"  {path}")

    def fit(model: dict[str, Any], batch_size: int = 128) -> modiste.Run:
        train = {
            "epochs": options.epochs,
            "batch_size": batch_size,
            "optimizer": ADAM,
            **STOPPING,
        }
        return modiste.fit(data, model, train, folder=options.out)

    # Baseline: no hidden layer at all.
    show("Baseline", {"linear": fit(mlp())})

    # Capacity: how wide, how deep?
    sizes = [(32,), (128,), (256, 128), (256,)]
    show("Capacity", {str(list(size)): fit(mlp(*size, dropout=0.2)) for size in sizes})

    # Grid: the study has thirty points; these are three of them.
    grid = {
        "[384], 0.3": mlp(384, dropout=0.3),
        "[512, 512], 0.25": mlp(512, 512, dropout=0.25),
        "[768], 0.3": mlp(768, dropout=0.3),
    }
    best = show("Grid", {name: fit(model) for name, model in grid.items()})

    # Convolution: one layer, then two.
    nets = {"8 filters": cnn(1, 8), "8 and 16 filters": cnn(2, 8)}
    show("Convolution", {name: fit(model) for name, model in nets.items()})

    # Final: the grid's choice, in batches of 256; evaluated on validation images.
    final = fit(grid[best], batch_size=256)
    print(f"\nFinal: {best}")
    for row in modiste.evaluate(final.folder)["runs"]:
        for epoch in ("best", "last"):
            low, high = row[epoch]["interval"]
            print(
                f"  {epoch} epoch: {row[epoch]['accuracy']:.4f}, 95 % interval {low:.4f} to "
                f"{high:.4f} (validation images, one seed)"
            )


if __name__ == "__main__":
    main()
