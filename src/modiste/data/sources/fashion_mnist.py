"""Fashion-MNIST: 70,000 grey pictures of clothes, 28 x 28 pixels, ten classes.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", arXiv 1708.07747; MIT licence.
"""

from __future__ import annotations

from pathlib import Path

from modiste.data.published import File, PartFacts, Published, source
from modiste.data.source import SOURCES, Source

# Hashes and digests were taken from Debian's package 0.0~git20200523.55506a9-1. Its files are the
# publisher's: with the file name and the time (2017-08-31, 10:50 UTC) put back into their gzip
# headers, all four have the MD5 sums that the publisher's README states.
FASHION_MNIST = Published(
    name="fashion-mnist",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    size_HW=(28, 28),
    parts={
        "train": PartFacts(
            images=File(
                "train-images-idx3-ubyte.gz",
                47_040_016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            labels=File(
                "train-labels-idx1-ubyte.gz",
                60_008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            counts_K=(6_000,) * 10,
            digest="583acb7ad300ad3147a357919c59bcab50bbc5c4c6d6361d7af577de95cde06e",
        ),
        "test": PartFacts(
            images=File(
                "t10k-images-idx3-ubyte.gz",
                7_840_016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            labels=File(
                "t10k-labels-idx1-ubyte.gz",
                10_008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            counts_K=(1_000,) * 10,
            digest="9b21474499d225ffdb1aeeba67b124407817caff9c8c072d629ed4c91614767f",
        ),
    },
    homepage="https://github.com/zalandoresearch/fashion-mnist (folder data/fashion)",
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    ),
    debian_package="dataset-fashion-mnist",
    debian_folder=Path("/usr/share/datasets/fashion-mnist"),
    folder_names=("fashion-mnist", "FashionMNIST/raw"),
    lookalikes={
        "MNIST (handwritten digits)": {
            "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        }
    },
    older=(
        "Copies from before 2017-08-31 share images between train and test and were corrected "
        "that day; a newer copy is needed."
    ),
)


@SOURCES.register("fashion-mnist")
def fashion_mnist(folder: Path | None = None) -> Source:
    """Fashion-MNIST, from `folder` or from wherever it is found first."""
    return source(FASHION_MNIST, folder)
