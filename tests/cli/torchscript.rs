//! What is said of TorchScript modules that cannot be run as they are; the modules are of `tests/golden/make/script.py`.

use std::path::Path;

use insta::assert_snapshot;

use crate::assert_run;
use crate::sandbox::{Finished, Sandbox};

/// Goes with images of 24 × 32 pixels and a module that gives twelve features.
const DESCRIPTION: &str =
    "dim = 12\nsize = [24, 32]\nmean = [0.5, 0.4, 0.3]\nstd = [0.2, 0.3, 0.4]\n";

/// A sandbox with a module of the fixtures as `module.pt`.
fn sandbox(module: &str) -> Sandbox {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures/script");
    let sandbox = Sandbox::new();
    sandbox.write("module.pt", fs_err::read(fixtures.join(module)).unwrap());
    sandbox
}

fn check(sandbox: &Sandbox) -> Finished {
    sandbox.run(&[
        "models",
        "check",
        "torchscript",
        "module.pt",
        "--allow-code",
    ])
}

/// The error and the first line of its hint.
fn said(module: &str, description: &str) -> String {
    let sandbox = sandbox(module);
    sandbox.write("module.toml", description);
    let finished = check(&sandbox);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let lines: Vec<_> = finished.stderr.lines().take(2).collect();
    lines.join("\n")
}

#[test]
fn a_module_without_its_description_gets_one_that_can_be_pasted() {
    let sandbox = sandbox("tiny.pt");
    let finished = check(&sandbox);
    assert_run!(finished, @r#"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: module.pt: `module.toml` is not there, which says what the module takes and gives
    hint: write `module.toml`, with the numbers of the module:
      dim = 1024                     # features per image
      size = 224                     # side of an image in pixels, or [height, width]
      mean = [0.485, 0.456, 0.406]
      std = [0.229, 0.224, 0.225]
      resize = 224                   # before the centre is cut out; `size` if left out
      mode = "shortest"              # or "squash"
      interpolation = "bicubic"      # or "bilinear"
    "#);
    let pasted: String = finished
        .stderr
        .lines()
        .skip(2)
        .fold(String::new(), |text, line| text + line + "\n");
    sandbox.write("module.toml", &pasted);
    assert_run!(check(&sandbox), @"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: module.pt: gives a tensor of shape [4, 12] for 4 images, expected [4, 1024]
    hint: write `dim = 12` in `module.toml`
    ");
    sandbox.write("module.toml", pasted.replace("dim = 1024", "dim = 12"));
    let finished = check(&sandbox);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn an_absent_module_is_missed_before_its_description() {
    assert_run!(Sandbox::new().run(&["models", "check", "torchscript", "module.pt", "--allow-code"]), @"
    exit code: Some(2)
    --- stdout
    --- stderr
    error: module.pt: no such file
    hint: `model.ckpt` is the path of a module that `torch.jit.save` wrote; it starts at the pipeline file's folder, on the command line at the working folder
    ");
}

#[test]
fn a_module_that_gives_several_tensors_comes_with_the_command_that_takes_one() {
    let sandbox = sandbox("refused/tuple.pt");
    sandbox.write("module.toml", DESCRIPTION);
    assert_run!(check(&sandbox), @r#"
    exit code: Some(3)
    --- stdout
    --- stderr
    error: module.pt: gives a tuple ([0] [4, 8, 6, 8], [1] [4, 12]), expected one tensor of shape [4, 12]
    hint: the command below writes `module-part.pt`, which gives `[1]` of it; copy `module.toml` to `module-part.toml`, with `dim = 12`
    python3 -c '
    import sys, torch
    class Part(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.whole = torch.jit.load(sys.argv[1], map_location="cpu")
        def forward(self, images):
            return self.whole(images)[1]
    torch.jit.trace(Part().eval(), torch.zeros(4, 3, 24, 32)).save(sys.argv[2])
    ' module.pt module-part.pt
    "#);
    assert_snapshot!(said("refused/dict.pt", DESCRIPTION), @r#"
    error: module.pt: gives a dict (["pooled"] [4, 12], ["map"] [4, 8, 6, 8]), expected one tensor of shape [4, 12]
    hint: the command below writes `module-part.pt`, which gives `["pooled"]` of it; copy `module.toml` to `module-part.toml`, with `dim = 12`
    "#);
}

#[test]
fn a_tensor_of_another_shape_comes_with_what_makes_a_row_of_it() {
    assert_snapshot!(said("refused/map.pt", DESCRIPTION), @"
    error: module.pt: gives a tensor of shape [4, 8, 6, 8] for 4 images, expected [4, 12]
    hint: the command below writes `module-part.pt`, which gives `.amax((2, 3))` of it; copy `module.toml` to `module-part.toml`, with `dim = 8`
    ");
    assert_snapshot!(said("refused/tokens.pt", DESCRIPTION), @"
    error: module.pt: gives a tensor of shape [4, 48, 8] for 4 images, expected [4, 12]
    hint: the command below writes `module-part.pt`, which gives `[:, 0]` of it; copy `module.toml` to `module-part.toml`, with `dim = 8`
    ");
}

#[test]
fn a_module_that_fails_is_quoted_with_the_cause() {
    let wider = DESCRIPTION.replace("32", "40");
    assert_snapshot!(said("refused/fixed.pt", &wider), @r#"
    error: module.pt: fails on images of shape [4, 3, 24, 40]: shape '[4, 8, 48]' is invalid for input of size 1920
    hint: if it takes images of another size, write that as `size` in `module.toml`; if it takes another number of images only, trace it again: `torch.jit.trace(model.eval(), torch.zeros(4, 3, 24, 40)).save("module.pt")`
    "#);
    let sandbox = sandbox("refused/fixed.pt");
    sandbox.write("module.toml", DESCRIPTION);
    assert_eq!(check(&sandbox).code, Some(0));
}

#[test]
fn a_file_that_is_no_module_is_called_what_it_is() {
    assert_snapshot!(said("refused/weights.pt", DESCRIPTION), @r#"
    error: module.pt: no TorchScript module, but what `torch.save` or `torch.export` writes
    hint: load it into its network in Python, and write a module: `torch.jit.trace(model.eval(), torch.zeros(4, 3, 24, 32)).save("module-traced.pt")`, with a `module-traced.toml`
    "#);
    assert_snapshot!(said("tiny.toml", DESCRIPTION), @r#"
    error: module.pt: no TorchScript module that libtorch can load: PytorchStreamReader failed reading zip archive: failed finding central directory
    hint: copy the file again, or write it with PyTorch 2.11: `torch.jit.trace(model.eval(), torch.zeros(4, 3, 24, 32)).save("module.pt")`
    "#);
}
