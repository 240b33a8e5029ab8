"""Images of your own, in colour and with transparency: the icons of a Debian package, 32 x 32.

    python examples/icons.py [--minutes 5] [--out runs/icons] [--final]

Fetches Debian's `oxygen-icon-theme` (32 MB, installing nothing), takes its category folders at
32 x 32 pixels as classes, and goes the way of the two commands `modiste init` and `modiste study`:
every image is looked at, a test part is split off and sealed, a plan that fits into the minutes
is written and run. `--final` opens the test part at the end, for a reason that its ledger keeps.

What tells an application from an action is drawn by convention: expect seven icons in ten to be
right, where the most frequent class, actions, is half of them. The icons are under the LGPL 3;
nothing of them is kept but in the folder that you name.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import modiste
from modiste.data.fetch import unpack_debian_package

PACKAGE, THEME = "oxygen-icon-theme", "usr/share/icons/oxygen/base/32x32"
# Two strips of pictures in a row, which are no icons.
LEFT_OUT = ("animations",)


def main() -> None:
    """Fetch, look, plan, train, report, and, if asked, test."""
    parser = argparse.ArgumentParser(description="From an icon theme to a report.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("runs/icons"))
    parser.add_argument("--final", action="store_true", help="open the test part at the end")
    given = parser.parse_args()
    images = given.out / "icons"
    if not images.is_dir():
        fetch(images)
    file = given.out / "icons.yaml"
    if not file.is_file():
        # Ten links of the theme point to nothing; they are left out, and the report lists them.
        begun = modiste.init_study(
            images, out=file, minutes=given.minutes, skip_bad=True, note=print
        )
        print(f"{file}: {begun.facts['modes']}, {begun.facts['parts']}")
    study, _ = modiste.run_study(file, out=given.out / "study")
    print(study.folder / "report.html")
    if given.final:
        reason = "how good is the chosen model on icons that nothing was chosen by?"
        for run in modiste.evaluate(study.folder, final=True, reason=reason)["runs"]:
            print(f"seed {run['seed']}: {run['last']['accuracy']:.3f} {run['last']['interval']}")


def fetch(folder: Path) -> None:
    """Unpack the theme and copy its category folders; links in it point to other icons."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        theme = unpack_debian_package(PACKAGE, Path(temporary)) / THEME
        ignored = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(theme, folder, symlinks=True, ignore=ignored)


if __name__ == "__main__":
    main()
