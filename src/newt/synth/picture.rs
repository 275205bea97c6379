//! One picture of the set: what it shows, how large it is, how it is compressed, and its row of the labels file.

use std::io;

use mozjpeg::{ColorSpace, Compress};

use super::canvas::Canvas;
use super::dice::Dice;
use super::tasks::Task;
use crate::newt::labels::Split;

/// What a picture is to show.
pub struct Subject {
    task: &'static Task,
    /// Shaped as a UUID.
    pub id: String,
    is_one: bool,
    split: Split,
    seed: [u8; 16],
}

/// A picture, compressed.
pub struct Picture {
    width: usize,
    height: usize,
    /// The file.
    pub jpeg: Vec<u8>,
}

/// The first line of the labels file; [`Subject::csv_row`] makes the others.
pub const CSV_HEADER: &str =
    "id,task,task_cluster,task_subcluster,label,text_label,split,height,width\n";

impl Subject {
    /// The picture `index` of a task: half of them are of class 1, and half of each class train.
    pub fn new(seed: u64, task: &'static Task, index: usize) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("newt-pipe synthetic data set: a picture");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&(index as u64).to_le_bytes());
        hasher.update(task.name.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let (mut id, mut seed) = ([0; 16], [0; 16]);
        id.copy_from_slice(&digest[..16]);
        seed.copy_from_slice(&digest[16..]);
        Self {
            task,
            id: uuid_shaped(id),
            is_one: index % 2 == 1,
            split: if index % 4 < 2 {
                Split::Train
            } else {
                Split::Test
            },
            seed,
        }
    }

    /// Draws and compresses it.
    pub fn picture(&self) -> io::Result<Picture> {
        let mut dice = Dice::new(self.seed);
        let [width, height] = sides(&mut dice);
        let mut canvas = Canvas::new(width, height);
        self.task.draw(&mut canvas, &mut dice, self.is_one);
        let jpeg = compress(&canvas, &mut dice, !self.task.is_told_by_colour)?;
        Ok(Picture {
            width,
            height,
            jpeg,
        })
    }

    /// The row of the labels file, with its line break.
    pub fn csv_row(&self, picture: &Picture) -> String {
        let Task { name, groups, .. } = self.task;
        format!(
            "{},{name},{},{},{},{},{},{},{}\n",
            self.id,
            groups[0],
            groups[1],
            u8::from(self.is_one),
            self.task.text_labels[usize::from(self.is_one)],
            self.split.as_str(),
            picture.height,
            picture.width,
        )
    }
}

/// Width and height in pixels: a shorter side of 96 to 256, an aspect ratio of 1 to 3:2.
fn sides(dice: &mut Dice) -> [usize; 2] {
    let short = 96 + dice.below(161);
    let long = short + short * dice.pick(&[0, 25, 33, 33, 50]) / 100;
    if dice.below(3) == 0 {
        [short, long]
    } else {
        [long, short]
    }
}

/// The pixels as one of the kinds of JPEG that a camera roll holds; grey ones, if allowed, are one in twelve.
///
/// The settings are libjpeg's own: what `mozjpeg` adds, its trellis, works in floating point with `pow`, which differs
/// by machine; the rest of the encoder is integer arithmetic.
fn compress(canvas: &Canvas, dice: &mut Dice, may_be_grey: bool) -> io::Result<Vec<u8>> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_fastest_defaults();
    let [width, height] = canvas.size_px();
    jpeg.set_size(width, height);
    jpeg.set_quality(dice.pick(&[62.0, 70.0, 75.0, 80.0, 85.0, 90.0, 94.0]));
    jpeg.set_optimize_coding(true);
    if dice.below(12) == 0 && may_be_grey {
        jpeg.set_color_space(ColorSpace::JCS_GRAYSCALE);
    } else {
        // Width and height of a chroma sample in pixels.
        let sample = dice.pick(&[(2, 2), (2, 2), (2, 1), (1, 1)]);
        jpeg.set_chroma_sampling_pixel_sizes(sample, sample);
    }
    if dice.below(4) == 0 {
        jpeg.set_progressive_mode();
    }
    let mut started = jpeg.start_compress(Vec::new())?;
    started.write_scanlines(&canvas.to_rgb8())?;
    started.finish()
}

/// 16 bytes in hexadecimal, with the hyphens of a UUID.
fn uuid_shaped(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}
