//! Contacts: oriented boxes on the ground, and a tally that counts each contact once.

use crate::vehicle::Vehicle;

/// A box standing on the ground, CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    /// Centre, east, metres.
    pub x_m: f64,
    /// Centre, south, metres.
    pub y_m: f64,
    /// Height of its foot, metres; NaN for one that stands at any height.
    pub z_m: f64,
    /// Its long axis, radians.
    pub yaw_rad: f64,
    /// Half its length, metres.
    pub half_length_m: f64,
    /// Half its width, metres.
    pub half_width_m: f64,
}

impl Footprint {
    /// Radius of the circle around it.
    pub fn radius_m(&self) -> f64 {
        libm::hypot(self.half_length_m, self.half_width_m)
    }

    /// The shortest move (x, y) of `self` that separates it from `other`, if they overlap by more
    /// than `-margin_m` (a margin above 0 also finds boxes that nearly touch).
    pub fn overlap(&self, other: &Self, margin_m: f64) -> Option<(f64, f64)> {
        let (dx, dy) = (self.x_m - other.x_m, self.y_m - other.y_m);
        let reach = self.radius_m() + other.radius_m() + margin_m;
        // Bodies on a bridge do not touch those below; NaN compares false.
        if dx * dx + dy * dy > reach * reach || (self.z_m - other.z_m).abs() > 3.0 {
            return None;
        }
        let axes = |b: &Self| {
            let (s, c) = (libm::sin(b.yaw_rad), libm::cos(b.yaw_rad));
            [(c, s), (-s, c)]
        };
        let (mine, theirs) = (axes(self), axes(other));
        let half = |b: &Self, own: &[(f64, f64); 2], n: (f64, f64)| {
            b.half_length_m * (own[0].0 * n.0 + own[0].1 * n.1).abs()
                + b.half_width_m * (own[1].0 * n.0 + own[1].1 * n.1).abs()
        };
        let mut best = f64::INFINITY;
        let mut push = (0.0, 0.0);
        for n in mine.iter().chain(&theirs) {
            let along = dx * n.0 + dy * n.1;
            let depth = half(self, &mine, *n) + half(other, &theirs, *n) + margin_m - along.abs();
            if depth <= 0.0 {
                return None;
            }
            if depth < best {
                best = depth;
                let sign = if along < 0.0 { -1.0 } else { 1.0 };
                push = (sign * depth * n.0, sign * depth * n.1);
            }
        }
        Some(push)
    }
}

/// Puts a car that hit something to where it was pushed, and takes its speed. `push` is the way
/// (x, y) that it was pushed, not zero.
pub fn push_out(car: &mut Vehicle, to: &Footprint, push: (f64, f64)) {
    let depth = libm::hypot(push.0, push.1);
    car.x_m = to.x_m;
    car.y_m = to.y_m;
    // What moved into the obstacle is gone, what moved along it rubs.
    let (s, c) = (libm::sin(car.yaw_rad), libm::cos(car.yaw_rad));
    let along = (push.0 * c + push.1 * s) / depth;
    car.speed_mps *= 0.9 * (1.0 - along * along);
    car.lateral_mps = 0.0;
    car.yaw_rate_radps *= 0.5;
}

/// Standing obstacles, sorted into square cells so that few are looked at.
#[derive(Debug, Clone, Default)]
pub struct Obstacles {
    boxes: Vec<Footprint>,
    /// (cell, index of the box), sorted.
    cells: Vec<((i32, i32), u32)>,
}

const CELL_M: f64 = 16.0;

impl Obstacles {
    /// Sorts the boxes into cells.
    pub fn new(boxes: Vec<Footprint>) -> Self {
        let mut cells = Vec::new();
        for (i, b) in boxes.iter().enumerate() {
            let r = b.radius_m();
            for cx in cell(b.x_m - r)..=cell(b.x_m + r) {
                for cy in cell(b.y_m - r)..=cell(b.y_m + r) {
                    cells.push(((cx, cy), i as u32));
                }
            }
        }
        cells.sort_unstable();
        Self { boxes, cells }
    }

    /// Calls `found(index, box)` for every box in the cells within `radius_m` of a point; a box
    /// may be found more than once.
    pub fn near(&self, x_m: f64, y_m: f64, radius_m: f64, mut found: impl FnMut(u32, &Footprint)) {
        for cx in cell(x_m - radius_m)..=cell(x_m + radius_m) {
            for cy in cell(y_m - radius_m)..=cell(y_m + radius_m) {
                let from = self.cells.partition_point(|c| c.0 < (cx, cy));
                for (_, i) in self.cells.iter().skip(from).take_while(|c| c.0 == (cx, cy)) {
                    if let Some(b) = self.boxes.get(*i as usize) {
                        found(*i, b);
                    }
                }
            }
        }
    }
}

fn cell(v: f64) -> i32 {
    libm::floor(v / CELL_M) as i32
}

/// Counts contacts: one when two bodies meet, no more until they have parted.
#[derive(Debug, Clone, Default)]
pub struct ContactTally {
    /// Bodies in contact; `None` is a free place. Beyond sixteen at once, none is counted.
    touching: [Option<(u64, bool)>; 16],
    /// Contacts so far.
    pub count: u32,
}

impl ContactTally {
    /// Begins a tick.
    pub fn begin(&mut self) {
        self.touching.iter_mut().flatten().for_each(|t| t.1 = false);
    }

    /// The body is near enough to remain a contact, though it need not be touched.
    pub fn near(&mut self, body: u64) {
        if let Some(t) = self.touching.iter_mut().flatten().find(|t| t.0 == body) {
            t.1 = true;
        }
    }

    /// The body is touched.
    pub fn touch(&mut self, body: u64) {
        if self.touching.iter().flatten().any(|t| t.0 == body) {
            return self.near(body);
        }
        if let Some(free) = self.touching.iter_mut().find(|t| t.is_none()) {
            *free = Some((body, true));
            self.count += 1;
        }
    }

    /// Ends a tick: forgets the bodies that were neither near nor touched.
    pub fn end(&mut self) {
        for t in &mut self.touching {
            if t.is_some_and(|(_, seen)| !seen) {
                *t = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x_m: f64, y_m: f64, yaw_rad: f64) -> Footprint {
        Footprint { x_m, y_m, z_m: 0.0, yaw_rad, half_length_m: 1.0, half_width_m: 1.0 }
    }

    #[test]
    fn boxes_overlap_by_the_shortest_way_out() {
        let (dx, dy) = square(1.8, 0.3, 0.0).overlap(&square(0.0, 0.0, 0.0), 0.0).unwrap();
        assert!((dx - 0.2).abs() < 1e-9 && dy.abs() < 1e-9);
        assert!(square(2.1, 0.0, 0.0).overlap(&square(0.0, 0.0, 0.0), 0.0).is_none());
        assert!(square(2.1, 0.0, 0.785).overlap(&square(0.0, 0.0, 0.0), 0.0).is_some());
        let mut bridge = square(0.0, 0.0, 0.0);
        bridge.z_m = 5.0;
        assert!(bridge.overlap(&square(0.0, 0.0, 0.0), 0.0).is_none());
    }

    #[test]
    fn a_contact_counts_once_until_they_part() {
        let mut t = ContactTally::default();
        for _ in 0..5 {
            t.begin();
            t.touch(7);
            t.touch(7);
            t.end();
        }
        assert_eq!(t.count, 1);
        t.begin();
        t.near(7);
        t.end();
        t.begin();
        t.touch(7);
        t.end();
        assert_eq!(t.count, 1, "never parted");
        t.begin();
        t.end();
        t.begin();
        t.touch(7);
        t.end();
        assert_eq!(t.count, 2);
    }

    #[test]
    fn obstacles_are_found_where_they_are() {
        let o = Obstacles::new(vec![square(100.0, -50.0, 0.3), square(0.0, 0.0, 0.0)]);
        let mut got = Vec::new();
        o.near(99.0, -50.0, 2.0, |i, _| got.push(i));
        assert!(got.contains(&0) && !got.contains(&1));
    }
}
