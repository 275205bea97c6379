"""Writes what timm knows beside the architectures that are written here.

    newt-pipe models ls --architectures | python tests/golden/make/timm_names.py

`former.txt` in src/backbone/timm: `former current` of each deprecated name. `others.txt`: every other architecture.
"""

import sys
from pathlib import Path

import timm
from timm.models._registry import get_deprecated_models

FOLDER = Path(__file__).parents[3] / "src/backbone/timm"


def main() -> None:
    written = set(sys.stdin.read().split())
    former = sorted(get_deprecated_models().items())
    (FOLDER / "former.txt").write_text("".join(f"{name} {current}\n" for name, current in former))
    others = sorted(set(timm.list_models()) - written)
    (FOLDER / "others.txt").write_text("".join(f"{name}\n" for name in others))


if __name__ == "__main__":
    main()
