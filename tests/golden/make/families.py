"""Writes the fixtures of model families: small checkpoints in their published layouts, and the features they give.

    python tests/golden/make/families.py

- fixtures/families/<variant>/: configuration and weights, as timm, open_clip and transformers write them; where a model
  cannot be made small, `weights.json` says how to make the weights again (see `families_shared.draw`)
- fixtures/families.safetensors: features of every variant, [n, d] f32, for the images of `backbone.pixels`
- fixtures/families.json: versions; org, input size, dimension and number of parameters of every variant
"""

import json
import shutil

import families_open_clip
import families_timm
import families_transformers
import open_clip
import torch
import transformers
from backbone import VERSIONS
from families_shared import FOLDER
from safetensors.torch import save_file

VERSION = 1


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = families_timm.make() | families_open_clip.make() | families_transformers.make()
    versions = VERSIONS | {
        "script": VERSION,
        "open_clip": open_clip.__version__,
        "transformers": transformers.__version__,
    }
    features = {name: variant.features for name, variant in made.items()}
    save_file(features, FOLDER.with_suffix(".safetensors"), {"fixture": json.dumps(versions)})
    descriptions = {name: variant.description() for name, variant in made.items()}
    catalog = {"versions": versions, "variants": descriptions}
    FOLDER.with_suffix(".json").write_text(json.dumps(catalog, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
