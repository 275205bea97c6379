"""Writes the fixture of TorchScript modules: fixtures/script/{tiny.pt, tiny.toml} and the features of the module.

    python tests/golden/make/script.py

The features, [n, d] f32, and the versions are in fixtures/script.safetensors.
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


def main() -> None:
    torch.manual_seed(17)
    FOLDER.mkdir(exist_ok=True)
    # Left in training, as a module may have been saved: dropout is to be switched off by whoever loads it.
    module = torch.jit.script(Tiny())
    module.save(FOLDER / "tiny.pt")
    (FOLDER / "tiny.toml").write_text(DESCRIPTION)
    with torch.inference_mode():
        features = torch.jit.load(FOLDER / "tiny.pt").eval()(pixels(24, 32))
    versions = json.dumps(VERSIONS | {"script": VERSION})
    save_file({"tiny": features.contiguous()}, FOLDER.with_suffix(".safetensors"), {"fixture": versions})


if __name__ == "__main__":
    main()
