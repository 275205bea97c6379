//! The tasks: what tells class 0 from class 1, and everything that does not.
//!
//! They are graded from trivial to near chance for a network that has learnt nothing.

use super::canvas::{Canvas, Noise, Point, Rgb, hsv, shade, turned};
use super::dice::Dice;

/// A task of the synthetic data set.
pub struct Task {
    /// It ends with what class 0 and class 1 are called: `…_blue_vs_red`.
    pub name: &'static str,
    /// Cluster and subcluster; the second is empty where there is none.
    pub groups: [&'static str; 2],
    /// Draws what a picture shows before its [`ground`]: of class 1 where that is true, else of class 0.
    subject: fn(&mut Canvas, &mut Dice, bool),
}

macro_rules! tasks {
    ($($name:literal: $cluster:literal, $subcluster:literal, $subject:ident;)+) => {
        /// All tasks, in the order of the labels file.
        pub static TASKS: &[Task] = &[$(Task {
            name: $name,
            groups: [$cluster, $subcluster],
            subject: $subject,
        }),+];
    };
}

tasks! {
    "synth_flower_blue_vs_red": "appearance", "attribute", flower_colour;
    "synth_disc_vs_starfish": "appearance", "species", star_shape;
    "synth_beetle_spots_vs_stripes": "appearance", "species", beetle_pattern;
    "synth_leaf_healthy_vs_blighted": "appearance", "health", leaf_health;
    "synth_reeds_upright_vs_lying": "behavior", "", reed_direction;
    "synth_fish_swims_left_vs_right": "behavior", "", fish_direction;
    "synth_day_vs_dusk": "context", "", time_of_day;
    "synth_horizon_high_vs_low": "context", "", horizon;
    "synth_berries_two_vs_six": "counting", "", two_or_six;
    "synth_berries_four_vs_five": "counting", "", four_or_five;
    "synth_flower_far_vs_near": "gestalt", "", flower_distance;
    "synth_butterfly_uneven_vs_even": "gestalt", "", butterfly_symmetry;
}

impl Task {
    /// What class 0 and class 1 are called.
    pub fn text_labels(&self) -> [&'static str; 2] {
        let (before, one) = self.name.split_once("_vs_").unwrap_or_default();
        let (_, zero) = before.rsplit_once('_').unwrap_or_default();
        [zero, one]
    }

    /// Whether a grey picture still shows its class: the one attribute that tells classes apart here is the colour.
    pub fn may_be_grey(&self) -> bool {
        self.groups[1] != "attribute"
    }

    /// Draws a picture of class 1 where `is_one`, else of class 0.
    pub fn draw(&self, canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
        ground(canvas, dice);
        (self.subject)(canvas, dice, is_one);
        develop(canvas, dice);
    }
}

/// Covers the canvas with a cloudy green and strews leaves over it, which mean nothing.
fn ground(canvas: &mut Canvas, dice: &mut Dice) {
    let (noise, grain) = (Noise::new(dice), dice.within([3.0, 6.0]));
    let green = shade(colour(dice, [0.2, 0.3]), 0.7);
    canvas.paint(|[x, y], _| shade(green, 0.5 + 0.5 * noise.at([grain * x, grain * y])));
    for _ in 0..6 {
        let at = [dice.within([-1.2, 1.2]), dice.within([-1.2, 1.2])];
        let (along, size) = (dice.direction(), dice.within([0.05, 0.16]));
        let leaf = shade(colour(dice, [0.06, 0.32]), 0.7);
        canvas.draw(at, along, size, |p| {
            is_in_oval(p, [0.0; 2], [1.0, 0.5]).then_some(leaf)
        });
    }
}

/// Exposes and tints the picture as a camera would, and adds its grain.
fn develop(canvas: &mut Canvas, dice: &mut Dice) {
    let (exposure, warmth) = (dice.within([0.85, 1.15]), dice.within([-0.06, 0.06]));
    let gain = [1.0 + warmth, 1.0, 1.0 - warmth];
    let grain = dice.within([0.0, 0.03]);
    canvas.paint(|_, colour| {
        let speckle = grain * dice.within([-1.0, 1.0]);
        std::array::from_fn(|i| colour[i] * exposure * gain[i] + speckle)
    });
}

/// A strong colour of some hue between two, in turns.
fn colour(dice: &mut Dice, hues: [f32; 2]) -> Rgb {
    let hue = dice.within(hues);
    hsv(hue, dice.within([0.6, 0.85]), dice.within([0.6, 0.9]))
}

/// Draws a shape near the centre, where a centre crop keeps it, in any direction; see [`Canvas::draw`].
fn draw(
    canvas: &mut Canvas,
    dice: &mut Dice,
    sizes: [f32; 2],
    colour: impl Fn(Point) -> Option<Rgb>,
) {
    let at = [dice.within([-0.18, 0.18]), dice.within([-0.18, 0.18])];
    canvas.draw(at, dice.direction(), dice.within(sizes), colour);
}

/// The directions of five arms around a centre.
const ARMS: [Point; 5] = [
    [1.0, 0.0],
    [0.309_017, 0.951_056_5],
    [-0.809_017, 0.587_785_25],
    [-0.809_017, -0.587_785_25],
    [0.309_017, -0.951_056_5],
];

/// Whether the shape, which lies along x, covers the point when it is turned into one of the five arms.
fn is_on_arm(p: Point, covers: impl Fn(Point) -> bool) -> bool {
    ARMS.iter().any(|arm| covers(turned(p, *arm)))
}

/// Whether the point is in the oval of these half axes, along x and along y, around a centre.
fn is_in_oval(p: Point, centre: Point, half_axes: [f32; 2]) -> bool {
    let [x, y] = [0, 1].map(|i| (p[i] - centre[i]) / half_axes[i]);
    x * x + y * y < 1.0
}

/// A flower of five petals.
fn flower(canvas: &mut Canvas, dice: &mut Dice, petal: Rgb, sizes: [f32; 2]) {
    draw(canvas, dice, sizes, |p| {
        if is_in_oval(p, [0.0; 2], [0.26; 2]) {
            return Some([0.9, 0.75, 0.2]);
        }
        is_on_arm(p, |p| is_in_oval(p, [0.6, 0.0], [0.4, 0.35])).then_some(petal)
    });
}

fn flower_colour(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let petal = colour(dice, if is_one { [0.93, 1.03] } else { [0.57, 0.67] });
    flower(canvas, dice, petal, [0.45, 0.75]);
}

fn flower_distance(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let petal = colour(dice, [0.75, 1.1]);
    let sizes = if is_one { [0.6, 1.0] } else { [0.2, 0.5] };
    flower(canvas, dice, petal, sizes);
}

/// A disc, or five arms.
fn star_shape(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let skin = colour(dice, [0.98, 1.08]);
    draw(canvas, dice, [0.75, 0.95], |p| {
        let is_star = is_on_arm(p, |[x, y]| x >= 0.0 && y.abs() < 0.4 * (1.0 - x));
        let is_disc = is_in_oval(p, [0.0; 2], [0.75; 2]);
        (if is_one { is_star } else { is_disc }).then_some(skin)
    });
}

/// An oval back with dark marks.
fn beetle_pattern(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (back, n_marks) = (colour(dice, [0.0, 0.14]), dice.within([2.4, 4.0]));
    draw(canvas, dice, [0.7, 0.95], |p| {
        let [x, y] = p.map(|side| side * n_marks - (side * n_marks).floor() - 0.5);
        let is_spot = x * x + y * y < 0.09;
        let is_mark = if is_one { x.abs() < 0.3 } else { is_spot };
        let colour = if is_mark { shade(back, 0.15) } else { back };
        is_in_oval(p, [0.0; 2], [0.95, 0.65]).then_some(colour)
    });
}

/// A green oval, with brown blotches where it is blighted.
fn leaf_health(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (green, brown) = (colour(dice, [0.27, 0.33]), [0.3, 0.2, 0.1]);
    let n_blotches = if is_one { 6 + dice.below(6) } else { 0 };
    let blotches: Vec<Point> = (0..n_blotches)
        .map(|_| [dice.within([-0.7, 0.7]), dice.within([-0.3, 0.3])])
        .collect();
    draw(canvas, dice, [0.8, 1.0], |p| {
        let is_blotch = blotches.iter().any(|at| is_in_oval(p, *at, [0.09; 2]));
        is_in_oval(p, [0.0; 2], [1.0, 0.45]).then_some(if is_blotch { brown } else { green })
    });
}

/// Stripes all over the canvas, bent by noise.
fn reed_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (reed, tilt) = (colour(dice, [0.1, 0.2]), dice.within([-0.3, 0.3]));
    let across = if is_one { [tilt, 1.0] } else { [1.0, tilt] };
    let (noise, n_reeds) = (Noise::new(dice), dice.within([4.0, 7.0]));
    canvas.paint(|p, under| {
        let position = n_reeds * turned(p, across)[0] + noise.at(p.map(|side| 3.0 * side));
        let is_reed = position - position.floor() < 0.35;
        if is_reed { reed } else { under }
    });
}

/// An oval body with a tail behind it and an eye in front.
fn fish_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (skin, tilt) = (colour(dice, [0.0, 1.0]), dice.within([-0.3, 0.3]));
    let forward = if is_one { [1.0, tilt] } else { [-1.0, tilt] };
    let at = [dice.within([-0.18, 0.18]), dice.within([-0.18, 0.18])];
    canvas.draw(at, forward, dice.within([0.5, 0.9]), |p| {
        let is_tail = p[0] >= -0.95 && p[1].abs() < -0.8 * (p[0] + 0.5);
        let is_eye = is_in_oval(p, [0.55, 0.0], [0.08; 2]);
        let colour = if is_eye { shade(skin, 0.1) } else { skin };
        (is_tail || is_in_oval(p, [0.1, 0.0], [0.75, 0.36])).then_some(colour)
    });
}

fn two_or_six(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    berries(canvas, dice, if is_one { 6 } else { 2 });
}

fn four_or_five(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    berries(canvas, dice, if is_one { 5 } else { 4 });
}

/// Three berries in much light or in little.
fn time_of_day(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    berries(canvas, dice, 3);
    let light = dice.within(if is_one { [0.3, 0.65] } else { [0.6, 1.1] });
    canvas.paint(|_, lit| shade(lit, light));
}

/// Sky down to some height.
fn horizon(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let (sky, slope) = (colour(dice, [0.55, 0.6]), dice.within([-0.1, 0.1]));
    let level = dice.within(if is_one { [-0.02, 0.62] } else { [-0.62, 0.02] });
    canvas.paint(|[x, y], under| if y < level + slope * x { sky } else { under });
}

/// So many discs, none of which touches another, each lit from one side.
fn berries(canvas: &mut Canvas, dice: &mut Dice, n: usize) {
    const SIDES: [f32; 3] = [-0.5, 0.0, 0.5];
    let (skin, radius) = (colour(dice, [0.96, 1.04]), dice.within([0.15, 0.17]));
    let mut free = SIDES.map(|x| SIDES.map(|y| [x, y])).concat();
    for _ in 0..n {
        let centre: Point = free.swap_remove(dice.below(free.len()));
        let at = centre.map(|side| side + dice.within([-0.07, 0.07]));
        canvas.draw(at, [1.0, 1.0], radius, |p| {
            is_in_oval(p, [0.0; 2], [1.0; 2]).then_some(shade(skin, 0.9 - 0.3 * p[0]))
        });
    }
}

/// Two wings on either side of a body; on one side they may be smaller.
fn butterfly_symmetry(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    let wing = colour(dice, [0.0, 1.0]);
    let left = if is_one { 1.0 } else { dice.within([0.5, 0.7]) };
    draw(canvas, dice, [0.6, 0.9], |[x, y]| {
        if is_in_oval([x, y], [0.0; 2], [0.07, 0.6]) {
            return Some(shade(wing, 0.1));
        }
        // Both sides are drawn as the right one.
        let size = if x < 0.0 { left } else { 1.0 };
        let p = [x.abs() / size, y / size];
        let is_front = is_in_oval(p, [0.5, -0.3], [0.45, 0.35]);
        (is_front || is_in_oval(p, [0.4, 0.4], [0.35, 0.3])).then_some(wing)
    });
}
