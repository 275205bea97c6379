//! What is said of images whose features a probe cannot take as they are.

use crate::probe::Oddity;
use crate::text::{Listing, count, foreign};

/// What the features of an image are called in a task's messages.
pub fn name(task: &str, image: &str) -> String {
    format!(
        "task `{}`: the row of image `{}`",
        foreign(task),
        foreign(image)
    )
}

/// One line for each kind of oddity among `rows`, which are told by their images.
pub fn warnings(task: &str, is_centred: bool, rows: &[(Oddity, &str)]) -> Vec<String> {
    let of_kind = |kind| {
        let odd = rows.iter().filter(move |(oddity, _)| *oddity == kind);
        let images: Listing = odd
            .map(|(_, image)| format!("`{}`", foreign(image)))
            .collect();
        (!images.is_empty()).then(|| {
            format!(
                "task `{}`: {} {}: {images}; {}",
                foreign(task),
                count(images.n, "image", "images"),
                found(kind, is_centred),
                consequence(kind)
            )
        })
    };
    [Oddity::Zero, Oddity::Tiny]
        .into_iter()
        .filter_map(of_kind)
        .collect()
}

/// What is odd about the features of an image, to stand behind "1 image".
fn found(oddity: Oddity, is_centred: bool) -> &'static str {
    match (oddity, is_centred) {
        (Oddity::Zero, true) => "with features equal to the train mean",
        (Oddity::Zero, false) => "with features of zeros only",
        (Oddity::Tiny, true) => {
            "with features so near to the train mean that float32 loses their squares"
        }
        (Oddity::Tiny, false) => "with features so small that float32 loses their squares",
    }
}

/// What becomes of such an image.
fn consequence(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::Zero => "a row of zeros stays as it is, where the reference fails",
        Oddity::Tiny => "scaled by the norm in float64, where the reference fails",
    }
}
