"""Compares newt-pipe with timm, open_clip and transformers on every published checkpoint, at full size.

    python benches/compare/checkpoints.py --published CSV --images FOLDER --binary target/release/newt-pipe

For each row of the published table: the architecture gets random weights and is written, in its published layout, to a
temporary cache of the Hugging Face hub, under the repository in which its library looks for exactly this `org` and
`ckpt`. The library loads it from there, offline, as BioBench does, and encodes four photos with its own preprocessing;
newt-pipe evaluates the same `org` and `ckpt` on a data set of the same four. Rows that are compared are L2-normalised.
open_clip's text towers are cut to one layer and 16 words, since nobody reads them.

A row is one process, its checkpoint is deleted after it. The largest (AIMv2 3B) takes 11 GB of disk and some 14 GB of
memory. Writes a Markdown table to --output as it goes.
"""

import argparse
import csv
import dataclasses
import gc
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from markdown_table import Column, head, line, show

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMIT = "0" * 40
N_IMAGES = 4


@dataclasses.dataclass
class Row:
    """What a comparison tells; numbers are missing where it did not come so far."""

    org: str
    ckpt: str
    published: int
    dim: int | None = None
    parameters: int | None = None
    cosine: float | None = None
    relative: float | None = None
    nearest: float | None = None
    note: str = ""


COLUMNS = [
    Column("org", lambda row: row.org),
    Column("ckpt", lambda row: row.ckpt),
    Column("dim", lambda row: show(row.dim), right=True),
    Column("parameters", lambda row: show(row.parameters, ","), right=True),
    Column("published", lambda row: show(row.published, ","), right=True),
    Column("cosine", lambda row: show(row.cosine, ".7f"), right=True),
    Column("relative error", lambda row: show(row.relative, ".1e"), right=True),
    Column("nearest pair", lambda row: show(row.nearest, ".3f"), right=True),
    Column("note", lambda row: row.note),
]


# What is written ------------------------------------------------------------------------------------------------------


def new_snapshot(hub: pathlib.Path, repo: str) -> pathlib.Path:
    """The folder of a repository's only commit in a hub cache."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


def write_tensors(tensors: dict, path: pathlib.Path) -> None:
    """A safetensors file, tensor by tensor: the library's own writer holds all of them in memory twice."""
    dtypes = {"torch.float32": "F32", "torch.int64": "I64"}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": dtypes[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


def write_timm(ckpt: str, hub: pathlib.Path, photos: list) -> None:
    import timm
    import torch
    from families_shared import randomize
    from timm.models._hub import save_config_for_hf

    model = timm.create_model(ckpt).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model.pretrained_cfg))
    randomize(model, torch.stack([transform(photo) for photo in photos]))
    snapshot = new_snapshot(hub, model.pretrained_cfg["hf_hub_id"])
    save_config_for_hf(model, snapshot / "config.json")
    write_tensors(model.state_dict(), snapshot / "model.safetensors")


def write_mega_descriptor(repo: str, hub: pathlib.Path) -> None:
    """As timm before 0.9 saved it: stages end with their downsampling, masks and indices are stored."""
    import timm
    from families_shared import randomize

    model = timm.create_model("swin_large_patch4_window12_384", num_classes=0).eval()
    randomize(model, None)
    tensors = {}
    for key, tensor in (model.state_dict() | dict(model.named_buffers())).items():
        key = re.sub(r"layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", key)
        tensors[key] = tensor
    pretrained_cfg = {
        "custom_load": False,
        "input_size": [3, 384, 384],
        "fixed_input_size": True,
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 0,
        "pool_size": [7, 7],
        "first_conv": "patch_embed.proj",
        "license": "mit",
        "classifier": "head",
    }
    config = {
        "architecture": "swin_large_patch4_window12_384",
        "num_classes": 0,
        "num_features": 1536,
        "global_pool": "avg",
        "pretrained_cfg": pretrained_cfg,
    }
    snapshot = new_snapshot(hub, repo)
    (snapshot / "config.json").write_text(json.dumps(config, indent=2))
    write_tensors(tensors, snapshot / "model.safetensors")


# Architectures of open_clip's repositories that are named by the repository alone.
BIOLOGY = {
    "imageomics/bioclip": "ViT-B-16",
    "imageomics/biocap": "ViT-B-16",
    "BGLab/BioTrove-CLIP": "ViT-B-16",
    "imageomics/bioclip-2": "ViT-L-14",
    "imageomics/bioclip-2.5-vith14": "ViT-H-14",
}
# OpenVision: width, layers, heads' width, dimension of the features.
OPENVISION = {
    "tiny": (192, 12, 64, 192),
    "small": (384, 12, 64, 384),
    "base": (768, 12, 64, 512),
    "large": (1024, 24, 64, 768),
    "so400m": (1152, 27, 72, 1152),
    "huge": (1280, 32, 80, 1024),
}


def openvision_config(repo: str) -> dict:
    size, patch_size, image_size = re.fullmatch(r"UCSC-VLAA/openvision-vit-(\w+)-patch(\d+)-(\d+)", repo).groups()
    width, layers, head_width, dim = OPENVISION[size]
    vision = {
        "image_size": int(image_size),
        "layers": layers,
        "width": width,
        "head_width": head_width,
        "patch_size": int(patch_size),
        "no_ln_pre": True,
        "pool_type": "avg",
        "final_ln_after_pool": True,
        "norm_kwargs": {"eps": 1e-6},
    }
    if size == "so400m":
        vision["mlp_ratio"] = 3.7362
    return {"embed_dim": dim, "vision_cfg": vision, "text_cfg": {}}


def short_text(config: dict) -> dict:
    """A configuration whose text tower is small; its kind stays, since the names of all tensors depend on it."""
    text = config["text_cfg"]
    for key in ("hf_tokenizer_name", "tokenizer_kwargs", "mlp_ratio"):
        text.pop(key, None)
    text.update({"context_length": 8, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1})
    return config


def shorten_texts() -> None:
    """Makes open_clip's built-in architectures agree with what is written here."""
    from open_clip import factory

    for config in factory._MODEL_CONFIGS.values():
        if "hf_model_name" not in config["text_cfg"]:
            short_text(config)


def write_open_clip(ckpt: str, hub: pathlib.Path) -> None:
    import open_clip
    from families_shared import randomize
    from open_clip.push_to_hf_hub import save_config_for_hf

    shorten_texts()
    preprocessing = None
    if ckpt.startswith("hf-hub:"):
        repo = ckpt.removeprefix("hf-hub:")
        if repo in BIOLOGY:
            config = open_clip.get_model_config(BIOLOGY[repo])
        else:
            config = short_text(openvision_config(repo))
            preprocessing = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
            preprocessing |= {"interpolation": "bilinear", "resize_mode": "squash"}
    else:
        architecture, tag = ckpt.split("/")
        config = open_clip.get_model_config(architecture)
        pretrained = open_clip.get_pretrained_cfg(architecture, tag)
        preprocessing = {key: pretrained[key] for key in ("mean", "std", "interpolation", "resize_mode")}
        repo = pretrained["hf_hub"].rstrip("/")
    snapshot = new_snapshot(hub, repo)
    path = snapshot / "open_clip_config.json"
    path.write_text(json.dumps({"model_cfg": config}))
    model = open_clip.create_model(f"local-dir:{snapshot}", force_preprocess_cfg=preprocessing).eval()
    randomize(model, None)
    # The hub's OpenAI models say so, although open_clip goes by its own configuration where the name is its own.
    save_config_for_hf(model, path, config | ({"quick_gelu": True} if ckpt.endswith("/openai") else {}))
    write_tensors(model.state_dict(), snapshot / "open_clip_model.safetensors")


def dinov2(ckpt: str):
    """The repository of a hub model of facebookresearch/dinov2, its class and its configuration."""
    import transformers as hf

    letter, registers = re.fullmatch(r"dinov2_vit([sblg])14(_reg)?", ckpt).groups()
    name, width, depth, heads = {
        "s": ("small", 384, 12, 6),
        "b": ("base", 768, 12, 12),
        "l": ("large", 1024, 24, 16),
        "g": ("giant", 1536, 40, 24),
    }[letter]
    common = dict(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, image_size=518, patch_size=14)
    common["use_swiglu_ffn"] = letter == "g"
    if registers:
        config = hf.Dinov2WithRegistersConfig(**common, num_register_tokens=4)
        return f"facebook/dinov2-with-registers-{name}", hf.Dinov2WithRegistersModel, config
    return f"facebook/dinov2-{name}", hf.Dinov2Model, hf.Dinov2Config(**common)


def dinov3(ckpt: str):
    import transformers as hf

    letter = re.fullmatch(r"dinov3_vit([sbl])16", ckpt)[1]
    width, depth, heads = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}[letter]
    config = hf.DINOv3ViTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_register_tokens=4,
        patch_size=16,
        image_size=224,
    )
    return f"facebook/dinov3-vit{letter}16-pretrain-lvd1689m", hf.DINOv3ViTModel, config


def aimv2(ckpt: str):
    import transformers as hf

    name, image_size = re.fullmatch(r"apple/aimv2-(\w+)-patch14-(\d+)", ckpt).groups()
    width, hidden = {"large": (1024, 2816), "huge": (1536, 4096), "1B": (2048, 5632), "3B": (3072, 8192)}[name]
    config = hf.Aimv2VisionConfig(
        hidden_size=width,
        intermediate_size=hidden,
        num_hidden_layers=24,
        num_attention_heads=width // 128,
        image_size=int(image_size),
        patch_size=14,
        use_head=False,
    )
    return ckpt, hf.Aimv2VisionModel, config


TRANSFORMERS = {"dinov2": dinov2, "dinov3": dinov3, "aimv2": aimv2}


def write_transformers(org: str, ckpt: str, hub: pathlib.Path) -> None:
    from families_shared import randomize

    repo, kind, config = TRANSFORMERS[org](ckpt)
    model = kind(config).eval()
    randomize(model, None)
    snapshot = new_snapshot(hub, repo)
    if org == "aimv2":  # the one kind whose names are the file's, and the one that is too large to be copied
        model.config.architectures = [kind.__name__]
        model.config.save_pretrained(snapshot)
        write_tensors(model.state_dict(), snapshot / "model.safetensors")
    else:
        model.save_pretrained(snapshot, max_shard_size="100GB")


def write(org: str, ckpt: str, hub: pathlib.Path, photos: list) -> None:
    if ckpt == "hf-hub:BVRA/MegaDescriptor-L-384":
        write_mega_descriptor(ckpt.removeprefix("hf-hub:"), hub)
    elif org in ("timm", "sam2"):
        write_timm(ckpt, hub, photos)
    elif org == "open-clip":
        write_open_clip(ckpt, hub)
    else:
        write_transformers(org, ckpt, hub)


# What the libraries make of it ----------------------------------------------------------------------------------------


def centre_crop(resize, crop: int, mean: tuple, std: tuple):
    """The preprocessing that BioBench writes out for DINOv2, DINOv3 and AIMv2."""
    import torch
    from torchvision.transforms import v2

    steps = [v2.Resize(resize), v2.CenterCrop((crop, crop)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    return v2.Compose([*steps, v2.Normalize(mean=mean, std=std)])


def load_timm(name: str):
    """Model, features and preprocessing, as BioBench has them."""
    import families_timm
    import timm

    model = timm.create_model(name, pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model.pretrained_cfg))
    return model, families_timm.encode, transform


def load_transformers(org: str, kind: type, source: str | pathlib.Path):
    """The same of a model of DINOv2, DINOv3 or AIMv2 in a repository or a folder."""
    import families_transformers
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    model = kind.from_pretrained(source).eval()
    if org == "aimv2":
        size = model.config.image_size
        return model, families_transformers.largest, centre_crop(size, size, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    if org == "dinov3":
        transform = centre_crop(256, 256, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
        return model, families_transformers.class_token, transform
    model = families_transformers.use_original_positions(model)
    transform = centre_crop((256, 256), 224, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    return model, families_transformers.class_token, transform


def load(org: str, ckpt: str):
    """The same of any row."""
    if org in ("timm", "sam2"):
        return load_timm(f"hf_hub:timm/{ckpt}" if org == "sam2" else ckpt)
    if org == "open-clip":
        import families_open_clip
        import open_clip

        name = (ckpt,) if ckpt.startswith("hf-hub:") else ckpt.split("/")
        model, transform = open_clip.create_model_from_pretrained(*name)
        model.eval().visual.output_tokens = True
        return model, families_open_clip.encode, transform
    repo, kind, _ = TRANSFORMERS[org](ckpt)
    return load_transformers(org, kind, repo)


def count(org: str, model) -> int:
    """Parameters as the published column counts them: all of what BioBench loads."""
    tower = model.visual if org == "open-clip" else model
    n = sum(parameter.numel() for parameter in tower.parameters())
    if org == "dinov3":  # BioBench's has biases of keys, all zero
        n += model.config.hidden_size * model.config.num_hidden_layers
    return n


# What newt-pipe makes of it -------------------------------------------------------------------------------------------


def write_data(folder: pathlib.Path, paths: list) -> None:
    """A data set of NeWT's shape: one task, two images to train on and two to test."""
    images = folder / "newt2021_images"
    images.mkdir()
    lines = ["id,task,task_cluster,task_subcluster,label,split"]
    for i, path in enumerate(paths):
        shutil.copy(path, images / path.name)
        lines.append(f"{path.stem},one,appearance,species,{i % 2},{'train' if i < 2 else 'test'}")
    (folder / "newt2021_labels.csv").write_text("\n".join(lines) + "\n")


def run_newt_pipe(binary: str, org: str, ckpt: str, folder: pathlib.Path) -> tuple:
    """Features of the images in the order of their files, and what `models check` says."""
    import numpy as np
    from safetensors import safe_open

    pipeline = folder / "pipeline.toml"
    pipeline.write_text(
        f'[data]\nroot = "."\n[model]\norg = "{org}"\nckpt = "{ckpt}"\n[features]\nprecision = "f32"\ndevice = "cpu"\n'
    )
    output = folder / "features.safetensors"
    export = ["features", "export", str(pipeline), "--cache-dir", str(folder / "cache"), "-o", str(output)]
    done = subprocess.run([binary, *export], capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [""]
        raise RuntimeError(f"newt-pipe: exit code {done.returncode}, {lines[0]}")
    with safe_open(output, "np") as file:
        features, ids = file.get_tensor("features"), json.loads(file.metadata()["ids"])
    check = ["models", "check", org, ckpt, "--device", "cpu", "--precision", "f32", "--json"]
    checked = subprocess.run([binary, *check], capture_output=True, text=True, check=True)
    return features[np.argsort(ids)], json.loads(checked.stdout)


def explain(row: Row, whole: int) -> str:
    """Why the number of parameters is not the published one."""
    if row.parameters == row.published:
        return ""
    unused = {"timm": "its classifier", "sam2": "its head", "dinov2": "the mask token"}
    unused["dinov3"] = "the mask token and biases of keys that are 0"
    if row.published == whole:
        return f"published: {whole - row.parameters:,} more, with {unused.get(row.org, 'what features do not need')}"
    return f"published: no number of this model, which has {whole:,} in all"


def compare(row: Row, binary: str | None, paths: list, folder: pathlib.Path) -> None:
    import numpy as np
    import torch
    from PIL import Image

    photos = [Image.open(path).convert("RGB") for path in paths]
    write(row.org, row.ckpt, folder / "hub", photos)
    gc.collect()
    model, encode, transform = load(row.org, row.ckpt)
    with torch.inference_mode():
        expected = torch.cat([encode(model, transform(photo)[None]) for photo in photos]).numpy()
    whole = count(row.org, model)
    del model
    gc.collect()

    row.dim, row.parameters = expected.shape[1], whole
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    distances = np.linalg.norm(expected[:, None] - expected[None], axis=2)
    row.nearest = float(distances[~np.eye(len(expected), dtype=bool)].min())
    if binary is None:
        row.note = explain(row, whole)
        return
    write_data(folder, paths)
    features, described = run_newt_pipe(binary, row.org, row.ckpt, folder)
    if features.shape != expected.shape:
        raise RuntimeError(f"newt-pipe's features are {features.shape}, expected {expected.shape}")
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    row.cosine = float((features * expected).sum(axis=1).min())
    row.relative = float(np.abs(features - expected).max() / np.abs(expected).max())
    if described["dim"] != row.dim:
        raise RuntimeError(f"`models check` says dim {described['dim']}, expected {row.dim}")
    row.parameters = described["parameters"]
    row.note = explain(row, whole)


def skip_initialization() -> None:
    """The libraries draw weights when they make a model, which takes longer than all the rest; none of them is kept."""
    import torch.nn.init as init

    for name in dir(init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(init, name, lambda tensor, *args, **kwargs: tensor)
    import timm.layers.weight_init as of_timm

    of_timm._trunc_normal_ = lambda tensor, *args: tensor


def one_row(row: Row, args: argparse.Namespace) -> None:
    """In a process of its own: prints the row as JSON."""
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        folder = pathlib.Path(folder)
        os.environ |= {"HF_HOME": str(folder), "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
        sys.path.insert(0, str(ROOT / "tests/golden/make"))
        # Not earlier: the libraries look at the environment when they are loaded.
        skip_initialization()
        try:
            compare(row, args.binary, sorted(args.images.glob("*.jpg"))[:N_IMAGES], folder)
        except Exception as error:
            row.note = (str(error).strip() or repr(error)).splitlines()[0]
    print(json.dumps(dataclasses.asdict(row)))


def run_row(row: Row, argv: list) -> Row:
    if row.org == "vjepa":
        row.note = "skipped: newt-pipe reads V-JEPA as TorchScript only"
        return row
    child = [sys.executable, __file__, *argv, "--row", json.dumps(dataclasses.asdict(row))]
    done = subprocess.run(child, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        row.note = f"skipped: its process ended with {done.returncode}, as one does that memory is too small for"
        return row
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--published", type=pathlib.Path, required=True, help="the table of published scores")
    parser.add_argument("--images", type=pathlib.Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--binary", help="newt-pipe; without it only the libraries run")
    parser.add_argument("--only", default="", help="rows whose `org/ckpt` this regular expression finds")
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints are written for a while")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "target/checkpoints.md")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        one_row(Row(**json.loads(args.row)), args)
        return
    with args.published.open() as file:
        rows = [Row(cells["org"], cells["ckpt"], int(cells["params"])) for cells in csv.DictReader(file)]
    rows = [row for row in rows if re.search(args.only, f"{row.org}/{row.ckpt}")]
    args.output.parent.mkdir(exist_ok=True)
    with args.output.open("w") as output:
        for text in itertools.chain(head(COLUMNS), (line(COLUMNS, run_row(row, sys.argv[1:])) for row in rows)):
            print(text, flush=True)
            print(text, file=output, flush=True)


if __name__ == "__main__":
    main()
