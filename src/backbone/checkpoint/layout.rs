//! How published files name the tensors of a network.
//!
//! Networks ask for tensors by timm's names. A [`Layout`] says where such a tensor is in a file: under another
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
pub struct Layout {
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
    /// Which names without the prefix belong to another network, such as a text tower.
    pub others: Others,
    /// A tensor that only files in another layout have, and that layout.
    pub other: Option<(&'static str, &'static Layout)>,
}

#[cfg(feature = "torch")]
impl Layout {
    /// The layout of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: [&Layout; 8] = [
            &TIMM,
            &OPEN_CLIP,
            &OPEN_CLIP_TIMM,
            &TRANSFORMERS_CLIP,
            &TRANSFORMERS_VIT,
            &TRANSFORMERS_DINOV3,
            &TRANSFORMERS_AIMV2,
            &APPLE_AIMV2,
        ];
        ALL.into_iter().find(|layout| layout.name == name)
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

/// Where a tensor is: timm's name, and the file's. `*` stands for a block's number. Both may end with a dot or an
/// underscore, and stand for all names that begin so. A file's name that begins with `/` has no prefix.
#[derive(Debug, PartialEq)]
pub struct Rule(pub &'static str, pub Place);

/// How the file has a tensor.
#[derive(Debug, PartialEq)]
pub enum Place {
    /// As it is.
    At(&'static str),
    /// Without leading axes of length 1.
    Flat(&'static str),
    /// With rows and columns swapped.
    Transposed(&'static str),
    /// The first third of the rows.
    Third(&'static str),
    /// The other two thirds of the rows.
    TwoThirds(&'static str),
    /// Along the first axis, in parts of equal length.
    Parts(&'static [Part]),
}

/// One of several parts.
#[derive(Debug, PartialEq)]
pub enum Part {
    At(&'static str),
    /// Not in the file, all 0.
    Zeros,
}

#[cfg(feature = "torch")]
pub use reading::Published;

#[cfg(feature = "torch")]
mod reading;
