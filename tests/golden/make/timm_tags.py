"""Writes which checkpoint timm takes for an architecture's bare name: `architecture tag`, one a line.

    newt-pipe models ls --architectures | python tests/golden/make/timm_tags.py > src/backbone/timm/tags.txt
"""

import sys

import timm


def main() -> None:
    for name in sys.stdin.read().split():
        cfg = timm.get_pretrained_cfg(name)
        # Others are not on the hub, or have never been trained.
        if cfg.hf_hub_id == f"timm/{name}.{cfg.tag}":
            print(name, cfg.tag)


if __name__ == "__main__":
    main()
