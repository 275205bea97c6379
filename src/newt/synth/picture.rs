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
    /// The name of its file, without the ending.
    pub id: String,
    is_one: bool,
    split: Split,
    /// Width and height.
    size_px: [usize; 2],
    /// The choices to come.
    dice: Dice,
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
        let digest = hasher.finalize();
        let mut dice_seed = [0; 16];
        dice_seed.copy_from_slice(&digest.as_bytes()[16..]);
        let mut dice = Dice::new(dice_seed);
        Self {
            task,
            id: digest.to_hex()[..32].to_owned(),
            is_one: index % 2 == 1,
            split: if index % 4 < 2 {
                Split::Train
            } else {
                Split::Test
            },
            size_px: sides(&mut dice),
            dice,
        }
    }

    /// Draws it, and compresses it to the bytes of a JPEG.
    pub fn draw(&self) -> io::Result<Vec<u8>> {
        let mut dice = self.dice.clone();
        let mut canvas = Canvas::new(self.size_px);
        self.task.draw(&mut canvas, &mut dice, self.is_one);
        let is_grey = dice.below(12) == 0 && self.task.may_be_grey();
        compress(&canvas.to_rgb8(), self.size_px, is_grey, &mut dice)
    }

    /// The row of the labels file, with its line break.
    pub fn csv_row(&self) -> String {
        let (id, task) = (&self.id, self.task);
        let ([cluster, subcluster], label) = (task.groups, usize::from(self.is_one));
        let (text_label, split) = (task.text_labels()[label], self.split.as_str());
        let ([width, height], name) = (self.size_px, task.name);
        format!(
            "{id},{name},{cluster},{subcluster},{label},{text_label},{split},{height},{width}\n"
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

/// The pixels, `[h, w, 3]`, as one of the kinds of JPEG that a camera roll holds.
///
/// The settings are libjpeg's own: what `mozjpeg` adds, its trellis, works in floating point with `pow`, which differs
/// by machine; the rest of the encoder is integer arithmetic.
fn compress(
    pixels: &[u8],
    [width, height]: [usize; 2],
    is_grey: bool,
    dice: &mut Dice,
) -> io::Result<Vec<u8>> {
    let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
    jpeg.set_fastest_defaults();
    jpeg.set_size(width, height);
    jpeg.set_quality(dice.pick(&[62.0, 70.0, 75.0, 80.0, 85.0, 90.0, 94.0]));
    jpeg.set_optimize_coding(true);
    if is_grey {
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
    started.write_scanlines(pixels)?;
    started.finish()
}
