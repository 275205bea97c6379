//! Vectors that begin at a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

/// Numbers whose first lies at the beginning of a cache line, so that no vector of them straddles two lines.
#[derive(Debug, Default)]
pub struct Aligned<T> {
    /// The numbers, between some that are not used.
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` times the default.
    pub fn new(len: usize) -> Self {
        let slack = LINE / size_of::<T>();
        let buffer = vec![T::default(); len + slack];
        let start = buffer.as_ptr().align_offset(LINE).min(slack);
        Self { buffer, start, len }
    }

    /// Makes this `len` times `value`, in the memory that is there if it is enough.
    pub fn fill_to(&mut self, len: usize, value: T) {
        self.resize(len);
        self.fill(value);
    }

    /// Makes room for `len` numbers, whose values mean nothing.
    pub fn resize(&mut self, len: usize) {
        if self.start + len > self.buffer.len() {
            *self = Self::new(len);
        }
        self.len = len;
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the number that was put in")]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_cache_line_however_often_they_grow() {
        let mut numbers = Aligned::<f32>::default();
        assert_eq!(numbers.len(), 0);
        for len in [1, 100, 7, 0, 5_000, 64] {
            numbers.fill_to(len, 2.0);
            assert_eq!(numbers.len(), len);
            assert!(numbers.iter().all(|&number| number == 2.0));
            assert_eq!(numbers.as_ptr().align_offset(LINE), 0);
        }
    }
}
