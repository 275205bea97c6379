"""Writes the fixtures of TorchScript modules: fixtures/script/{tiny.pt, tiny.toml} and the features of the module.

    python tests/golden/make/script.py

The features, [n, d] f32, and the versions are in fixtures/script.safetensors. fixtures/script/refused has modules whose
output is not that of `tiny.toml`, one for images of its size only, and weights that are no module.
"""

import json

import torch
from backbone import FIXTURES, VERSIONS, pixels
from safetensors.torch import save_file
from torch import nn

VERSION = 1
FOLDER = FIXTURES / "script"
DESCRIPTION = """\
dim = 12
size = [24, 32]
resize = [30, 40]
mode = "squash"
interpolation = "bilinear"
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.3, 0.4]
"""


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.proj = nn.Linear(8, 12)

    def forward(self, x):
        return self.proj(self.drop(torch.relu(self.norm(self.conv(x)))).amax(dim=(2, 3)))


class Refused(Tiny):
    """Gives `pooled` and the map that it is pooled from, in one of the ways in which networks do."""

    def __init__(self, output: str):
        super().__init__()
        self.output = output

    def forward(self, x):
        tokens = torch.relu(self.norm(self.conv(x)))
        pooled = self.proj(tokens.amax(dim=(2, 3)))
        outputs = {
            "tuple": (tokens, pooled),
            "dict": {"pooled": pooled, "map": tokens},
            "map": tokens,
            "tokens": tokens.flatten(2).transpose(1, 2),
            "fixed": self.proj(tokens.reshape(4, 8, 6 * 8).amax(dim=2)),
        }
        return outputs[self.output]


def write_refused(folder) -> None:
    folder.mkdir(exist_ok=True)
    for output in ["tuple", "dict", "map", "tokens", "fixed"]:
        module = torch.jit.trace(Refused(output).eval(), torch.zeros(4, 3, 24, 32), strict=False)
        module.save(folder / f"{output}.pt")
    torch.save(Tiny().state_dict(), folder / "weights.pt")


def main() -> None:
    torch.manual_seed(17)
    FOLDER.mkdir(exist_ok=True)
    # Left in training, as a module may have been saved: dropout is to be switched off by whoever loads it.
    module = torch.jit.script(Tiny())
    module.save(FOLDER / "tiny.pt")
    (FOLDER / "tiny.toml").write_text(DESCRIPTION)
    write_refused(FOLDER / "refused")
    with torch.inference_mode():
        features = torch.jit.load(FOLDER / "tiny.pt").eval()(pixels(24, 32))
    versions = json.dumps(VERSIONS | {"script": VERSION})
    save_file({"tiny": features.contiguous()}, FOLDER.with_suffix(".safetensors"), {"fixture": versions})


if __name__ == "__main__":
    main()
