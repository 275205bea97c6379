"""What all fixtures of model families share: random weights, and the check that every tensor shows in the features."""

import dataclasses
import functools
import math
import pathlib
import re
import shutil
from collections.abc import Callable

import numpy as np
import torch
from backbone import FIXTURES, pixels
from safetensors.torch import load_file, save_file

FOLDER = FIXTURES / "families"
EMBEDDING = re.compile(
    r"(patch_embed|patchifier|patch_embedding|class_embedding|pos_embed\w*|position(al)?_embeddings?)(\.|$)"
    r"|(cls|dist|reg|register|mask)_tokens?$|conv1\.weight$|stem\.0\."
)
# Features must move by this much, relative to the largest, when any tensor is changed by 30 % of its size.
SEEN = 3e-4


@dataclasses.dataclass
class Variant:
    """A checkpoint written to `FOLDER / name`, and what its library makes of it."""

    org: str
    size: tuple[int, int]
    features: torch.Tensor
    parameters: int

    def description(self) -> dict:
        return {
            "org": self.org,
            "size": list(self.size),
            "dim": self.features.shape[1],
            "parameters": self.parameters,
        }


def empty_folder(name: str) -> pathlib.Path:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def float_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that a checkpoint of the model holds, without counters and indices."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def centre_and_spread(name: str, shape: torch.Size) -> tuple[float, float]:
    """Mean and standard deviation that keep activations near 1 from the first layer to the last.

    Embeddings and a block's first convolution are small, so that the normalisation after them shows its epsilon.
    """
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return 1.0, 0.25
    if leaf in ("gamma", "lambda1"):
        return 0.5, 0.2
    if len(shape) == 1 and leaf == "weight":
        return 1.0, 0.2
    if leaf in ("latent", "probe", "query"):  # of poolings by attention
        return 0.0, 1.0
    embeds = 1 / 32 if EMBEDDING.search(name) else 1.0
    if len(shape) == 4 and shape[2] > 1:  # convolutions before rectifiers
        return 0.0, embeds * math.sqrt(2 / math.prod(shape[1:]))
    if len(shape) >= 2 and leaf.endswith("weight"):
        return 0.0, embeds / math.sqrt(math.prod(shape[1:]))
    if len(shape) == 2 and leaf.endswith(("proj", "projection")):  # open_clip's, [in, out]
        return 0.0, 1 / math.sqrt(shape[0])
    return 0.0, embeds * 0.2


def randomize(model: torch.nn.Module, images: torch.Tensor) -> None:
    """Weights and buffers large enough that all of them show; the libraries' own leave biases at 0."""
    generator = torch.Generator().manual_seed(17)
    for name, tensor in float_tensors(model).items():
        centre, spread = centre_and_spread(name, tensor.shape)
        uniform = (torch.rand(tensor.shape, generator=generator) * 2 - 1) * math.sqrt(3)
        with torch.no_grad():
            tensor.copy_(centre + spread * uniform)
    calibrate(model, images)


def draw(model: torch.nn.Module, images: torch.Tensor, gain: float = 1.0) -> dict:
    """Fills a model that is too large for a file with weights that the test makes again, and says how.

    Tensors in the order of their names go on along one sequence, `pixels`' own, u = -1 to 1: centre + u * scale, where
    both are powers of two (or 0), so that nothing is rounded. Returns `{name: [shape, centre, scale]}`.
    """
    rules, start = {}, 0
    for name, tensor in sorted(float_tensors(model).items()):
        centre, spread = centre_and_spread(name, tensor.shape)
        centre, scale = float(bool(centre)), 2.0 ** round(math.log2(spread * math.sqrt(3)))
        values = sequence(start, tensor.numel()) * np.float32(scale) + np.float32(centre)
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(values.reshape(tensor.shape)))
        rules[name] = [list(tensor.shape), centre, scale]
        start += tensor.numel()
    for name, factor in calibrate(model, images, gain).items():
        shape, centre, scale = rules[name]
        rules[name] = [shape, centre * factor, scale * factor]
    return rules


def calibrate(model: torch.nn.Module, images: torch.Tensor, gain: float = 1.0) -> dict[str, float]:
    """Makes every batch normalisation expect what it gets, or `gain` times less, as training would.

    Returns the factors, powers of two, by which it scaled the running means and variances.
    """
    factors = {}

    def scale(name, module, inputs):
        variance = float(inputs[0].var(dim=(0, 2, 3)).mean()) / gain**2
        exponent = round(math.log2(variance) / 2)
        for leaf, factor in (("running_mean", 2.0**exponent), ("running_var", 4.0**exponent)):
            getattr(module, leaf).mul_(factor)
            factors[f"{name}.{leaf}"] = factor

    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    if not norms:
        return {}
    hooks = [module.register_forward_pre_hook(functools.partial(scale, name)) for name, module in norms]
    with torch.inference_mode():
        model(images)
    for hook in hooks:
        hook.remove()
    return factors


def sequence(start: int, length: int) -> np.ndarray:
    """`pixels`' numbers from `start` on."""
    x = np.arange(start, start + length, dtype=np.uint32) * np.uint32(2654435761)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(2246822519)
    return (x >> np.uint32(16)).astype(np.float32) / np.float32(32768) - np.float32(1)


def halve(path: pathlib.Path) -> None:
    """Stores a checkpoint's weights in half precision."""
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})


def named(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a tensor belongs to one of the modules or is one of the tensors."""
    return any(name == part or f".{part}." in f".{name}." for part in parts)


def check(
    name: str,
    model: torch.nn.Module,
    encode: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    unused: tuple[str, ...] = (),
    inert: tuple[str, ...] = (),
    seen: float = SEEN,
) -> int:
    """Asserts that features are sound and that every tensor moves them, and counts the parameters that yield them.

    - `unused`: tensors of a checkpoint that the features pass by (classifiers, text towers); not counted
    - `inert`: tensors of the backbone that cannot move them by design (a key's bias adds the same to all logits)
    """
    features = encode(images)
    assert features.ndim == 2 and features.isfinite().all(), name
    largest = features.abs().max()
    apart = torch.pdist(features).min() / features.norm(dim=1).max()
    assert 0.1 < largest < 100 and apart > 1e-2, f"{name}: largest {largest}, apart {apart}"
    generator = torch.Generator().manual_seed(5)
    least, n_parameters = (math.inf, ""), 0
    parameters = dict(model.named_parameters())
    for key, tensor in float_tensors(model).items():
        before = tensor.clone()
        with torch.no_grad():
            change = torch.rand(tensor.shape, generator=generator) * 2 - 1
            tensor.add_(0.3 * before.pow(2).mean().sqrt() * change)
            moved = float((encode(images) - features).abs().max() / largest)
            tensor.copy_(before)
        if named(key, unused):
            assert moved == 0, f"{name}: {key} moves features by {moved}"
        elif named(key, inert):
            assert moved < 1e-5, f"{name}: {key} moves features by {moved}"
        else:
            assert moved > seen, f"{name}: {key} moves features by {moved} only"
            least = min(least, (moved, key))
        if key in parameters and not named(key, unused):
            n_parameters += tensor.numel()
    assert torch.equal(encode(images), features), name
    print(f"{name}: {n_parameters} parameters, least seen {least[0]:.1e} ({least[1]})", flush=True)
    return n_parameters
