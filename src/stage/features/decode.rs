//! Images into pixels, batch by batch, ahead of the network.

use std::path::PathBuf;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use rayon::prelude::*;

use super::bad_image::BadImage;
use crate::cache::Digest;
use crate::error::Error;
use crate::image::{self, Preprocessing};
use crate::interrupt::Interrupt;
use crate::newt::images;

/// Batches that are decoded and wait for the network.
const BATCHES_AHEAD: usize = 2;

/// The file of an image.
pub struct ImageFile {
    pub path: PathBuf,
    /// What its bytes were when the run began.
    pub digest: Digest,
}

/// Some images on their way to the network.
pub struct Batch<'a> {
    pub files: &'a [ImageFile],
    /// `[b, 3, h, w]`, or the images that cannot be used.
    pub pixels: Result<Vec<f32>, Vec<BadImage>>,
}

/// Turns image files into what a network takes.
#[derive(Clone, Copy)]
pub struct Decoder<'a> {
    pub preprocessing: &'a Preprocessing,
    /// Once a stop is asked for, what is left is not decoded, and whoever gets the batch asks for the reason.
    pub interrupt: &'a Interrupt,
}

impl Decoder<'_> {
    /// Decodes `files`, `batch_size` at once, and hands each batch to `take`, in order. `take` gives its pixels back, as
    /// memory for another batch (new memory for each costs time in which a GPU waits), or an empty vector.
    ///
    /// # Errors
    /// The first of `take`; nothing is decoded after it.
    pub fn for_each_batch<'a>(
        self,
        files: &'a [ImageFile],
        batch_size: usize,
        mut take: impl FnMut(Batch<'a>) -> Result<Vec<f32>, Error>,
    ) -> Result<(), Error> {
        let decode_here = |take: &mut dyn FnMut(Batch<'a>) -> Result<Vec<f32>, Error>| {
            let mut pixels = Vec::new();
            for files in files.chunks(batch_size) {
                pixels = take(self.batch(files, pixels))?;
            }
            Ok(())
        };
        if rayon::current_thread_index().is_some() {
            // This thread is one of those that decode: another one would wait for it while it waits for the other.
            return decode_here(&mut take);
        }
        thread::scope(|scope| {
            let (sender, batches) = sync_channel::<Batch<'a>>(BATCHES_AHEAD);
            let (done, spare) = channel::<Vec<f32>>();
            let decode_ahead = move || {
                for files in files.chunks(batch_size) {
                    let pixels = spare.try_recv().unwrap_or_default();
                    if sender.send(self.batch(files, pixels)).is_err() {
                        return;
                    }
                }
            };
            match thread::Builder::new().spawn_scoped(scope, decode_ahead) {
                Ok(_) => batches.into_iter().try_for_each(|batch| {
                    let pixels = take(batch)?;
                    done.send(pixels).ok(); // nobody asks for it while the last batches are on their way
                    Ok(())
                }),
                // The system allows no more threads.
                Err(_) => decode_here(&mut take),
            }
        })
    }

    /// `pixels`: memory of an earlier batch, which is no shorter, or an empty vector.
    fn batch(self, files: &[ImageFile], mut pixels: Vec<f32>) -> Batch<'_> {
        let n_pixels = self.preprocessing.n_values();
        if pixels.is_empty() {
            pixels = vec![0.0; files.len() * n_pixels];
        }
        pixels.truncate(files.len() * n_pixels);
        let bad: Vec<BadImage> = pixels
            .par_chunks_exact_mut(n_pixels)
            .zip(files)
            .filter(|_| !self.interrupt.requested())
            .filter_map(|(out, file)| self.image(file, out).err())
            .collect();
        Batch {
            files,
            pixels: if bad.is_empty() { Ok(pixels) } else { Err(bad) },
        }
    }

    /// Decodes one image into `out`, `[3, h, w]`.
    fn image(self, file: &ImageFile, out: &mut [f32]) -> Result<(), BadImage> {
        let bytes = images::read(&file.path, self.interrupt)
            .map_err(|unread| BadImage::unread(&file.path, &unread))?;
        if Digest::of(&bytes) != file.digest {
            return Err(BadImage::new(
                &file.path,
                "changed while this run was reading it",
                "run again once nothing writes to the images",
            ));
        }
        let image =
            image::decode(&bytes).map_err(|error| BadImage::undecodable(&file.path, &error))?;
        self.preprocessing.apply_into(&image, out);
        Ok(())
    }
}
