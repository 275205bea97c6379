//! One picture of the set: what it shows, how large it is, and its row of the labels file.

use std::io;

use rayon::prelude::*;

use super::Error;
use super::canvas::Canvas;
use super::dice::Dice;
use super::encode::Format;
use super::tasks::Task;
use crate::interrupt::Interrupt;
use crate::newt::labels::Split;
use crate::progress::Progress;

/// What a picture is to show.
pub(super) struct Subject {
    task: &'static Task,
    /// Shaped as a UUID.
    pub(super) id: String,
    is_one: bool,
    split: Split,
    seed: [u8; 16],
}

/// A picture, compressed.
pub(super) struct Picture {
    width: usize,
    height: usize,
    /// The file.
    pub(super) jpeg: Vec<u8>,
}

impl Subject {
    pub(super) fn new(seed: u64, task: &'static Task, index: usize) -> Self {
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

    fn picture(&self) -> io::Result<Picture> {
        let mut dice = Dice::new(self.seed);
        let [width, height] = sides(&mut dice);
        let mut canvas = Canvas::new(width, height);
        self.task.draw(&mut canvas, &mut dice, self.is_one);
        let jpeg = Format::choose(&mut dice, self.task.may_be_grey).encode(&canvas)?;
        Ok(Picture {
            width,
            height,
            jpeg,
        })
    }

    /// The row of the labels file, with its line break.
    pub(super) fn csv_row(&self, picture: &Picture) -> String {
        let task = self.task;
        format!(
            "{},{},{},{},{},{},{},{},{}\n",
            self.id,
            task.name,
            task.cluster,
            task.subcluster.unwrap_or(""),
            u8::from(self.is_one),
            task.text_labels[usize::from(self.is_one)],
            self.split.as_str(),
            picture.height,
            picture.width,
        )
    }
}

/// The first line of the labels file; [`Subject::csv_row`] makes the others.
pub(super) const CSV_HEADER: &str =
    "id,task,task_cluster,task_subcluster,label,text_label,split,height,width\n";

/// Draws all pictures, in parallel; they come in the order of `subjects`.
pub(super) fn draw(
    subjects: &[Subject],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Picture>, Error> {
    progress.start("drawing the synthetic data set", subjects.len() as u64);
    let pictures = subjects
        .par_iter()
        .map(|subject| {
            interrupt.check()?;
            let picture = subject.picture()?;
            progress.tick(1);
            Ok(picture)
        })
        .collect();
    progress.finish();
    pictures
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
