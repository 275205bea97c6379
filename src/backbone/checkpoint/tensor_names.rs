//! What published files call the tensors of a network.
//!
//! Networks ask for tensors by timm's names. [`TensorNames`] say where such a tensor is in a file: under another
//! name, in parts, transposed or without its leading axes.

mod open_clip;
mod timm;
mod transformers;

pub use open_clip::{OPEN_CLIP, OPEN_CLIP_TIMM};
pub use timm::TIMM;
pub use transformers::{
    APPLE_AIMV2, TRANSFORMERS_AIMV2, TRANSFORMERS_CLIP, TRANSFORMERS_DINOV3, TRANSFORMERS_VIT,
};

/// The names in one kind of file.
#[derive(Debug, PartialEq)]
pub struct TensorNames {
    /// In what the program tells the library that runs networks.
    pub name: &'static str,
    /// What training puts before every name in a file; each is taken off in turn, as the library does.
    pub wrappers: &'static [&'static str],
    /// Whether the library makes positions of another grid fit when it loads them.
    pub resizes_positions: bool,
    /// What may stand before the names of the network's tensors; the first that fits the file counts.
    pub prefixes: &'static [&'static str],
    /// In order; of several rules for a tensor the first whose parts are in the file counts. A tensor without a
    /// rule has timm's name, behind the prefix.
    pub rules: &'static [Rule],
    /// Beginnings of names that no feature passes through, behind the prefix.
    pub passed_over: &'static [&'static str],
    /// Beginnings of further names that no feature passes through, behind the prefix, where features are not pooled as the
    /// library does it: those of its pooling, and of the last linear layer.
    pub head: &'static [&'static str],
    /// Which names without the prefix belong to another network, such as a text tower.
    pub others: Others,
    /// A tensor that only files with other names have, and those names.
    pub other: Option<(&'static str, &'static TensorNames)>,
}

/// Names of a file that holds one network and nothing else, as timm has them.
const ALONE: TensorNames = TensorNames {
    name: "",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &[""],
    rules: &[],
    passed_over: &[],
    head: &[],
    others: Others::None,
    other: None,
};

#[cfg(feature = "torch")]
impl TensorNames {
    /// The names that go by that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: [&TensorNames; 8] = [
            &TIMM,
            &OPEN_CLIP,
            &OPEN_CLIP_TIMM,
            &TRANSFORMERS_CLIP,
            &TRANSFORMERS_VIT,
            &TRANSFORMERS_DINOV3,
            &TRANSFORMERS_AIMV2,
            &APPLE_AIMV2,
        ];
        ALL.into_iter().find(|names| names.name == name)
    }
}

/// Which tensors of a file belong to another network.
#[derive(Debug, PartialEq)]
pub enum Others {
    /// None: the file holds one network.
    None,
    /// All without the prefix.
    Rest,
    /// All that do not begin so.
    Outside(&'static str),
}

/// Where tensors are: the beginning of timm's names, and that of the file's; what follows is the same in both. `*` stands
/// for a block's number. A file's name that begins with `/` has no prefix.
#[derive(Debug, PartialEq)]
pub struct Rule {
    /// timm's name.
    pub name: &'static str,
    /// The file's.
    pub stored: &'static str,
    pub form: Form,
    /// What stands for `@` in the file's name, in each of the parts; empty where there are none.
    pub parts: &'static [&'static str],
}

/// How the file has a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// As it is.
    Same,
    /// Without leading axes of length 1.
    Flat,
    /// With rows and columns swapped.
    Transposed,
    /// The first third of the rows.
    Third,
    /// The other two thirds of the rows.
    TwoThirds,
    /// Along the first axis, in parts of equal length.
    Parts,
}

/// Stands for a part that is not in the file, all 0.
pub const ZEROS: &str = "";

const fn rule(name: &'static str, stored: &'static str, form: Form) -> Rule {
    Rule {
        name,
        stored,
        form,
        parts: &[],
    }
}

const fn at(name: &'static str, stored: &'static str) -> Rule {
    rule(name, stored, Form::Same)
}

const fn flat(name: &'static str, stored: &'static str) -> Rule {
    rule(name, stored, Form::Flat)
}

const fn parts(name: &'static str, stored: &'static str, parts: &'static [&'static str]) -> Rule {
    Rule {
        parts,
        ..rule(name, stored, Form::Parts)
    }
}

#[cfg(feature = "torch")]
pub use reading::Published;

#[cfg(feature = "torch")]
mod reading;
