//! Any module that was traced or scripted in Python: the way out for networks that are not written here.
//!
//! `model.ckpt` is the module's file; a TOML file of the same name beside it says what the module takes and gives:
//!
//! ```toml
#![doc = include_str!("torchscript/description.toml")]
//! ```
//!
//! The module takes images `[b, 3, h, w]` f32 and gives features `[b, dim]`. It is code of somebody else's, so it runs
//! only where the pipeline file says `allow_code = true`.

use std::path::Path;

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    CHANNELS, Fields, INTERPOLATION, Kind, SIZE, STD, as_sides,
};
use crate::backbone::checkpoint::location::Lookup;
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::script::ScriptConfig;
use crate::backbone::spec::{BackboneSpec, Weights};
use crate::error::{Error, Message};
use crate::files::{self, check_links, found};
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};
use crate::text;

/// What a description of a module looks like.
pub const DESCRIPTION: &str = include_str!("torchscript/description.toml");

/// The largest description that is read: a thousand times as large as one with every setting.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// Finds the module that `ckpt` names and reads the file beside it.
///
/// # Errors
/// If one of them is not there, code is not allowed, or the file says something else than what a module takes and gives.
pub fn resolve(ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error> {
    let module = found(lookup.base_dir, ckpt)?;
    let path = module.with_extension("toml");
    check_links(&module)?;
    check_links(&path)?;
    let refused = |problem: &str, hint: &str| {
        let text = format!("{}: {problem}", text::path(&module));
        Err(Message::request(text).hint(hint).into())
    };
    if !module.exists() {
        return refused(
            "no such file",
            "`model.ckpt` is the path of a module that `torch.jit.save` wrote; it starts at the pipeline file's folder, \
             on the command line at the working folder",
        );
    }
    files::check_size(&module, u64::MAX)?;
    if !lookup.allow_code {
        return refused(
            "a TorchScript module runs its author's code, and `allow_code` is not set",
            "if you trust it, write `allow_code = true` beside `ckpt` in the pipeline file, or give `models check` the \
             flag `--allow-code`",
        );
    }
    if !path.exists() {
        let stem = module.file_stem().unwrap_or_default().display();
        return refused(
            &format!(
                "`{}` is not there, which says what the module takes and gives",
                text::path(&path)
            ),
            &described(&format!("write `{stem}.toml`")),
        );
    }
    let description = files::read_text(&path, MAX_DESCRIPTION_BYTES)?;
    let (dim, preprocessing) = parse(&description, &path)
        .map_err(|error| Message::data(error.to_string()).hint(described("write it so")))?;
    Ok(BackboneSpec::new(
        module.display().to_string(),
        Poolings::fixed(ScriptConfig { dim }),
        preprocessing,
        Weights::Script(module),
    ))
}

/// Says how the file that describes a module is written.
fn described(instruction: &str) -> String {
    let lines = DESCRIPTION.trim_end().replace('\n', "\n  ");
    format!("{instruction}, with the numbers of the module:\n  {lines}")
}

/// The number of features, and how images become a module's input; `path` is for messages.
fn parse(description: &str, path: &Path) -> Result<(usize, Preprocessing), Message> {
    let value: Value = toml::from_str(description).map_err(|error| {
        let line = error.span().map_or(String::new(), |span| {
            let before = description.bytes().take(span.start);
            format!(":{}", 1 + before.filter(|byte| *byte == b'\n').count())
        });
        let problem = text::said(error.message());
        Message::data(format!("{}{line}: {problem}", text::path(path)))
    })?;
    let mut fields = Fields::new(path, "", value)?;
    let sides = Kind("a side or [height, width]", as_sides);
    let dim = fields.required("dim", SIZE)?;
    let size = fields.required("size", sides)?;
    let mean = fields.required("mean", CHANNELS)?;
    let std = fields.required("std", STD)?;
    let resized = fields.or(size, "resize", sides)?;
    let interpolation = fields.or(Interpolation::Bicubic, "interpolation", INTERPOLATION)?;
    let mode = Kind("`shortest` or `squash`", |value: &Value| {
        match value.as_str()? {
            "shortest" => Some(false),
            "squash" => Some(true),
            _ => None,
        }
    });
    let squashes = fields.or(false, "mode", mode)?;
    fields.finish()?;
    let resize = match (squashes, resized) {
        (true, size) => ResizeMode::Squash { size },
        (false, [height, width]) if height == width => ResizeMode::Shortest { side: height },
        (false, size) => ResizeMode::Cover { size },
    };
    let preprocessing = Preprocessing {
        size,
        resize,
        interpolation,
        crop: CropRounding::HalfToEven,
        mean,
        std,
    };
    Ok((dim, preprocessing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Hub, Settings};
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    const SETTINGS: &str =
        "dim = 8\nsize = [32, 48]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n";

    /// A module with `settings` beside it.
    fn find(settings: &str, allow_code: bool) -> Result<BackboneSpec, Error> {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("module.pt"), "").unwrap();
        fs_err::write(dir.path().join("module.toml"), settings).unwrap();
        let lookup = Lookup {
            base_dir: dir.path(),
            hub: &Hub::new(Settings::default(), Interrupt::default()),
            progress: &Silent,
            allow_code,
            update: false,
        };
        resolve("module.pt", lookup)
    }

    #[test]
    fn settings_are_those_of_the_file_beside_it() {
        let spec = find(SETTINGS, true).unwrap();
        assert_eq!(spec.dim(), 8);
        let preprocessing = spec.preprocessing();
        assert_eq!(preprocessing.size, [32, 48]);
        assert_eq!(preprocessing.resize, ResizeMode::Cover { size: [32, 48] });
        let squashed = find(&format!("{SETTINGS}resize = 64\nmode = \"squash\"\n"), true).unwrap();
        assert_eq!(
            squashed.preprocessing().resize,
            ResizeMode::Squash { size: [64, 64] }
        );
        assert_ne!(spec.canonical(), squashed.canonical());
    }

    #[test]
    fn nothing_is_read_before_code_is_allowed() {
        let refused = find("not TOML", false).unwrap_err().to_string();
        assert!(refused.ends_with("`allow_code` is not set"), "{refused}");
    }

    #[test]
    fn a_module_that_is_not_there_is_named_before_code_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let lookup = Lookup {
            base_dir: dir.path(),
            hub: &Hub::new(Settings::default(), Interrupt::default()),
            progress: &Silent,
            allow_code: false,
            update: false,
        };
        let message = |ckpt| resolve(ckpt, lookup).unwrap_err().to_string();
        assert!(message("module.pt").ends_with("module.pt: no such file"));
        std::os::unix::fs::symlink("gone", dir.path().join("link.pt")).unwrap();
        assert!(message("link.pt").ends_with("is a link to `gone`, where nothing is"));
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        let twice = SETTINGS.replace("dim = 8", "dim = 8\ndim = 9");
        for (settings, said) in [
            (SETTINGS.replace("dim = 8", ""), "`dim`"),
            (SETTINGS.replace("dim = 8", "dim = -1"), "`dim` is `-1`"),
            (SETTINGS.replace("32", "65536"), "`size`"),
            (SETTINGS.replace("std = [0.5", "std = [0.0"), "`std`"),
            (SETTINGS.replace("mean = [0.5", "mean = [nan"), "`mean`"),
            (
                format!("{SETTINGS}mode = \"crop\"\n"),
                "`shortest` or `squash`",
            ),
            (format!("{SETTINGS}flip = true\n"), "`flip`"),
            (twice, "module.toml:2: "),
        ] {
            let message = find(&settings, true).unwrap_err().to_string();
            assert!(message.contains("module.toml"), "{settings}: {message}");
            assert!(message.contains(said), "{settings}: {message}");
        }
    }
}
