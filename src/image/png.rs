//! PNG bytes → RGB, with Pillow's verdicts and Pillow's bytes.
//!
//! Pillow looks at the checksums of what comes before the image's data, and at the zlib stream's own; not at those of
//! the data's chunks, nor at anything behind them. So do we. Other than Pillow, we do not look into chunks that say
//! nothing about the pixels, nor at what is cut short behind the last row; and an animation is the image that it
//! begins with, whatever its frames' sizes.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::error::Format;
use super::{Error, Header, RgbImage, header};

const MAGIC: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Where the pixels of each pass of an interlaced image lie: the first column and row, the steps to the next.
const ADAM7: [[usize; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// Whether `bytes` begin as a PNG does.
pub(super) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..4])
}

/// Decodes a PNG to RGB, byte for byte as `Image.open(f).convert("RGB")`.
///
/// Transparency is dropped, samples of 16 bits lose the lower eight; but those of 16-bit grey are cut off at 255, as
/// Pillow does it. Colours that the palette lacks are black, and so are rows that the data ends before.
///
/// Source: `PngImagePlugin.py`, `ZipDecode.c`, `Unpack.c` and `Convert.c` of Pillow 13.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    let png = Png::parse(bytes)?;
    let Header { width, height, .. } = png.header;
    let mut data = Data {
        chunks: &bytes[png.data_at..],
        input: &[],
        inflate: Decompress::new(true),
        has_ended: false,
    };
    let mut image = RgbImage {
        width,
        height,
        pixels: vec![0; width * height * 3],
    };
    let bits = png.n_samples() * usize::from(png.depth);
    let passes: &[[usize; 4]] = if png.is_interlaced {
        &ADAM7
    } else {
        &[[0, 0, 1, 1]]
    };
    for &[first_x, first_y, step_x, step_y] in passes {
        let columns = (first_x..width).step_by(step_x);
        if columns.len() == 0 {
            continue;
        }
        // A row begins with the number of its filter.
        let n_bytes = 1 + (columns.len() * bits).div_ceil(8);
        let (mut row, mut above) = (vec![0; n_bytes], vec![0; n_bytes]);
        for y in (first_y..height).step_by(step_y) {
            match data.fill(&mut row)? {
                0 => return Ok(image),
                n if n < n_bytes => return Err(Error::Truncated(Format::Png)),
                _ => {}
            }
            unfilter(&mut row, &above, bits.div_ceil(8))?;
            for (i, x) in columns.clone().enumerate() {
                let at = (y * width + x) * 3;
                image.pixels[at..at + 3].copy_from_slice(&png.rgb(&row[1..], i));
            }
            std::mem::swap(&mut row, &mut above);
        }
    }
    // What follows the last row is looked at as far as the call that filled it did: as in Pillow, the stream's checksum
    // may be missing, but not wrong.
    Ok(image)
}

/// As [`super::check`], of a PNG: looks at all chunks, and decodes where the last one is missing.
pub(super) fn check(bytes: &[u8]) -> Result<Header, Error> {
    let png = Png::parse(bytes)?;
    let mut rest = &bytes[png.data_at..];
    while let Some(chunk) = Chunk::first(rest).filter(|chunk| chunk.crc.is_some()) {
        if chunk.kind == b"IEND" {
            return Ok(png.header);
        }
        rest = chunk.rest;
    }
    decode(bytes).map(|_| png.header)
}

fn corrupt(found: impl Into<String>) -> Error {
    Error::Corrupt {
        format: Format::Png,
        found: found.into(),
    }
}

/// A piece of the file.
struct Chunk<'a> {
    kind: &'a [u8; 4],
    /// What is there of its data.
    data: &'a [u8],
    /// Its checksum, if the chunk is whole.
    crc: Option<u32>,
    /// What follows.
    rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (length, bytes) = bytes.split_first_chunk()?;
        let (kind, bytes) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (data, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        let crc = rest.split_first_chunk();
        Some(Self {
            kind,
            data,
            crc: crc.map(|(crc, _)| u32::from_be_bytes(*crc)),
            rest: crc.map_or(&[], |(_, rest)| rest),
        })
    }

    fn is_sound(&self, crc: u32) -> bool {
        let mut sum = Crc::new();
        sum.update(self.kind);
        sum.update(self.data);
        sum.sum() == crc
    }
}

/// What stands before the image's data.
struct Png {
    header: Header,
    /// Bits per sample.
    depth: u8,
    has_palette: bool,
    is_interlaced: bool,
    palette: [[u8; 3]; 256],
    /// Where the first chunk of data begins.
    data_at: usize,
}

impl Png {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return Err(if bytes.len() < MAGIC.len() {
                Error::Truncated(Format::Png)
            } else {
                corrupt("line ends were changed on the way")
            });
        };
        let mut png = None;
        let mut colours: &[u8] = &[];
        loop {
            let chunk = Chunk::first(rest).ok_or(Error::Truncated(Format::Png))?;
            if chunk.kind == b"IDAT" {
                break;
            }
            let crc = chunk.crc.ok_or(Error::Truncated(Format::Png))?;
            let name = chunk.kind.escape_ascii();
            if !chunk.is_sound(crc) {
                return Err(corrupt(format!("wrong checksum of chunk `{name}`")));
            }
            match chunk.kind {
                b"IHDR" => png = Some(Self::of_header(chunk.data)?),
                b"PLTE" => colours = chunk.data,
                b"IEND" => return Err(corrupt("no image data")),
                _ => {}
            }
            rest = chunk.rest;
        }
        let mut png = png.ok_or_else(|| corrupt("no header"))?;
        png.data_at = bytes.len() - rest.len();
        if png.has_palette {
            let (colours, _) = colours.as_chunks();
            let Some(palette) = png.palette.get_mut(..colours.len()) else {
                return Err(corrupt(format!("palette of {} colours", colours.len())));
            };
            palette.copy_from_slice(colours);
        }
        Ok(png)
    }

    fn of_header(data: &[u8]) -> Result<Self, Error> {
        let &[
            w3,
            w2,
            w1,
            w0,
            h3,
            h2,
            h1,
            h0,
            depth,
            colour,
            _compression,
            filter,
            interlace,
            ..,
        ] = data
        else {
            return Err(corrupt(format!("header of {} bytes", data.len())));
        };
        let components = match (colour, depth) {
            (0, 1 | 2 | 4 | 8 | 16) => 1,
            (2, 8 | 16) | (3, 1 | 2 | 4 | 8) => 3,
            (4, 8 | 16) => 2,
            (6, 8 | 16) => 4,
            _ => return Err(corrupt(format!("colour type {colour} of {depth} bits"))),
        };
        if filter != 0 {
            return Err(corrupt(format!("filter method {filter}")));
        }
        let side = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let (width, height) = (side([w3, w2, w1, w0]), side([h3, h2, h1, h0]));
        header::check_size(width, height, Format::Png)?;
        Ok(Self {
            header: Header {
                width,
                height,
                components,
            },
            depth,
            has_palette: colour == 3,
            is_interlaced: interlace != 0,
            palette: [[0; 3]; 256],
            data_at: 0,
        })
    }

    /// Samples per pixel in the file.
    fn n_samples(&self) -> usize {
        if self.has_palette {
            1
        } else {
            self.header.components
        }
    }

    /// The pixel `i` of an unfiltered row.
    fn rgb(&self, row: &[u8], i: usize) -> [u8; 3] {
        let depth = usize::from(self.depth);
        if self.has_palette || self.header.components == 1 {
            if depth == 16 {
                let [high, low] = [row[2 * i], row[2 * i + 1]];
                return [if high > 0 { u8::MAX } else { low }; 3];
            }
            let largest = u8::MAX >> (8 - depth);
            let sample = row[i * depth / 8] >> (8 - depth - i * depth % 8) & largest;
            return if self.has_palette {
                self.palette[usize::from(sample)]
            } else {
                [sample * (u8::MAX / largest); 3]
            };
        }
        let n_bytes = depth / 8;
        let pixel = &row[i * self.header.components * n_bytes..];
        match self.header.components {
            2 => [pixel[0]; 3],
            _ => [pixel[0], pixel[n_bytes], pixel[2 * n_bytes]],
        }
    }
}

/// The image's data, inflated as it is asked for.
struct Data<'a> {
    /// From the first chunk of data on that was not inflated.
    chunks: &'a [u8],
    /// What is left of the chunk before.
    input: &'a [u8],
    inflate: Decompress,
    has_ended: bool,
}

impl Data<'_> {
    /// Fills `out` and returns its length, or less where the stream ends before.
    fn fill(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut n = 0;
        while n < out.len() && !self.has_ended {
            if self.input.is_empty() {
                let chunk = Chunk::first(self.chunks)
                    .filter(|chunk| chunk.kind == b"IDAT")
                    .ok_or(Error::Truncated(Format::Png))?;
                (self.input, self.chunks) = (chunk.data, chunk.rest);
                continue;
            }
            let before = [self.inflate.total_in(), self.inflate.total_out()];
            let status = self
                .inflate
                .decompress(self.input, &mut out[n..], FlushDecompress::None)
                .map_err(|_| corrupt("the zlib stream is damaged"))?;
            let [n_read, n_written] = [
                self.inflate.total_in() - before[0],
                self.inflate.total_out() - before[1],
            ]
            // Neither exceeds the length of a slice.
            .map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            self.has_ended = status == Status::StreamEnd;
            if n_read + n_written == 0 && !self.has_ended {
                return Err(corrupt("the zlib stream stands still"));
            }
            self.input = &self.input[n_read..];
            n += n_written;
        }
        Ok(n)
    }
}

/// Undoes the filter of a row, `n_bytes` per pixel; the filter's number stands before it and before the row `above`.
///
/// Source: the PNG specification, section 9.
fn unfilter(row: &mut [u8], above: &[u8], n_bytes: usize) -> Result<(), Error> {
    match row[0] {
        0 => {}
        1 => add(row, above, n_bytes, |left, _, _| left),
        2 => add(row, above, n_bytes, |_, up, _| up),
        3 => add(row, above, n_bytes, |left, up, _| left.midpoint(up)),
        4 => add(row, above, n_bytes, paeth),
        other => return Err(corrupt(format!("filter {other}, expected 0 to 4"))),
    }
    Ok(())
}

/// Adds to each byte what its neighbours to the left, above, and to the left of that one predict.
fn add(row: &mut [u8], above: &[u8], n_bytes: usize, predict: impl Fn(u8, u8, u8) -> u8) {
    for i in 1..row.len() {
        let [left, up_left] = match i.checked_sub(n_bytes) {
            Some(before @ 1..) => [row[before], above[before]],
            _ => [0, 0],
        };
        row[i] = row[i].wrapping_add(predict(left, above[i], up_left));
    }
}

/// Of three neighbours the one that is nearest to `left + up - up_left`, the first of several.
fn paeth(left: u8, up: u8, up_left: u8) -> u8 {
    let [a, b, c] = [left, up, up_left].map(i16::from);
    let distance = |x: i16| (a + b - c - x).abs();
    if distance(a) <= distance(b) && distance(a) <= distance(c) {
        left
    } else if distance(b) <= distance(c) {
        up
    } else {
        up_left
    }
}
