//! The tasks: what tells class 0 from class 1, and everything that does not.
//!
//! They are graded from trivial to near chance for a network that has learnt nothing.

use super::canvas::{Canvas, Place, Point, Rgb, hsv};
use super::creatures::{self, Pattern};
use super::dice::Dice;
use super::scene::{self, Scene};

/// A task of the synthetic data set.
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) cluster: &'static str,
    pub(super) subcluster: Option<&'static str>,
    /// What class 0 and class 1 are called.
    pub(super) text_labels: [&'static str; 2],
    /// Whether a grey picture still shows its class.
    pub(super) may_be_grey: bool,
    draw: fn(&mut Canvas, &mut Dice, bool),
}

impl Task {
    /// Draws a picture of class 1 where `is_one`, else of class 0.
    pub(super) fn draw(&self, canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
        (self.draw)(canvas, dice, is_one);
    }
}

/// All tasks, in the order of the labels file.
pub(super) static TASKS: [Task; 12] = [
    Task {
        name: "synth_flower_blue_vs_red",
        cluster: "appearance",
        subcluster: Some("attribute"),
        text_labels: ["blue", "red"],
        may_be_grey: false,
        draw: flower_colour,
    },
    Task {
        name: "synth_sand_dollar_vs_starfish",
        cluster: "appearance",
        subcluster: Some("species"),
        text_labels: ["sand_dollar", "starfish"],
        may_be_grey: true,
        draw: star_shape,
    },
    Task {
        name: "synth_beetle_spots_vs_stripes",
        cluster: "appearance",
        subcluster: Some("species"),
        text_labels: ["spots", "stripes"],
        may_be_grey: true,
        draw: beetle_pattern,
    },
    Task {
        name: "synth_leaf_healthy_vs_blighted",
        cluster: "appearance",
        subcluster: Some("health"),
        text_labels: ["healthy", "blighted"],
        may_be_grey: true,
        draw: leaf_health,
    },
    Task {
        name: "synth_reeds_upright_vs_lying",
        cluster: "behavior",
        subcluster: None,
        text_labels: ["upright", "lying"],
        may_be_grey: true,
        draw: reed_direction,
    },
    Task {
        name: "synth_fish_swims_left_vs_right",
        cluster: "behavior",
        subcluster: None,
        text_labels: ["left", "right"],
        may_be_grey: true,
        draw: fish_direction,
    },
    Task {
        name: "synth_day_vs_dusk",
        cluster: "context",
        subcluster: None,
        text_labels: ["day", "dusk"],
        may_be_grey: true,
        draw: time_of_day,
    },
    Task {
        name: "synth_horizon_high_vs_low",
        cluster: "context",
        subcluster: None,
        text_labels: ["high", "low"],
        may_be_grey: true,
        draw: horizon,
    },
    Task {
        name: "synth_berries_two_vs_six",
        cluster: "counting",
        subcluster: None,
        text_labels: ["two", "six"],
        may_be_grey: true,
        draw: |canvas, dice, is_one| berries(canvas, dice, if is_one { 6 } else { 2 }),
    },
    Task {
        name: "synth_berries_four_vs_five",
        cluster: "counting",
        subcluster: None,
        text_labels: ["four", "five"],
        may_be_grey: true,
        draw: |canvas, dice, is_one| berries(canvas, dice, if is_one { 5 } else { 4 }),
    },
    Task {
        name: "synth_flower_far_vs_near",
        cluster: "gestalt",
        subcluster: None,
        text_labels: ["far", "near"],
        may_be_grey: true,
        draw: flower_distance,
    },
    Task {
        name: "synth_butterfly_uneven_vs_even",
        cluster: "gestalt",
        subcluster: None,
        text_labels: ["uneven", "even"],
        may_be_grey: true,
        draw: butterfly_symmetry,
    },
];

/// Somewhere near the centre, so that a centre crop keeps it.
fn near_centre(dice: &mut Dice) -> Point {
    [dice.within(-0.18, 0.18), dice.within(-0.18, 0.18)]
}

fn any_colour(dice: &mut Dice) -> Rgb {
    hsv(
        dice.unit(),
        dice.within(0.45, 0.85),
        dice.within(0.55, 0.95),
    )
}

/// The light of an ordinary photograph.
fn daylight(canvas: &mut Canvas, dice: &mut Dice) {
    let exposure = dice.within(0.85, 1.15);
    scene::develop(canvas, dice, exposure);
}

fn flower_colour(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    dice.pick(&[Scene::Meadow, Scene::Soil]).fill(canvas, dice);
    scene::litter(canvas, dice, 5);
    let hue = if is_one { 0.98 } else { 0.62 };
    let hue = hue + dice.within(-0.05, 0.05);
    let petal = hsv(hue, dice.within(0.6, 0.85), dice.within(0.6, 0.95));
    let place = Place::new(near_centre(dice), dice.unit(), dice.within(0.45, 0.75));
    let n = 5 + dice.below(5);
    creatures::flower(canvas, place, n, petal, hsv(0.13, 0.8, 0.9));
    daylight(canvas, dice);
}

fn star_shape(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Sand.fill(canvas, dice);
    scene::litter(canvas, dice, 3);
    let colour = hsv(
        dice.within(0.98, 1.08),
        dice.within(0.6, 0.85),
        dice.within(0.5, 0.8),
    );
    let place = Place::new(near_centre(dice), dice.unit(), dice.within(0.7, 0.95));
    if is_one {
        creatures::starfish(canvas, place, 5, colour);
    } else {
        creatures::sand_dollar(canvas, place, 5, colour);
    }
    daylight(canvas, dice);
}

fn beetle_pattern(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Meadow.fill(canvas, dice);
    scene::litter(canvas, dice, 4);
    let pattern = if is_one {
        Pattern::Stripes
    } else {
        Pattern::Spots
    };
    let back = hsv(
        dice.within(0.0, 0.14),
        dice.within(0.75, 0.95),
        dice.within(0.8, 0.95),
    );
    let place = Place::new(near_centre(dice), dice.unit(), dice.within(0.75, 0.95));
    let marks = dice.within(2.4, 4.0);
    creatures::beetle(canvas, place, back, [0.08, 0.07, 0.07], pattern, marks);
    daylight(canvas, dice);
}

fn leaf_health(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Soil.fill(canvas, dice);
    scene::litter(canvas, dice, 3);
    let colour = hsv(
        dice.within(0.25, 0.32),
        dice.within(0.55, 0.75),
        dice.within(0.5, 0.7),
    );
    let place = Place::new(near_centre(dice), dice.unit(), dice.within(0.85, 1.05));
    let width = dice.within(0.4, 0.6);
    creatures::leaf(canvas, place, width, colour);
    if is_one {
        for _ in 0..18 + dice.below(9) {
            let at = [dice.within(-0.65, 0.65), dice.within(-0.25, 0.25)];
            let brown = hsv(dice.within(0.05, 0.1), 0.6, dice.within(0.25, 0.45));
            creatures::blight(
                canvas,
                place.then(at, dice.unit(), dice.within(0.06, 0.12)),
                brown,
            );
        }
    }
    daylight(canvas, dice);
}

fn reed_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Water.fill(canvas, dice);
    let directions = if is_one { [-0.05, 0.05] } else { [0.7, 0.8] };
    let colour = hsv(
        dice.within(0.1, 0.3),
        dice.within(0.3, 0.6),
        dice.within(0.5, 0.85),
    );
    let points = canvas.anywhere(dice, 240);
    scene::strokes(canvas, dice, &points, directions, colour);
    daylight(canvas, dice);
}

fn fish_direction(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Water.fill(canvas, dice);
    // Ripples taper to one side, which must not tell the class.
    if dice.below(2) == 0 {
        canvas.mirror();
    }
    let colour = any_colour(dice);
    let place = Place::new(
        near_centre(dice),
        dice.within(-0.06, 0.06),
        dice.within(0.6, 0.9),
    );
    creatures::fish(canvas, place, colour);
    if !is_one {
        canvas.mirror();
    }
    daylight(canvas, dice);
}

fn time_of_day(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    dice.pick(&Scene::ALL).fill(canvas, dice);
    scene::litter(canvas, dice, 6);
    let colour = any_colour(dice);
    let place = Place::new(
        near_centre(dice),
        dice.within(-0.1, 0.1),
        dice.within(0.4, 0.7),
    );
    creatures::bird(canvas, place, colour, dice.within(0.0, 0.12));
    let exposure = if is_one {
        dice.within(0.25, 0.55)
    } else {
        dice.within(0.8, 1.2)
    };
    scene::develop(canvas, dice, exposure);
}

fn horizon(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Sky.fill(canvas, dice);
    let level = if is_one { 0.3 } else { -0.3 };
    let level = level + dice.within(-0.3, 0.3);
    dice.pick(&[Scene::Meadow, Scene::Soil, Scene::Water])
        .fill_below(canvas, dice, level);
    let colour = hsv(dice.unit(), dice.within(0.2, 0.6), dice.within(0.15, 0.45));
    let place = Place::new(
        near_centre(dice),
        dice.within(-0.05, 0.05),
        dice.within(0.25, 0.4),
    );
    creatures::bird(canvas, place, colour, dice.within(0.0, 0.12));
    daylight(canvas, dice);
}

fn berries(canvas: &mut Canvas, dice: &mut Dice, n: usize) {
    Scene::Meadow.fill(canvas, dice);
    scene::litter(canvas, dice, 4);
    let colour = hsv(
        dice.within(0.96, 1.04),
        dice.within(0.7, 0.95),
        dice.within(0.6, 0.9),
    );
    let radius = dice.within(0.15, 0.2);
    for at in creatures::apart(dice, n, 0.68, radius) {
        let place = Place::new(at, 0.0, radius * dice.within(0.9, 1.1));
        creatures::berry(canvas, place, colour);
    }
    daylight(canvas, dice);
}

fn flower_distance(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    Scene::Meadow.fill(canvas, dice);
    scene::litter(canvas, dice, 5);
    let petal = hsv(
        dice.within(0.75, 1.1),
        dice.within(0.3, 0.7),
        dice.within(0.75, 0.95),
    );
    let scale = if is_one {
        dice.within(0.7, 1.1)
    } else {
        dice.within(0.2, 0.4)
    };
    let place = Place::new(near_centre(dice), dice.unit(), scale);
    let n = 5 + dice.below(5);
    creatures::flower(canvas, place, n, petal, hsv(0.13, 0.8, 0.9));
    daylight(canvas, dice);
}

fn butterfly_symmetry(canvas: &mut Canvas, dice: &mut Dice, is_one: bool) {
    dice.pick(&[Scene::Meadow, Scene::Bark, Scene::Sand])
        .fill(canvas, dice);
    scene::litter(canvas, dice, 4);
    let wing = any_colour(dice);
    let mark = any_colour(dice);
    let place = Place::new(near_centre(dice), dice.unit(), dice.within(0.6, 0.85));
    let left = if is_one { 1.0 } else { dice.within(0.6, 0.75) };
    creatures::butterfly(canvas, place, wing, mark, left);
    daylight(canvas, dice);
}
