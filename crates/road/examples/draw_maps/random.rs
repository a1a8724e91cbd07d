//! Towns drawn by lot, for training on more junctions than anyone would draw by hand.

use caril_core::CounterRng;

use crate::build::{Net, Style};
use crate::{Crossing, WHITE, YELLOW, grid};

/// Columns and rows of a town.
const SIZE: (usize, usize) = (5, 4);

/// A town of bent streets between crooked junctions, most of them T-junctions: block lengths,
/// angles, widths, marks, kerbs, corner radii and speeds are drawn by lot.
pub fn town(seed: u64) -> Net {
    let mut rng = CounterRng::new(seed, 0);
    let axis = |n: usize, rng: &mut CounterRng| {
        let mut at = vec![0.0];
        for _ in 1..n {
            at.push(at[at.len() - 1] + rng.range(72.0, 125.0));
        }
        at
    };
    let (xs, ys) = (axis(SIZE.0, &mut rng), axis(SIZE.1, &mut rng));
    let cut = cuts(&mut rng);
    let styles: Vec<Style> = (0..9).map(|_| style(&mut rng)).collect();
    let (mut nodes, mut edges) = grid(&xs, &ys, &cut, &[], &[10.0], &[12.0], &styles);
    let mut rotation = Vec::new();
    for node in &mut nodes {
        node.at = node.at.map(|c| c + rng.range(-7.0, 7.0));
        node.z = rng.range(0.0, 3.0);
        node.mouth = rng.range(8.5, 13.5);
        node.width = rng.range(3.2, 3.9);
        node.radius = (rng.uniform() < 0.5).then(|| rng.range(4.4, 8.0));
        rotation.push(rng.range(-12.0, 12.0));
    }
    for edge in &mut edges {
        for (node, degrees) in &mut edge.ends {
            *degrees += rotation[*node] + rng.range(-7.0, 7.0);
        }
        edge.radius = rng.range(8.0, 24.0);
        for point in &mut edge.via {
            *point = point.map(|c| c + rng.range(-9.0, 9.0));
        }
    }
    Net { name: format!("town_{seed}"), lead: rng.range(5.0, 9.0), nodes, edges }
}

/// Streets to leave out: as many as chance wants, as long as no junction becomes a dead end and
/// one can still drive everywhere.
fn cuts(rng: &mut CounterRng) -> Vec<(Crossing, Crossing)> {
    let (columns, rows) = SIZE;
    let mut streets = Vec::new();
    for i in 0..columns {
        for j in 0..rows {
            if i + 1 < columns {
                streets.push(((i, j), (i + 1, j)));
            }
            if j + 1 < rows {
                streets.push(((i, j), (i, j + 1)));
            }
        }
    }
    for i in (1..streets.len()).rev() {
        streets.swap(i, rng.below(i as u64 + 1) as usize);
    }
    let (mut open, mut cut) = (streets.clone(), Vec::new());
    for street in streets.into_iter().take(13) {
        let rest: Vec<_> = open.iter().copied().filter(|s| *s != street).collect();
        let ways = |p: Crossing| rest.iter().filter(|s| s.0 == p || s.1 == p).count();
        if ways(street.0) >= 2 && ways(street.1) >= 2 && connected(&rest) {
            open = rest;
            cut.push(street);
        }
    }
    cut
}

fn connected(streets: &[(Crossing, Crossing)]) -> bool {
    let mut seen = vec![(0, 0)];
    let mut next = 0;
    while let Some(&p) = seen.get(next) {
        for (a, b) in streets {
            let q = if *a == p { *b } else { *a };
            if (*a == p || *b == p) && !seen.contains(&q) {
                seen.push(q);
            }
        }
        next += 1;
    }
    seen.len() == SIZE.0 * SIZE.1
}

fn one_of<T: Copy>(choices: &[T], rng: &mut CounterRng) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

fn style(rng: &mut CounterRng) -> Style {
    let solid = one_of(&[(0.0, 0.0), (0.0, 0.0), (0.2, 0.7), (0.0, 1.0)], rng);
    let center = one_of(&[YELLOW, WHITE, YELLOW, WHITE, ("none", "white")], rng);
    Style {
        lanes: 1,
        width: rng.range(3.1, 4.0),
        center,
        edge: one_of(&["solid", "solid", "none"], rng),
        solid: if center.0 == "none" { (0.0, 0.0) } else { solid },
        shoulder: rng.range(0.3, 1.2),
        sidewalk: one_of(&[0.0, 1.6, 2.0, 2.5], rng),
        kmh: one_of(&[30.0, 40.0, 50.0], rng),
    }
}
