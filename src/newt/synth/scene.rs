//! What lies behind and around a subject, and what a camera adds.

use super::canvas::{Canvas, Noise, Place, Point, Rgb, hsv, mix, shade};
use super::dice::Dice;
use super::shapes;

/// A kind of ground or backdrop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scene {
    Bark,
    Meadow,
    Sand,
    Sky,
    Soil,
    Water,
}

impl Scene {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Bark,
        Self::Meadow,
        Self::Sand,
        Self::Sky,
        Self::Soil,
        Self::Water,
    ];

    /// Covers the canvas with this scene.
    pub(super) fn fill(self, canvas: &mut Canvas, dice: &mut Dice) {
        self.fill_below(canvas, dice, f32::NEG_INFINITY);
    }

    /// Covers what lies below the height `level` with this scene.
    pub(super) fn fill_below(self, canvas: &mut Canvas, dice: &mut Dice, level: f32) {
        let (dark, light, stretch) = match self {
            Self::Bark => ([0.22, 0.15, 0.10], [0.50, 0.38, 0.28], [7.0, 1.2]),
            Self::Meadow => ([0.14, 0.25, 0.08], [0.45, 0.56, 0.22], [3.0, 3.0]),
            Self::Sand => ([0.66, 0.56, 0.40], [0.88, 0.80, 0.64], [2.0, 4.0]),
            Self::Sky => ([0.38, 0.58, 0.82], [0.88, 0.92, 0.96], [1.1, 1.9]),
            Self::Soil => ([0.20, 0.14, 0.10], [0.46, 0.35, 0.25], [4.0, 4.0]),
            Self::Water => ([0.08, 0.24, 0.34], [0.34, 0.56, 0.62], [1.2, 6.0]),
        };
        let noise = Noise::new(dice);
        let (sun, tint) = (dice.within(-0.15, 0.15), dice.within(0.85, 1.15));
        canvas.repaint(|[x, y], colour| {
            if y < level {
                return colour;
            }
            let t = noise.layered([x * stretch[0], y * stretch[1]]) + sun * x - 0.1 * y;
            shade(mix(dark, light, t.clamp(0.0, 1.0)), tint)
        });
        let strewn = match self {
            Self::Meadow => 120,
            Self::Bark | Self::Sand | Self::Water => 40,
            Self::Soil => 25,
            Self::Sky => 0,
        };
        let mut points = canvas.anywhere(dice, strewn);
        points.retain(|point| point[1] >= level);
        match self {
            Self::Bark => strokes(canvas, dice, &points, [0.21, 0.29], shade(dark, 0.7)),
            Self::Meadow => {
                let (shaded, lit) = points.split_at(points.len() / 2);
                strokes(canvas, dice, shaded, UPRIGHT, shade(dark, 0.9));
                strokes(canvas, dice, lit, UPRIGHT, light);
            }
            Self::Sand => pebbles(canvas, dice, &points, 0.02, light),
            Self::Sky => {}
            Self::Soil => pebbles(canvas, dice, &points, 0.07, light),
            Self::Water => strokes(canvas, dice, &points, [-0.01, 0.01], shade(light, 1.3)),
        }
    }
}

/// The directions of blades of grass, in turns.
const UPRIGHT: [f32; 2] = [0.67, 0.83];

/// Draws a thin stroke from each point, in a direction between two, given in turns.
pub(super) fn strokes(
    canvas: &mut Canvas,
    dice: &mut Dice,
    points: &[Point],
    directions: [f32; 2],
    colour: Rgb,
) {
    let [first, last] = directions;
    for &point in points {
        let reach = dice.within(8.0, 16.0);
        let place = Place::new(point, dice.within(first, last), dice.within(0.012, 0.022));
        let colour = shade(colour, dice.within(0.75, 1.2));
        canvas.draw(
            place,
            reach + 1.0,
            |p| shapes::rod(p, reach, 0.7, 0.1),
            |_| colour,
        );
    }
}

fn pebbles(canvas: &mut Canvas, dice: &mut Dice, points: &[Point], size: f32, colour: Rgb) {
    for &point in points {
        let place = Place::new(point, dice.unit(), size * dice.within(0.4, 1.3));
        let flat = dice.within(0.5, 0.9);
        let colour = shade(colour, dice.within(0.55, 1.1));
        canvas.draw(
            place,
            1.0,
            |p| shapes::ellipse(p, 1.0, flat),
            |[x, y]| shade(colour, 0.85 - 0.2 * (x + y)),
        );
    }
}

/// Scatters `n` fallen leaves, which mean nothing.
pub(super) fn litter(canvas: &mut Canvas, dice: &mut Dice, n: usize) {
    for point in canvas.anywhere(dice, n) {
        let place = Place::new(point, dice.unit(), dice.within(0.06, 0.17));
        let colour = hsv(
            dice.within(0.06, 0.32),
            dice.within(0.3, 0.7),
            dice.within(0.25, 0.6),
        );
        let width = dice.within(0.25, 0.55);
        canvas.draw(
            place,
            1.0,
            |p| shapes::lens(p, width),
            |[_, y]: Point| shade(colour, if y > 0.0 { 1.0 } else { 0.85 }),
        );
    }
}

/// Exposes, tints and shades the picture as a camera would, and adds its grain.
pub(super) fn develop(canvas: &mut Canvas, dice: &mut Dice, exposure: f32) {
    let warmth = dice.within(-0.06, 0.06);
    let gain = [
        exposure * (1.0 + warmth),
        exposure,
        exposure * (1.0 - warmth),
    ];
    let vignette = dice.within(0.0, 0.14);
    let grain = dice.within(0.005, 0.03);
    canvas.repaint(|[x, y], colour| {
        let light = 1.0 - vignette * (x * x + y * y).min(2.0);
        let speckle = grain * triangular(dice.bits());
        std::array::from_fn(|i| colour[i] * gain[i] * light + speckle)
    });
}

/// A number from -1 to 1, likeliest at 0, made of random bits.
fn triangular(bits: u64) -> f32 {
    const SCALE: f32 = 1.0 / 65_536.0;
    let (a, b) = ((bits >> 48) as f32, ((bits >> 32) & 0xffff) as f32);
    (a - b) * SCALE
}
