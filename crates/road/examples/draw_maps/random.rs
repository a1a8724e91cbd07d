//! Towns and countryside drawn by lot: more roads and junctions than anyone would draw by hand,
//! to train on and, others again, to calibrate on.

use caril_core::CounterRng;

use crate::build::{Net, Style};
use crate::{Crossing, WHITE, YELLOW, grid};

/// Columns and rows of crossings.
type Size = (usize, usize);

/// A town of bent streets between crooked junctions, most of them T-junctions: block lengths,
/// angles, widths, marks, kerbs, corner radii and speeds are drawn by lot.
pub fn town(seed: u64) -> Net {
    let mut rng = CounterRng::new(seed, 0);
    let size = (5, 4);
    let blocks = (72.0, 125.0);
    let (xs, ys) = (axis(size.0, blocks, &mut rng), axis(size.1, blocks, &mut rng));
    let cut = cuts(size, 13, &mut rng);
    let styles: Vec<Style> = (0..9).map(|_| street(&mut rng)).collect();
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

/// Winding, hilly roads between far junctions.
pub fn country(seed: u64) -> Net {
    let mut rng = CounterRng::new(seed, 1);
    let (size, blocks) = ((4, 3), (150.0, 230.0));
    let (xs, ys) = (axis(size.0, blocks, &mut rng), axis(size.1, blocks, &mut rng));
    let cut = cuts(size, 7, &mut rng);
    let styles: Vec<Style> = (0..9).map(|_| road(&mut rng)).collect();
    let (mut nodes, mut edges) = grid(&xs, &ys, &cut, &[], &[12.0], &[30.0], &styles);
    for node in &mut nodes {
        node.at = node.at.map(|c| c + rng.range(-15.0, 15.0));
        node.z = rng.range(0.0, 10.0);
        node.mouth = rng.range(11.0, 15.0);
        node.width = rng.range(3.3, 3.8);
        node.radius = (rng.uniform() < 0.3).then(|| rng.range(6.0, 9.0));
    }
    for edge in &mut edges {
        let [a, b] = edge.ends.map(|(node, _)| nodes[node].at);
        for (_, degrees) in &mut edge.ends {
            *degrees += rng.range(-8.0, 8.0);
        }
        edge.radius = rng.range(14.0, 60.0);
        let mut corners = vec![a];
        corners.append(&mut edge.via);
        corners.push(b);
        for pair in corners.windows(2) {
            // A bow to either side of every straight, and the corner itself.
            let [from, to] = [pair[0], pair[1]];
            let bow = rng.range(-0.14, 0.14);
            let at = |f: f64, bow: f64| {
                let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
                [from[0] + f * dx - bow * dy, from[1] + f * dy + bow * dx]
            };
            edge.via.extend([at(0.36, bow), at(0.64, -bow * rng.range(0.0, 1.0)), to]);
        }
        edge.via.pop();
        edge.heights = vec![(0.5, rng.range(0.0, 12.0))];
    }
    Net { name: format!("country_{seed}"), lead: rng.range(10.0, 18.0), nodes, edges }
}

fn axis(n: usize, (least, most): (f64, f64), rng: &mut CounterRng) -> Vec<f64> {
    let mut at = vec![0.0];
    for _ in 1..n {
        at.push(at[at.len() - 1] + rng.range(least, most));
    }
    at
}

/// Streets to leave out: as many as chance wants, as long as no junction becomes a dead end and
/// one can still drive everywhere.
fn cuts((columns, rows): Size, most: usize, rng: &mut CounterRng) -> Vec<(Crossing, Crossing)> {
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
    for street in streets.into_iter().take(most) {
        let rest: Vec<_> = open.iter().copied().filter(|s| *s != street).collect();
        let ways = |p: Crossing| rest.iter().filter(|s| s.0 == p || s.1 == p).count();
        if ways(street.0) >= 2 && ways(street.1) >= 2 && connected(&rest, columns * rows) {
            open = rest;
            cut.push(street);
        }
    }
    cut
}

fn connected(streets: &[(Crossing, Crossing)], crossings: usize) -> bool {
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
    seen.len() == crossings
}

fn one_of<T: Copy>(choices: &[T], rng: &mut CounterRng) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

fn street(rng: &mut CounterRng) -> Style {
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

fn road(rng: &mut CounterRng) -> Style {
    let kmh = one_of(&[40.0, 50.0, 60.0], rng);
    Style { sidewalk: 0.0, shoulder: rng.range(0.4, 1.5), kmh, ..street(rng) }
}
