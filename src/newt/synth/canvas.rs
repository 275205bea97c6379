//! A picture in the making: pixels, shapes on them, colours and smooth noise.

use super::dice::Dice;

/// Red, green and blue, each from 0 to 1.
pub type Rgb = [f32; 3];

/// x to the right, y downwards.
pub type Point = [f32; 2];

/// Pixels, addressed in units in which the centre is the origin and the shorter side runs from -1 to 1.
pub struct Canvas {
    width: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// A black canvas of `[width, height]` pixels, neither of them 0.
    pub fn new([width, height]: [usize; 2]) -> Self {
        Self {
            width,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    /// Replaces every pixel by what `paint` makes of its point and colour.
    pub fn paint(&mut self, mut paint: impl FnMut(Point, Rgb) -> Rgb) {
        let sides = [self.width, self.pixels.len() / self.width];
        let half = sides.map(|side| 0.5 * side as f32);
        let pixel = 1.0 / half[0].min(half[1]);
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            let y = (y as f32 + 0.5 - half[1]) * pixel;
            for (x, colour) in row.iter_mut().enumerate() {
                let x = (x as f32 + 0.5 - half[0]) * pixel;
                *colour = paint([x, y], *colour);
            }
        }
    }

    /// Draws a shape around `at`, its x axis in the direction `along` (of any length but 0), enlarged by `scale`.
    ///
    /// `colour` takes points in the shape's own coordinates and has a colour for those that the shape covers; all of
    /// these are within 1 of its origin.
    pub fn draw(
        &mut self,
        at: Point,
        along: Point,
        scale: f32,
        colour: impl Fn(Point) -> Option<Rgb>,
    ) {
        let length = (along[0] * along[0] + along[1] * along[1]).sqrt() * scale;
        self.paint(|[x, y], under| {
            let (x, y) = (x - at[0], y - at[1]);
            let is_near = x.abs() <= scale && y.abs() <= scale;
            let drawn = is_near.then(|| colour(turned([x, y], along).map(|side| side / length)));
            drawn.flatten().unwrap_or(under)
        });
    }

    /// The pixels in 8 bits per channel, row by row: `[h, w, 3]`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=255"
    )]
    pub fn to_rgb8(&self) -> Vec<u8> {
        let values = self.pixels.iter().flatten();
        values
            .map(|value| (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8)
            .collect()
    }
}

/// The point as seen along a direction of length 1, which becomes the x axis; a longer one enlarges.
pub fn turned([x, y]: Point, [along_x, along_y]: Point) -> Point {
    [x * along_x + y * along_y, y * along_x - x * along_y]
}

/// `colour` made lighter or darker by `factor`.
pub fn shade(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|value| value * factor)
}

/// A colour by hue (in turns: 0 red, 1/3 green, 2/3 blue), saturation and value.
pub fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb {
    [0.0, 2.0 / 3.0, 1.0 / 3.0].map(|offset| {
        let position = hue + offset;
        let ramp = ((position - position.floor()) * 6.0 - 3.0).abs() - 1.0;
        value * (1.0 - saturation + saturation * ramp.clamp(0.0, 1.0))
    })
}

/// Smooth noise over the plane, from 0 to 1 with mean 0.5, which repeats every 32 units.
pub struct Noise(Vec<f32>);

impl Noise {
    const SIDE: usize = 32;

    pub fn new(dice: &mut Dice) -> Self {
        Self((0..Self::SIDE * Self::SIDE).map(|_| dice.unit()).collect())
    }

    /// The noise at a point no further than 512 from the origin; its grain is about 1 wide.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the fraction is taken up below"
    )]
    pub fn at(&self, point: Point) -> f32 {
        let [x, y] = point.map(|value| value + 512.0);
        let (left, top) = (x as usize, y as usize);
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (tx, ty) = (smooth(x - left as f32), smooth(y - top as f32));
        let value =
            |dx, dy| self.0[(top + dy) % Self::SIDE * Self::SIDE + (left + dx) % Self::SIDE];
        let above = value(0, 0) + (value(1, 0) - value(0, 0)) * tx;
        let below = value(0, 1) + (value(1, 1) - value(0, 1)) * tx;
        above + (below - above) * ty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb = [1.0; 3];

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
    fn a_disc_covers_its_area_wherever_it_lies() {
        for at in [[0.0, 0.0], [0.31, -0.17]] {
            let mut canvas = Canvas::new([200, 150]);
            canvas.draw(at, [3.0, 4.0], 0.5, |[x, y]| {
                (x * x + y * y < 1.0).then_some(WHITE)
            });
            let n_white = canvas.pixels.iter().filter(|pixel| **pixel == WHITE);
            let covered = n_white.count() as f32 / (std::f32::consts::PI * 37.5 * 37.5);
            assert!((covered - 1.0).abs() < 0.01, "{covered}");
        }
    }

    #[test]
    fn shapes_are_scaled_turned_and_moved() {
        let mut canvas = Canvas::new([6, 6]);
        // The shape's x axis points down.
        canvas.draw([-1.0, 0.0], [0.0, 3.0], 1.0, |[x, y]| {
            (x > 0.5 && y > -0.5).then_some(WHITE)
        });
        let white = canvas.pixels.iter().enumerate();
        let white = white.filter(|(_, pixel)| **pixel == WHITE);
        assert_eq!(white.map(|(at, _)| at).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn what_lies_off_the_canvas_is_not_drawn() {
        let mut canvas = Canvas::new([20, 10]);
        canvas.draw([9.0, -9.0], [1.0, 0.0], 1.0, |_| Some(WHITE));
        assert!(canvas.to_rgb8().iter().all(|&value| value == 0));
        canvas.draw([0.0, 0.0], [1.0, 0.0], 9.0, |_| Some(WHITE));
        assert!(canvas.to_rgb8().iter().all(|&value| value == 255));
    }

    #[test]
    fn noise_stays_within_0_and_1_and_has_no_jumps() {
        let noise = Noise::new(&mut Dice::new([7; 16]));
        let mut last = noise.at([-20.0, 3.0]);
        for step in 0_u16..4000 {
            let next = noise.at([f32::from(step) * 0.01 - 20.0, 3.0]);
            assert!((0.0..=1.0).contains(&next) && (next - last).abs() < 0.05);
            last = next;
        }
    }
}
