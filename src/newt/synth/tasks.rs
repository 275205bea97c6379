//! The tasks: what tells class 0 from class 1, and everything that does not.
//!
//! They are graded from trivial to near chance for a network that has learnt nothing.

use super::canvas::{Canvas, Noise, Place, Point, Rgb, hsv, mix, shade, turned};
use super::dice::Dice;

/// A task of the synthetic data set.
pub struct Task {
    pub name: &'static str,
    /// Cluster and subcluster; the second is empty where there is none.
    pub groups: [&'static str; 2],
    /// What class 0 and class 1 are called.
    pub text_labels: [&'static str; 2],
    /// Whether a grey picture would not show its class.
    pub is_told_by_colour: bool,
    /// Draws what a picture of class 1, where that is true, else of class 0, shows before its [`ground`].
    subject: fn(&mut Canvas, &mut Dice, bool),
}

impl Task {
    /// Draws a picture of class 1 where `is_one`, else of class 0.
    pub fn draw(&self, canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
        ground(canvas, dice);
        (self.subject)(canvas, dice, is_one);
        develop(canvas, dice);
    }
}

/// All tasks, in the order of the labels file.
pub static TASKS: [Task; 12] = [
    Task {
        name: "synth_flower_blue_vs_red",
        groups: ["appearance", "attribute"],
        text_labels: ["blue", "red"],
        is_told_by_colour: true,
        subject: flower_colour,
    },
    Task {
        name: "synth_sand_dollar_vs_starfish",
        groups: ["appearance", "species"],
        text_labels: ["sand_dollar", "starfish"],
        is_told_by_colour: false,
        subject: star_shape,
    },
    Task {
        name: "synth_beetle_spots_vs_stripes",
        groups: ["appearance", "species"],
        text_labels: ["spots", "stripes"],
        is_told_by_colour: false,
        subject: beetle_pattern,
    },
    Task {
        name: "synth_leaf_healthy_vs_blighted",
        groups: ["appearance", "health"],
        text_labels: ["healthy", "blighted"],
        is_told_by_colour: false,
        subject: leaf_health,
    },
    Task {
        name: "synth_reeds_upright_vs_lying",
        groups: ["behavior", ""],
        text_labels: ["upright", "lying"],
        is_told_by_colour: false,
        subject: reed_direction,
    },
    Task {
        name: "synth_fish_swims_left_vs_right",
        groups: ["behavior", ""],
        text_labels: ["left", "right"],
        is_told_by_colour: false,
        subject: fish_direction,
    },
    Task {
        name: "synth_day_vs_dusk",
        groups: ["context", ""],
        text_labels: ["day", "dusk"],
        is_told_by_colour: false,
        subject: time_of_day,
    },
    Task {
        name: "synth_horizon_high_vs_low",
        groups: ["context", ""],
        text_labels: ["high", "low"],
        is_told_by_colour: false,
        subject: horizon,
    },
    Task {
        name: "synth_berries_two_vs_six",
        groups: ["counting", ""],
        text_labels: ["two", "six"],
        is_told_by_colour: false,
        subject: |canvas, dice, is_one| berries(canvas, dice, if is_one { 6 } else { 2 }),
    },
    Task {
        name: "synth_berries_four_vs_five",
        groups: ["counting", ""],
        text_labels: ["four", "five"],
        is_told_by_colour: false,
        subject: |canvas, dice, is_one| berries(canvas, dice, if is_one { 5 } else { 4 }),
    },
    Task {
        name: "synth_flower_far_vs_near",
        groups: ["gestalt", ""],
        text_labels: ["far", "near"],
        is_told_by_colour: false,
        subject: flower_distance,
    },
    Task {
        name: "synth_butterfly_uneven_vs_even",
        groups: ["gestalt", ""],
        text_labels: ["uneven", "even"],
        is_told_by_colour: false,
        subject: butterfly_symmetry,
    },
];

/// Covers the canvas with a cloudy green and strews leaves over it, which mean nothing.
fn ground(canvas: &mut Canvas, dice: &mut Dice) {
    let (noise, grain) = (Noise::new(dice), dice.within(3.0, 6.0));
    let light = hsv(
        dice.within(0.2, 0.3),
        dice.within(0.35, 0.5),
        dice.within(0.5, 0.65),
    );
    let dark = shade(light, 0.5);
    canvas.paint(|[x, y], _| mix(dark, light, noise.at([grain * x, grain * y])));
    for _ in 0..6 {
        let at = [dice.within(-1.2, 1.2), dice.within(-1.2, 1.2)];
        let place = Place::new(at, dice.direction(), dice.within(0.05, 0.16));
        let leaf = shade(colour(dice, [0.06, 0.32]), 0.7);
        canvas.draw(place, |p| {
            is_in_oval(p, [0.0; 2], [1.0, 0.5]).then_some(leaf)
        });
    }
}

/// Exposes, tints and shades the picture as a camera would, and adds its grain.
fn develop(canvas: &mut Canvas, dice: &mut Dice) {
    let (exposure, warmth) = (dice.within(0.85, 1.15), dice.within(-0.06, 0.06));
    let gain = [1.0 + warmth, 1.0, 1.0 - warmth].map(|gain| exposure * gain);
    let (vignette, grain) = (dice.within(0.0, 0.14), dice.within(0.0, 0.03));
    canvas.paint(|[x, y], colour| {
        let light = 1.0 - vignette * (x * x + y * y).min(2.0);
        let speckle = grain * dice.within(-1.0, 1.0);
        std::array::from_fn(|i| colour[i] * gain[i] * light + speckle)
    });
}

/// The directions of five arms around a centre.
const ARMS: [Point; 5] = [
    [1.0, 0.0],
    [0.309_017, 0.951_056_5],
    [-0.809_017, 0.587_785_25],
    [-0.809_017, -0.587_785_25],
    [0.309_017, -0.951_056_5],
];

/// Whether the point is in the oval of these half axes, along x and along y, around a centre.
fn is_in_oval([x, y]: Point, [centre_x, centre_y]: Point, [a, b]: Point) -> bool {
    let (x, y) = ((x - centre_x) / a, (y - centre_y) / b);
    x * x + y * y < 1.0
}

/// Somewhere near the centre, so that a centre crop keeps it.
fn near_centre(dice: &mut Dice) -> Point {
    [dice.within(-0.18, 0.18), dice.within(-0.18, 0.18)]
}

/// A strong colour of some hue between two, in turns.
fn colour(dice: &mut Dice, [first, last]: [f32; 2]) -> Rgb {
    let hue = dice.within(first, last);
    hsv(hue, dice.within(0.6, 0.85), dice.within(0.6, 0.9))
}

/// Hues that mean nothing.
const ANY: [f32; 2] = [0.0, 1.0];

/// A flower of five petals.
fn flower(canvas: &mut Canvas, dice: &mut Dice, petal: Rgb, size: f32) {
    let place = Place::new(near_centre(dice), dice.direction(), size);
    let reach = dice.within(0.3, 0.4);
    canvas.draw(place, |p| {
        let is_heart = is_in_oval(p, [0.0; 2], [0.26; 2]);
        let is_petal = ARMS
            .iter()
            .any(|arm| is_in_oval(turned(p, *arm), [0.6, 0.0], [0.4, reach]));
        is_heart
            .then_some([0.9, 0.75, 0.2])
            .or(is_petal.then_some(petal))
    });
}

fn flower_colour(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let petal = colour(dice, if is_one { [0.93, 1.03] } else { [0.57, 0.67] });
    let size = dice.within(0.45, 0.75);
    flower(canvas, dice, petal, size);
}

fn flower_distance(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let petal = colour(dice, [0.75, 1.1]);
    let size = if is_one {
        dice.within(0.6, 1.0)
    } else {
        dice.within(0.2, 0.5)
    };
    flower(canvas, dice, petal, size);
}

/// A disc with five slots, or five arms.
fn star_shape(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let skin = colour(dice, [0.98, 1.08]);
    let place = Place::new(near_centre(dice), dice.direction(), dice.within(0.75, 0.95));
    canvas.draw(place, |p| {
        let on_arm =
            |is_covered: fn(Point) -> bool| ARMS.iter().any(|arm| is_covered(turned(p, *arm)));
        if is_one {
            on_arm(|[x, y]| x >= 0.0 && y.abs() < 0.4 * (1.0 - x)).then_some(skin)
        } else {
            let is_slot = on_arm(|p| is_in_oval(p, [0.4, 0.0], [0.2, 0.06]));
            is_in_oval(p, [0.0; 2], [0.75; 2])
                .then_some(shade(skin, if is_slot { 0.6 } else { 1.0 }))
        }
    });
}

/// An oval back with dark marks.
fn beetle_pattern(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let back = colour(dice, [0.0, 0.14]);
    let place = Place::new(near_centre(dice), dice.direction(), dice.within(0.7, 0.95));
    let n_marks = dice.within(2.4, 4.0);
    canvas.draw(place, |p| {
        let [x, y] = p.map(|value| value * n_marks - (value * n_marks).floor() - 0.5);
        let is_mark = if is_one {
            x.abs() < 0.3
        } else {
            x * x + y * y < 0.09
        };
        is_in_oval(p, [0.0; 2], [0.95, 0.65])
            .then_some(shade(back, if is_mark { 0.15 } else { 1.0 }))
    });
}

/// A green oval, with brown blotches where it is blighted.
fn leaf_health(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (green, brown) = (
        colour(dice, [0.27, 0.33]),
        shade(colour(dice, [0.05, 0.1]), 0.5),
    );
    let place = Place::new(near_centre(dice), dice.direction(), dice.within(0.8, 1.0));
    let n_blotches = if is_one { 6 + dice.below(6) } else { 0 };
    let blotches: Vec<Point> = (0..n_blotches)
        .map(|_| [dice.within(-0.7, 0.7), dice.within(-0.3, 0.3)])
        .collect();
    canvas.draw(place, |p| {
        let is_blotch = blotches.iter().any(|at| is_in_oval(p, *at, [0.09; 2]));
        is_in_oval(p, [0.0; 2], [1.0, 0.45]).then_some(if is_blotch { brown } else { green })
    });
}

/// Stripes all over the canvas, bent by noise.
fn reed_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (reed, tilt) = (colour(dice, [0.1, 0.2]), dice.within(-0.3, 0.3));
    let across = if is_one { [tilt, 1.0] } else { [1.0, tilt] };
    let (noise, n_reeds) = (Noise::new(dice), dice.within(4.0, 7.0));
    canvas.paint(|p, under| {
        let position = n_reeds * turned(p, across)[0] + noise.at(p.map(|value| 3.0 * value));
        let is_reed = position - position.floor() < 0.35;
        if is_reed { reed } else { under }
    });
}

/// An oval body with a tail behind it and an eye in front.
fn fish_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let skin = colour(dice, ANY);
    let forward = [if is_one { 1.0 } else { -1.0 }, dice.within(-0.3, 0.3)];
    let place = Place::new(near_centre(dice), forward, dice.within(0.5, 0.9));
    canvas.draw(place, |p| {
        let [x, y] = p;
        let is_tail = (-0.95..-0.5).contains(&x) && y.abs() < -0.8 * (x + 0.5);
        let is_fish = is_tail || is_in_oval(p, [0.1, 0.0], [0.75, 0.36]);
        let is_eye = is_in_oval(p, [0.55, 0.0], [0.08; 2]);
        is_fish.then_some(shade(skin, if is_eye { 0.1 } else { 1.0 }))
    });
}

/// Three berries in much light or in little.
fn time_of_day(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    berries(canvas, dice, 3);
    let light = if is_one {
        dice.within(0.3, 0.65)
    } else {
        dice.within(0.6, 1.1)
    };
    canvas.paint(|_, lit| shade(lit, light));
}

/// Sky down to some height.
fn horizon(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let level = if is_one { 0.3 } else { -0.3 } + dice.within(-0.32, 0.32);
    let (noise, slope) = (Noise::new(dice), dice.within(-0.1, 0.1));
    let sky = hsv(dice.within(0.55, 0.6), dice.within(0.2, 0.4), 0.9);
    canvas.paint(|[x, y], under| {
        let is_sky = y < level + slope * x;
        if is_sky {
            shade(sky, 0.8 + 0.3 * noise.at([x, 2.0 * y]))
        } else {
            under
        }
    });
}

/// So many discs, none of which touches another, each lit from one side.
fn berries(canvas: &mut Canvas, dice: &mut Dice, n: usize) {
    const CENTRES: [f32; 3] = [-0.5, 0.0, 0.5];
    let (skin, radius) = (colour(dice, [0.96, 1.04]), dice.within(0.15, 0.17));
    let mut free: Vec<Point> = CENTRES
        .iter()
        .flat_map(|x| CENTRES.map(|y| [*x, y]))
        .collect();
    for _ in 0..n {
        let centre = free.swap_remove(dice.below(free.len()));
        let at = centre.map(|value| value + dice.within(-0.07, 0.07));
        canvas.draw(Place::new(at, [1.0, 1.0], radius), |p| {
            is_in_oval(p, [0.0; 2], [1.0; 2]).then_some(shade(skin, 0.9 - 0.3 * p[0]))
        });
    }
}

/// Two wings on either side of a body; on one side they may be smaller.
fn butterfly_symmetry(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (wing, mark) = (colour(dice, ANY), colour(dice, ANY));
    let place = Place::new(near_centre(dice), dice.direction(), dice.within(0.6, 0.9));
    let left = if is_one { 1.0 } else { dice.within(0.5, 0.7) };
    canvas.draw(place, |[x, y]| {
        // Both sides are drawn as the right one.
        let p = if x < 0.0 {
            [-x / left, y / left]
        } else {
            [x, y]
        };
        let is_wing =
            is_in_oval(p, [0.5, -0.3], [0.45, 0.35]) || is_in_oval(p, [0.4, 0.4], [0.35, 0.3]);
        let is_mark = is_in_oval(p, [0.55, -0.3], [0.15; 2]);
        if is_in_oval([x, y], [0.0; 2], [0.07, 0.6]) {
            Some([0.1, 0.08, 0.07])
        } else {
            is_wing.then_some(if is_mark { mark } else { wing })
        }
    });
}
