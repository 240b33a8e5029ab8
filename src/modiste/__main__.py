"""``python -m modiste``: the command line, where its script is not on the path."""

from modiste.cli.main import run

if __name__ == "__main__":
    run()
