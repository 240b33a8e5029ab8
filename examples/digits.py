"""A folder of images to try things with: scikit-learn's handwritten digits as PNG files.

    python examples/digits.py digits

Writes 1,797 grey images of 8 x 8 pixels, digits/0/0000.png and so on, a folder for each class. They
come with scikit-learn, so nothing is fetched. Source: E. Alpaydin and C. Kaynak, UCI Machine
Learning Repository, 1998, doi:10.24432/C50P49 (CC BY 4.0); scikit-learn has its test part.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description="scikit-learn's digits as PNG files.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    digits = load_digits()
    # Of 0 to 16; 15 steps of it make 0 to 240.
    for number, (image_HW, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image_HW * 15).astype("uint8")).save(path)
    print(f"{folder}: {len(digits.target):,} images of {len(digits.target_names)} classes")


if __name__ == "__main__":
    main()
