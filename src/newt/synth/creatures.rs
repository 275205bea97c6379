//! The plants and animals.

use super::canvas::{Canvas, Place, Point, Rgb, mix, shade};
use super::dice::Dice;
use super::shapes;

/// A flower of `n` petals, seen from above; it reaches 1 from its centre.
pub(super) fn flower(canvas: &mut Canvas, place: Place, n: usize, petal: Rgb, heart: Rgb) {
    let width = 1.5 / n as f32;
    let dark = shade(petal, 0.6);
    canvas.draw(
        place,
        1.1,
        |p| shapes::petals(p, n, width),
        |p| mix(dark, petal, (p[0] * p[0] + p[1] * p[1] + 0.25).min(1.0)),
    );
    canvas.draw(
        place,
        0.3,
        |p| shapes::disc(p, 0.26),
        |[x, y]| shade(heart, 0.95 - 0.9 * (x + y)),
    );
}

/// A leaf along x with its midrib; it reaches 1 from its centre.
pub(super) fn leaf(canvas: &mut Canvas, place: Place, width: f32, colour: Rgb) {
    let rib = shade(colour, 1.35);
    canvas.draw(
        place,
        1.0,
        |p| shapes::lens(p, width),
        |[x, y]: Point| {
            // Side ribs run forward from the midrib.
            let side = (x - y.abs()) * 6.0;
            let is_rib = y.abs() < 0.025 || (side - side.floor()) < 0.12;
            if is_rib {
                rib
            } else {
                shade(colour, if y > 0.0 { 1.0 } else { 0.85 })
            }
        },
    );
    canvas.draw(
        place.then([-1.3, 0.0], 0.0, 1.0),
        0.4,
        |p| shapes::rod(p, 0.35, 0.03, 0.02),
        |_| shade(colour, 0.7),
    );
}

/// A blight's brown spot of radius 1.
pub(super) fn blight(canvas: &mut Canvas, place: Place, colour: Rgb) {
    canvas.draw(
        place,
        1.0,
        |p| shapes::ellipse(p, 1.0, 0.8),
        |[x, y]| {
            mix(
                [0.72, 0.62, 0.28],
                colour,
                (1.6 - 1.4 * (x * x + y * y)).clamp(0.0, 1.0),
            )
        },
    );
}

/// What is on a beetle's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Spots,
    Stripes,
}

/// A beetle that looks along x; it reaches about 1 from its centre.
pub(super) fn beetle(
    canvas: &mut Canvas,
    place: Place,
    back: Rgb,
    mark: Rgb,
    pattern: Pattern,
    marks: f32,
) {
    const BLACK: Rgb = [0.07, 0.06, 0.06];
    for (x, turns) in [(-0.35, 0.31), (0.0, 0.25), (0.35, 0.19)] {
        for side in [turns, -turns] {
            let leg = place.then([x, 0.0], side, 1.0);
            canvas.draw(leg, 0.9, |p| shapes::rod(p, 0.85, 0.05, 0.03), |_| BLACK);
        }
    }
    let head = place.then([0.72, 0.0], 0.0, 1.0);
    canvas.draw(head, 0.3, |p| shapes::disc(p, 0.27), |_| BLACK);
    canvas.draw(
        place,
        0.9,
        |p| shapes::ellipse(p, 0.8, 0.58),
        |[x, y]| {
            let cell = |v: f32| v * marks - (v * marks).floor() - 0.5;
            let is_mark = match pattern {
                Pattern::Spots => shapes::disc([cell(x), cell(y)], 0.29) < 0.0,
                Pattern::Stripes => cell(x).abs() < 0.26,
            };
            let gloss = 1.0 - 0.5 * (x * x + y * y) - 0.15 * y;
            if y.abs() < 0.025 {
                BLACK
            } else {
                shade(if is_mark { mark } else { back }, gloss)
            }
        },
    );
}

/// A fish that swims along x; it reaches about 1 from its centre.
pub(super) fn fish(canvas: &mut Canvas, place: Place, colour: Rgb) {
    let fin = shade(colour, 0.7);
    canvas.draw(
        place.then([-0.55, 0.0], 0.5, 1.0),
        0.7,
        |[x, y]| shapes::rectangle([x - 0.25, y], 0.2, 0.12 + 0.7 * x, 0.02),
        |_| fin,
    );
    canvas.draw(
        place.then([0.0, -0.3], 0.42, 1.0),
        0.5,
        |p| shapes::lens([p[0] * 2.2, p[1] * 2.2], 0.4) / 2.2,
        |_| fin,
    );
    canvas.draw(
        place,
        0.9,
        |p| shapes::ellipse(p, 0.75, 0.36),
        |[_, y]| mix(colour, [0.92, 0.92, 0.88], (0.4 + 1.6 * y).clamp(0.0, 0.9)),
    );
    let eye = place.then([0.47, -0.08], 0.0, 1.0);
    canvas.draw(eye, 0.1, |p| shapes::disc(p, 0.08), |_| [0.95, 0.95, 0.9]);
    canvas.draw(eye, 0.1, |p| shapes::disc(p, 0.05), |_| [0.05, 0.05, 0.05]);
}

/// A bird in flight, seen from the side, that flies along x; `lift` raises its wings.
pub(super) fn bird(canvas: &mut Canvas, place: Place, colour: Rgb, lift: f32) {
    for (x, factor) in [(-0.12, 0.8), (0.1, 1.0)] {
        let wing = place.then([x, -0.05], -0.25 - lift, 1.0);
        canvas.draw(
            wing.then([0.42, 0.0], 0.0, 0.45),
            1.0,
            |p| shapes::lens(p, 0.36),
            |_| shade(colour, factor),
        );
    }
    canvas.draw(
        place.then([-0.62, 0.02], 0.0, 0.3),
        1.1,
        |p| shapes::lens(p, 0.35),
        |_| shade(colour, 0.8),
    );
    canvas.draw(
        place,
        0.6,
        |p| shapes::ellipse(p, 0.55, 0.2),
        |[_, y]| shade(colour, 1.0 + y),
    );
    let head = place.then([0.55, -0.08], 0.0, 1.0);
    canvas.draw(head, 0.2, |p| shapes::disc(p, 0.16), |_| colour);
    canvas.draw(
        head.then([0.12, 0.02], 0.0, 1.0),
        0.3,
        |p| shapes::rod(p, 0.18, 0.06, 0.01),
        |_| [0.85, 0.6, 0.2],
    );
}

/// A berry of radius 1 with its highlight.
pub(super) fn berry(canvas: &mut Canvas, place: Place, colour: Rgb) {
    canvas.draw(
        place,
        1.0,
        |p| shapes::disc(p, 1.0),
        |[x, y]| {
            let off = shapes::disc([x + 0.35, y + 0.35], 0.0);
            let light = (1.0 - off / 0.4).max(0.0);
            mix(shade(colour, 1.15 - 0.45 * off), [1.0; 3], 0.7 * light)
        },
    );
}

/// A butterfly with its wings spread, its head towards -y; it reaches about 1 from its centre.
///
/// `left` scales the left pair of wings against the right one.
pub(super) fn butterfly(canvas: &mut Canvas, place: Place, wing: Rgb, mark: Rgb, left: f32) {
    for (side, size) in [(1.0, 1.0), (-1.0, left)] {
        for (x, y, a, b, turns) in [(0.45, 0.3, 0.42, 0.3, 0.1), (0.5, -0.25, 0.55, 0.36, -0.1)] {
            let at = [side * x * size, y * size];
            let one = place.then(at, side * turns, size);
            canvas.draw(
                one,
                0.6,
                |p| shapes::ellipse(p, a, b),
                |p| {
                    let edge = shapes::ellipse(p, a, b);
                    if edge > -0.06 {
                        shade(wing, 0.3)
                    } else {
                        shade(wing, 1.0 + 0.5 * edge)
                    }
                },
            );
            canvas.draw(
                one.then([side * 0.12, 0.0], 0.0, 1.0),
                0.2,
                |p| shapes::disc(p, 0.11),
                |_| mark,
            );
        }
    }
    canvas.draw(
        place,
        0.6,
        |p| shapes::ellipse(p, 0.07, 0.5),
        |_| [0.1, 0.08, 0.07],
    );
    for turns in [-0.19, -0.31] {
        canvas.draw(
            place.then([0.0, -0.45], turns, 1.0),
            0.4,
            |p| shapes::rod(p, 0.35, 0.025, 0.02),
            |_| [0.1, 0.08, 0.07],
        );
    }
}

/// A starfish of `n` arms; it reaches 1 from its centre.
pub(super) fn starfish(canvas: &mut Canvas, place: Place, n: usize, colour: Rgb) {
    canvas.draw(
        place,
        1.1,
        |p| shapes::star(p, n, 0.34),
        |[x, y]| shade(colour, 1.1 - 0.4 * (x * x + y * y).sqrt()),
    );
}

/// A sand dollar, a disc with `n` slots; it reaches 0.85 from its centre.
pub(super) fn sand_dollar(canvas: &mut Canvas, place: Place, n: usize, colour: Rgb) {
    canvas.draw(
        place,
        0.9,
        |p| shapes::disc(p, 0.85),
        |p| {
            let light = 1.1 - 0.4 * (p[0] * p[0] + p[1] * p[1]).sqrt();
            let is_slot = shapes::petals([p[0] * 1.7, p[1] * 1.7], n, 0.12) < 0.0;
            shade(colour, if is_slot { 0.7 * light } else { light })
        },
    );
}

/// Places `n` berries around the origin so that none touches another.
pub(super) fn apart(dice: &mut Dice, n: usize, field: f32, radius: f32) -> Vec<Point> {
    let mut places: Vec<Point> = Vec::with_capacity(n);
    // Sparse enough that a place is found soon; the bound only keeps the loop finite.
    for _ in 0..10_000 {
        if places.len() == n {
            break;
        }
        let at = [dice.within(-field, field), dice.within(-field, field)];
        let is_free = |other: &Point| {
            let (dx, dy) = (other[0] - at[0], other[1] - at[1]);
            dx * dx + dy * dy > 4.4 * radius * radius
        };
        if places.iter().all(is_free) {
            places.push(at);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn berries_are_as_many_as_asked_and_apart() {
        for seed in 0..=255 {
            let places = apart(&mut Dice::new([seed; 16]), 6, 0.68, 0.2);
            assert_eq!(places.len(), 6);
            for (index, [x, y]) in places.iter().enumerate() {
                for [other_x, other_y] in &places[..index] {
                    let (dx, dy) = (x - other_x, y - other_y);
                    assert!(dx * dx + dy * dy > 0.16);
                }
            }
        }
    }
}
