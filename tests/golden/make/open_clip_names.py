"""Writes the names of open_clip: architectures, and where the weights of (architecture, tag) are on the hub.

    python tests/golden/make/open_clip_names.py > src/backbone/open_clip/names.json

Text towers are left out, and tags whose weights are not on the hub. One row a line, so that changes can be read.
"""

import json
import sys

import open_clip
from open_clip.pretrained import _PRETRAINED

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def rows(items: list[str]) -> str:
    return ",\n".join("    " + item for item in items)


def main() -> None:
    architectures, tags, preprocessing = {}, [], {}
    for arch, checkpoints in _PRETRAINED.items():
        config = open_clip.get_model_config(arch)
        for tag, cfg in checkpoints.items():
            repo = cfg.get("hf_hub", "").strip("/")
            if not repo or config is None:
                continue
            org, name, *file = repo.split("/")
            how = json.dumps({key: cfg[key] for key in PREPROCESSING})
            kind = preprocessing.setdefault(how, str(len(preprocessing)))
            architectures[arch] = {
                key: value for key, value in config.items() if key in ("embed_dim", "vision_cfg", "quick_gelu")
            }
            row = {"model": arch, "tag": tag, "repo": f"{org}/{name}", "preprocessing": kind}
            row |= {"file": file[0].removesuffix(".bin").removesuffix(".pt") + ".safetensors"} if file else {}
            row |= {"quick_gelu": True} if cfg.get("quick_gelu") else {}
            tags.append(json.dumps(row))
    quoted = {json.dumps(name): json.dumps(value) for name, value in architectures.items()}
    sys.stdout.write(
        '{\n  "open_clip": ' + json.dumps(open_clip.__version__) + ",\n"
        '  "models": {\n' + rows([f"{name}: {value}" for name, value in quoted.items()]) + "\n  },\n"
        '  "preprocessing": {\n' + rows([f'"{name}": {how}' for how, name in preprocessing.items()]) + "\n  },\n"
        '  "checkpoints": [\n' + rows(tags) + "\n  ]\n}\n"
    )


if __name__ == "__main__":
    main()
