//! Outlines, as the distance of a point to them: negative inside.

use super::canvas::{Point, Turn};

fn length([x, y]: Point) -> f32 {
    (x * x + y * y).sqrt()
}

pub(super) fn disc(p: Point, radius: f32) -> f32 {
    length(p) - radius
}

/// An ellipse of half axes `a` along x and `b` along y.
///
/// The distance is a first-order estimate, exact on the outline.
pub(super) fn ellipse([x, y]: Point, a: f32, b: f32) -> f32 {
    let gradient = length([x / (a * a), y / (b * b)]);
    if gradient == 0.0 {
        return -a.min(b);
    }
    let k = length([x / a, y / b]);
    k * (k - 1.0) / gradient
}

/// A rectangle of half sides `a` and `b`, its corners rounded by `radius`.
pub(super) fn rectangle([x, y]: Point, a: f32, b: f32, radius: f32) -> f32 {
    let (dx, dy) = (x.abs() - a + radius, y.abs() - b + radius);
    length([dx.max(0.0), dy.max(0.0)]) + dx.max(dy).min(0.0) - radius
}

/// A lens along x, pointed at x = -1 and x = 1, of half height `b` (below 1).
pub(super) fn lens([x, y]: Point, b: f32) -> f32 {
    let radius = (1.0 + b * b) / (2.0 * b);
    length([x, y.abs() + radius - b]) - radius
}

/// A rod from the origin along x to `reach`, of half width `thick` at the origin and `thin` at
/// the end.
pub(super) fn rod([x, y]: Point, reach: f32, thick: f32, thin: f32) -> f32 {
    let t = (x / reach).clamp(0.0, 1.0);
    length([x - t * reach, y]) - (thick + (thin - thick) * t)
}

/// `n` rods from the centre to a distance of 1.
pub(super) fn star(p: Point, n: usize, thick: f32) -> f32 {
    around(p, n, |p| rod(p, 1.0, thick, 0.02))
}

/// `n` petals, ellipses of half width `b` that touch the centre and reach a distance of 1.
pub(super) fn petals(p: Point, n: usize, b: f32) -> f32 {
    around(p, n, |[x, y]| ellipse([x - 0.5, y], 0.5, b))
}

/// The union of `n` copies of a shape, turned around the origin.
fn around(p: Point, n: usize, distance: impl Fn(Point) -> f32) -> f32 {
    (0..n)
        .map(|k| distance(Turn::by(k as f32 / n as f32).undo(p)))
        .fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_pass_where_they_should() {
        let near = |distance: f32, expected: f32| {
            assert!(
                (distance - expected).abs() < 1e-3,
                "{distance}, expected {expected}"
            );
        };
        near(disc([3.0, 4.0], 1.0), 4.0);
        near(ellipse([0.8, 0.0], 0.8, 0.5), 0.0);
        near(ellipse([0.0, -0.5], 0.8, 0.5), 0.0);
        near(ellipse([0.0, 0.0], 0.8, 0.5), -0.5);
        near(rectangle([0.0, 0.9], 0.3, 0.4, 0.1), 0.5);
        near(rectangle([0.0, 0.0], 0.3, 0.4, 0.1), -0.3);
        near(lens([1.0, 0.0], 0.4), 0.0);
        near(lens([0.0, -0.4], 0.4), 0.0);
        near(rod([0.5, 0.2], 1.0, 0.2, 0.0), 0.1);
        near(rod([2.0, 0.0], 1.0, 0.2, 0.1), 0.9);
        near(petals([1.0, 0.0], 6, 0.2), 0.0);
    }

    #[test]
    fn stars_and_petals_repeat_around_the_centre() {
        for shape in [|p| star(p, 5, 0.3), |p| petals(p, 5, 0.2)] {
            let p = [0.7, 0.15];
            let turned = Turn::by(0.4).apply(p);
            // The rotation is by an approximate sine.
            assert!((shape(p) - shape(turned)).abs() < 5e-3);
        }
    }
}
