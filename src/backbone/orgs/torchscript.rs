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

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    Fields, INTERPOLATIONS, SIZE, STD, as_channels, as_sides, as_size, as_std, as_variant,
};
use crate::backbone::checkpoint::location::Places;
use crate::backbone::error::{Error, ScriptFault};
use crate::backbone::families::NetworkConfig;
use crate::backbone::families::script::ScriptConfig;
use crate::backbone::spec::{BackboneSpec, Weights};
use crate::files::{self, BrokenLink, found};
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};

/// What a description of a module looks like.
pub const DESCRIPTION: &str = include_str!("torchscript/description.toml");

/// The largest description that is read: a thousand times as large as one with every setting.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// Finds the module that `ckpt` names and reads the file beside it.
pub fn resolve(ckpt: &str, places: Places<'_>) -> Result<BackboneSpec, Error> {
    let module = found(places.base_dir, ckpt)?;
    let path = module.with_extension("toml");
    BrokenLink::check(&module)?;
    BrokenLink::check(&path)?;
    if module.exists() {
        files::check_size(&module, u64::MAX)?;
    }
    let fault = if !module.exists() {
        Some(ScriptFault::Missing)
    } else if !places.allow_code {
        Some(ScriptFault::CodeNotAllowed)
    } else if !path.exists() {
        Some(ScriptFault::NoDescription { toml: path.clone() })
    } else {
        None
    };
    if let Some(fault) = fault {
        return Err(Error::Script {
            path: module,
            fault: Box::new(fault),
        });
    }
    let text = files::read_text(&path, MAX_DESCRIPTION_BYTES)?;
    let value: Value = toml::from_str(&text).map_err(|error| Error::Toml {
        path: path.clone(),
        problem: error.message().to_owned(),
        line: error.span().map(|span| {
            1 + text
                .bytes()
                .take(span.start)
                .filter(|b| *b == b'\n')
                .count()
        }),
    })?;
    let mut fields = Fields::new(&path, "", value)?;
    let dim = fields.required("dim", SIZE, as_size)?;
    let size = fields.required("size", "a side or [height, width]", as_sides)?;
    let mean = fields.required("mean", "three numbers", as_channels)?;
    let std = fields.required("std", STD, as_std)?;
    let mut resized = size;
    fields.set(
        &mut resized,
        "resize",
        "a side or [height, width]",
        as_sides,
    )?;
    let mut interpolation = Interpolation::Bicubic;
    fields.set(
        &mut interpolation,
        "interpolation",
        INTERPOLATIONS,
        as_variant,
    )?;
    let mut squashes = false;
    fields.set(
        &mut squashes,
        "mode",
        "`shortest` or `squash`",
        |value| match value.as_str()? {
            "shortest" => Some(false),
            "squash" => Some(true),
            _ => None,
        },
    )?;
    fields.finish()?;
    let resize = match (squashes, resized) {
        (true, size) => ResizeMode::Squash { size },
        (false, [height, width]) if height == width => ResizeMode::Shortest { side: height },
        (false, size) => ResizeMode::Cover { size },
    };
    Ok(BackboneSpec {
        architecture: module.display().to_string(),
        network: NetworkConfig::Script(ScriptConfig { dim }),
        preprocessing: Preprocessing {
            size,
            resize,
            interpolation,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        },
        weights: Weights::Script(module),
        source: None,
    })
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
        let places = Places {
            base_dir: dir.path(),
            hub: &Hub::new(Settings::default(), Interrupt::default()),
            progress: &Silent,
            allow_code,
            update: false,
        };
        resolve("module.pt", places)
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
        let refused = find("not TOML", false);
        assert!(
            matches!(refused, Err(Error::Script { fault, .. }) if matches!(*fault, ScriptFault::CodeNotAllowed))
        );
    }

    #[test]
    fn a_module_that_is_not_there_is_named_before_code_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            base_dir: dir.path(),
            hub: &Hub::new(Settings::default(), Interrupt::default()),
            progress: &Silent,
            allow_code: false,
            update: false,
        };
        let message = |ckpt| resolve(ckpt, places).unwrap_err().to_string();
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
