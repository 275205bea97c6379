//! The windows of transformers that attend inside them.
//!
//! Shapes: b batch, h w of a map of tokens, c channels, n windows of an image.

use tch::{TchError, Tensor};

/// How a map is cut into windows, with zeros at the right and lower border where it ends inside one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// `[h, w]` of the map.
    map: [i64; 2],
    /// `[h, w]` of a window.
    size: [i64; 2],
}

impl Windows {
    pub fn new(map: [i64; 2], size: [i64; 2]) -> Self {
        Self { map, size }
    }

    /// `[h, w]` of a window.
    pub fn size(self) -> [i64; 2] {
        self.size
    }

    /// How many windows lie one below the other, and side by side.
    pub fn grid(self) -> [i64; 2] {
        [0, 1].map(|axis| (self.map[axis] + self.size[axis] - 1) / self.size[axis])
    }

    /// `[h, w]` of the map with its zeros.
    pub fn padded(self) -> [i64; 2] {
        let grid = self.grid();
        [0, 1].map(|axis| grid[axis] * self.size[axis])
    }

    /// `x`: `[b, h, w, c]`; gives `[b·n, h, w, c]` with a window's height and width.
    pub fn partition(self, x: &Tensor) -> Result<Tensor, TchError> {
        let ([rows, columns], [height, width]) = (self.grid(), self.size);
        let [below, right] = [0, 1].map(|axis| self.padded()[axis] - self.map[axis]);
        let x = if [below, right] == [0, 0] {
            x.shallow_clone()
        } else {
            x.f_constant_pad_nd([0, 0, 0, right, 0, below])?
        };
        x.f_reshape([-1, rows, height, columns, width, x.size()[3]])?
            .f_permute([0, 1, 3, 2, 4, 5])? // [b, rows, columns, h, w, c]
            .f_reshape([-1, height, width, x.size()[3]])
    }

    /// `windows`: `[b·n, h, w, c]`, whose height and width are a window's; gives `[b, h, w, c]`.
    pub fn merge(self, windows: &Tensor) -> Result<Tensor, TchError> {
        let ([rows, columns], [height, width]) = (self.grid(), self.size);
        let channels = windows.size()[3];
        windows
            .f_reshape([-1, rows, columns, height, width, channels])?
            .f_permute([0, 1, 3, 2, 4, 5])? // [b, rows, h, columns, w, c]
            .f_reshape([-1, rows * height, columns * width, channels])?
            .f_narrow(1, 0, self.map[0])?
            .f_narrow(2, 0, self.map[1])
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn values(x: &Tensor) -> Vec<i64> {
        x.flatten(0, -1).try_into().unwrap()
    }

    #[test]
    fn windows_are_read_row_by_row_and_padded_at_the_end() {
        let windows = Windows::new([3, 5], [2, 3]);
        assert_eq!((windows.grid(), windows.padded()), ([2, 2], [4, 6]));
        let map = Tensor::arange(15, (Kind::Int64, tch::Device::Cpu)).reshape([1, 3, 5, 1]);
        let cut = windows.partition(&map).unwrap();
        assert_eq!(cut.size(), [4, 2, 3, 1]);
        let expected = [
            [0, 1, 2, 5, 6, 7],
            [3, 4, 0, 8, 9, 0],
            [10, 11, 12, 0, 0, 0],
            [13, 14, 0, 0, 0, 0],
        ];
        assert_eq!(values(&cut), expected.concat());
    }

    #[test]
    fn merging_undoes_the_partition() {
        let windows = Windows::new([4, 7], [3, 2]);
        let map = Tensor::arange(2 * 28 * 3, (Kind::Int64, tch::Device::Cpu));
        let map = map.reshape([2, 4, 7, 3]);
        let merged = windows.merge(&windows.partition(&map).unwrap()).unwrap();
        assert_eq!(merged.size(), map.size());
        assert_eq!(values(&merged), values(&map));
    }
}
