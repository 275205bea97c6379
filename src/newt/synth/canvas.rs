//! A picture in the making: pixels, the placing of shapes on them, and smooth noise.

use super::dice::Dice;

/// Red, green and blue, each from 0 to 1.
pub(super) type Rgb = [f32; 3];

/// x to the right, y downwards.
pub(super) type Point = [f32; 2];

/// Pixels, addressed in units in which the centre is the origin and the shorter side runs from
/// -1 to 1.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Rgb>,
}

/// Where a shape goes: its own coordinates are scaled, turned, then moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: Point,
    turn: Turn,
    scale: f32,
}

/// A rotation, by its cosine and sine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    cos: f32,
    sin: f32,
}

impl Turn {
    /// The rotation by `turns` full turns, clockwise as seen (y points down).
    pub(super) fn by(turns: f32) -> Self {
        let (cos, sin) = (sine(turns + 0.25), sine(turns));
        // The sine is approximate; with the length made 1, the rotation still keeps distances.
        let length = (cos * cos + sin * sin).sqrt();
        Self {
            cos: cos / length,
            sin: sin / length,
        }
    }

    pub(super) fn apply(self, [x, y]: Point) -> Point {
        [self.cos * x - self.sin * y, self.sin * x + self.cos * y]
    }

    pub(super) fn undo(self, [x, y]: Point) -> Point {
        [self.cos * x + self.sin * y, self.cos * y - self.sin * x]
    }
}

/// The sine of `turns` full turns, to 0.001: two parabolas, since libm's sine differs by machine.
pub(super) fn sine(turns: f32) -> f32 {
    let x = turns - (turns + 0.5).floor();
    let y = 8.0 * x * (1.0 - 2.0 * x.abs());
    y * (0.775 + 0.225 * y.abs())
}

impl Place {
    /// `scale` is the length, in units of the canvas, of 1 in the shape's own coordinates.
    pub(super) fn new(at: Point, turns: f32, scale: f32) -> Self {
        Self {
            at,
            turn: Turn::by(turns),
            scale,
        }
    }

    /// The place within this one.
    pub(super) fn then(&self, at: Point, turns: f32, scale: f32) -> Self {
        let [x, y] = self.turn.apply(at);
        let inner = Turn::by(turns);
        let [cos, sin] = self.turn.apply([inner.cos, inner.sin]);
        Self {
            at: [self.at[0] + self.scale * x, self.at[1] + self.scale * y],
            turn: Turn { cos, sin },
            scale: self.scale * scale,
        }
    }

    fn to_local(self, point: Point) -> Point {
        let [x, y] = self
            .turn
            .undo([point[0] - self.at[0], point[1] - self.at[1]]);
        [x / self.scale, y / self.scale]
    }
}

impl Canvas {
    /// A black canvas of `width` × `height` pixels, neither of them 0.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    /// Width and height in pixels.
    pub(super) fn size_px(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The side lengths in units: the shorter is 2.
    pub(super) fn extent(&self) -> Point {
        let pixel = self.pixel();
        [self.width as f32 * pixel, self.height as f32 * pixel]
    }

    /// The side of a pixel in units.
    fn pixel(&self) -> f32 {
        2.0 / self.width.min(self.height) as f32
    }

    /// `n` points, anywhere on the canvas.
    pub(super) fn anywhere(&self, dice: &mut Dice, n: usize) -> Vec<Point> {
        let [w, h] = self.extent();
        (0..n)
            .map(|_| [dice.within(-0.5, 0.5) * w, dice.within(-0.5, 0.5) * h])
            .collect()
    }

    /// Replaces every pixel by what `paint` makes of its point and colour.
    pub(super) fn repaint(&mut self, mut paint: impl FnMut(Point, Rgb) -> Rgb) {
        let pixel = self.pixel();
        let [w, h] = self.extent();
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            let py = (y as f32 + 0.5) * pixel - 0.5 * h;
            for (x, colour) in row.iter_mut().enumerate() {
                let px = (x as f32 + 0.5) * pixel - 0.5 * w;
                *colour = paint([px, py], *colour);
            }
        }
    }

    /// Swaps left and right.
    pub(super) fn mirror(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.width) {
            row.reverse();
        }
    }

    /// Draws the shape where `distance` is negative, with smooth edges.
    ///
    /// `distance` and `paint` take points in the shape's own coordinates; the shape lies within
    /// `reach` of its origin. `distance` is the distance to the outline, or near it.
    pub(super) fn draw(
        &mut self,
        place: Place,
        reach: f32,
        distance: impl Fn(Point) -> f32,
        paint: impl Fn(Point) -> Rgb,
    ) {
        let pixel = self.pixel();
        let [w, h] = self.extent();
        let reach = reach * place.scale + pixel;
        let columns = covered(place.at[0] + 0.5 * w, reach, pixel, self.width);
        let rows = covered(place.at[1] + 0.5 * h, reach, pixel, self.height);
        for y in rows {
            let py = (y as f32 + 0.5) * pixel - 0.5 * h;
            for x in columns.clone() {
                let px = (x as f32 + 0.5) * pixel - 0.5 * w;
                let local = place.to_local([px, py]);
                let cover = (0.5 - distance(local) * place.scale / pixel).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let under = &mut self.pixels[y * self.width + x];
                    *under = mix(*under, paint(local), cover);
                }
            }
        }
    }

    /// The pixels in 8 bits per channel, row by row: `[h, w, 3]`.
    pub(super) fn to_rgb8(&self) -> Vec<u8> {
        self.pixels
            .iter()
            .flatten()
            .map(|&value| to_byte(value))
            .collect()
    }
}

/// The pixels within `reach` of `centre` along an axis of `n` pixels.
fn covered(centre: f32, reach: f32, pixel: f32, n: usize) -> std::ops::Range<usize> {
    let index = |at: f32| (at / pixel).clamp(0.0, n as f32);
    to_index(index(centre - reach).floor())..to_index(index(centre + reach).ceil())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller clamps to 0 and the canvas's side"
)]
fn to_index(value: f32) -> usize {
    value as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255"
)]
fn to_byte(value: f32) -> u8 {
    (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// `a` where `t` is 0, `b` where `t` is 1.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

/// `colour` made lighter or darker by `factor`.
pub(super) fn shade(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|value| (value * factor).min(1.0))
}

/// A colour by hue (in turns: 0 red, 1/3 green, 2/3 blue), saturation and value.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb {
    let hue = hue - hue.floor();
    std::array::from_fn(|i| {
        let offset = [0.0, 2.0 / 3.0, 1.0 / 3.0][i];
        let position = hue + offset;
        let ramp = ((position - position.floor()) * 6.0 - 3.0).abs() - 1.0;
        value * (1.0 - saturation + saturation * ramp.clamp(0.0, 1.0))
    })
}

/// Smooth noise over the plane, from 0 to 1 with mean 0.5, which repeats every 32 units.
pub(super) struct Noise {
    lattice: Vec<f32>,
}

impl Noise {
    const SIDE: usize = 32;

    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            lattice: (0..Self::SIDE * Self::SIDE).map(|_| dice.unit()).collect(),
        }
    }

    /// The noise at a point; its grain is about 1 wide.
    pub(super) fn at(&self, [x, y]: Point) -> f32 {
        let (x, y) = (x + 512.0, y + 512.0);
        let (left, top) = (to_index(x), to_index(y));
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (tx, ty) = (smooth(x - left as f32), smooth(y - top as f32));
        let value = |dx, dy| {
            let (column, row) = ((left + dx) % Self::SIDE, (top + dy) % Self::SIDE);
            self.lattice[row * Self::SIDE + column]
        };
        let above = value(0, 0) + (value(1, 0) - value(0, 0)) * tx;
        let below = value(0, 1) + (value(1, 1) - value(0, 1)) * tx;
        above + (below - above) * ty
    }

    /// Three layers of noise, each twice as fine and half as strong as the one before.
    pub(super) fn layered(&self, [x, y]: Point) -> f32 {
        let layers = 4.0 * self.at([x, y])
            + 2.0 * self.at([2.0 * x + 7.3, 2.0 * y + 3.1])
            + self.at([4.0 * x + 1.7, 4.0 * y + 9.2]);
        layers / 7.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb = [1.0; 3];

    fn whiteness(canvas: &Canvas) -> f32 {
        canvas.pixels.iter().map(|pixel| pixel[0]).sum()
    }

    #[test]
    fn the_sine_is_near_the_true_one() {
        for step in -200_i16..200 {
            let turns = f32::from(step) / 70.0;
            let expected = (turns * std::f32::consts::TAU).sin();
            // The parabolas' own error; it is only ever seen as the shape of a curve.
            assert!((sine(turns) - expected).abs() < 0.0012, "{turns}");
        }
    }

    #[test]
    fn hues_go_round_from_red_over_green_and_blue() {
        let near = |hue, expected: Rgb| {
            let found = hsv(hue, 1.0, 1.0);
            assert!(
                (0..3).all(|i| (found[i] - expected[i]).abs() < 1e-5),
                "{hue}: {found:?}"
            );
        };
        near(0.0, [1.0, 0.0, 0.0]);
        near(1.0 / 6.0, [1.0, 1.0, 0.0]);
        near(1.0 / 3.0, [0.0, 1.0, 0.0]);
        near(2.0 / 3.0, [0.0, 0.0, 1.0]);
        near(-1.0 / 3.0, [0.0, 0.0, 1.0]);
        let grey = hsv(0.4, 0.0, 0.5);
        assert!(
            grey.iter().all(|value| (value - 0.5).abs() < 1e-5),
            "{grey:?}"
        );
    }

    #[test]
    fn a_place_within_a_place_scales_turns_and_moves() {
        let outer = Place::new([0.5, 0.0], 0.25, 2.0);
        let [x, y] = outer.then([1.0, 0.0], 0.25, 0.5).to_local([0.5, 3.0]);
        // Outer: 1 along x is 2 downwards. Inner: turned by half a turn in all, at unit scale.
        assert!(x.abs() < 1e-5 && (y + 1.0).abs() < 1e-5, "{x} {y}");
    }

    #[test]
    fn a_disc_covers_its_area_wherever_it_lies() {
        for at in [[0.0, 0.0], [0.31, -0.17]] {
            let mut canvas = Canvas::new(200, 150);
            let disc = |[x, y]: Point| (x * x + y * y).sqrt() - 1.0;
            canvas.draw(Place::new(at, 0.1, 0.5), 1.0, disc, |_| WHITE);
            let expected = std::f32::consts::PI * 37.5 * 37.5;
            // Smooth edges estimate the cover of a pixel to a few hundredths.
            assert!(
                (whiteness(&canvas) / expected - 1.0).abs() < 0.005,
                "{}",
                whiteness(&canvas)
            );
        }
    }

    #[test]
    fn what_lies_off_the_canvas_is_not_drawn() {
        let mut canvas = Canvas::new(20, 10);
        canvas.draw(Place::new([9.0, -9.0], 0.0, 1.0), 1.0, |_| -1.0, |_| WHITE);
        assert!(whiteness(&canvas) == 0.0);
        canvas.draw(Place::new([0.0, 0.0], 0.0, 9.0), 1.0, |_| -1.0, |_| WHITE);
        assert!(canvas.to_rgb8().iter().all(|&value| value == 255));
    }

    #[test]
    fn a_mirrored_canvas_has_left_and_right_swapped() {
        let mut canvas = Canvas::new(3, 2);
        canvas.repaint(|[x, y], _| if x < -0.5 && y < 0.0 { WHITE } else { [0.0; 3] });
        assert_eq!(
            canvas.to_rgb8().iter().position(|&value| value == 255),
            Some(0)
        );
        canvas.mirror();
        assert_eq!(
            canvas.to_rgb8().iter().position(|&value| value == 255),
            Some(6)
        );
    }

    #[test]
    fn noise_stays_within_0_and_1_and_has_no_jumps() {
        let noise = Noise::new(&mut Dice::new([7; 16]));
        let mut last = noise.layered([-20.0, 3.0]);
        for step in 0_u16..4000 {
            let next = noise.layered([f32::from(step) * 0.01 - 20.0, 3.0]);
            assert!((0.0..=1.0).contains(&next) && (next - last).abs() < 0.05);
            last = next;
        }
    }
}
