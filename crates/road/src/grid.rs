//! A uniform grid of boxes: what may be near a point.

/// Items by cell, laid out flat.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    min: [f64; 2],
    cell: f64,
    n: [usize; 2],
    start: Vec<u32>,
    items: Vec<u32>,
}

/// Smallest and largest x, y.
pub(crate) type Bounds = ([f64; 2], [f64; 2]);

/// The box around points.
pub(crate) fn bounds_of(points: impl Iterator<Item = [f64; 2]>) -> Bounds {
    points.fold(([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]), |(lo, hi), p| {
        ([lo[0].min(p[0]), lo[1].min(p[1])], [hi[0].max(p[0]), hi[1].max(p[1])])
    })
}

const MAX_CELLS: f64 = 2e6;
const MAX_ITEMS: u64 = 1 << 26;

impl Grid {
    /// Puts each box into every cell that it touches. Cells are `cell` metres wide, or larger
    /// where the map is so large that there would be too many.
    pub fn build(boxes: &[Bounds], cell: f64) -> Self {
        let (min, max) =
            boxes.iter().fold(([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]), |(lo, hi), (a, b)| {
                ([lo[0].min(a[0]), lo[1].min(a[1])], [hi[0].max(b[0]), hi[1].max(b[1])])
            });
        let mut cell = cell;
        loop {
            let size = [0, 1].map(|i| (max[i] - min[i]).max(0.0));
            let cells = (size[0] / cell + 1.0) * (size[1] / cell + 1.0);
            let mut me = Self { min, cell, n: [1, 1], start: Vec::new(), items: Vec::new() };
            if cells <= MAX_CELLS {
                me.n = size.map(|s| (s / cell) as usize + 1);
                if me.fill(boxes) {
                    return me;
                }
            }
            cell *= 2.0;
        }
    }

    fn fill(&mut self, boxes: &[Bounds]) -> bool {
        let mut count = vec![0_u32; self.n[0] * self.n[1] + 1];
        let mut total = 0_u64;
        for b in boxes {
            self.each_cell(b, |c| {
                total += 1;
                if let Some(n) = count.get_mut(c) {
                    *n = n.saturating_add(1);
                }
            });
            if total > MAX_ITEMS && self.n != [1, 1] {
                return false;
            }
        }
        let mut sum = 0_u32;
        for c in &mut count {
            let n = *c;
            *c = sum;
            sum = sum.saturating_add(n);
        }
        let mut next = count.clone();
        let mut items = vec![0; sum as usize];
        for (i, b) in boxes.iter().enumerate() {
            self.each_cell(b, |c| {
                if let Some(slot) = next.get_mut(c) {
                    if let Some(item) = items.get_mut(*slot as usize) {
                        *item = i as u32;
                    }
                    *slot += 1;
                }
            });
        }
        (self.start, self.items) = (count, items);
        true
    }

    /// Cell coordinates, clamped to the grid.
    fn cell_of(&self, p: [f64; 2]) -> [usize; 2] {
        // The cast saturates: what lies before the grid is in its first cell.
        [0, 1].map(|i| (((p[i] - self.min[i]) / self.cell) as usize).min(self.n[i] - 1))
    }

    fn each_cell(&self, b: &Bounds, mut f: impl FnMut(usize)) {
        let (lo, hi) = (self.cell_of(b.0), self.cell_of(b.1));
        for y in lo[1]..=hi[1] {
            for x in lo[0]..=hi[0] {
                f(y * self.n[0] + x);
            }
        }
    }

    fn items(&self, x: usize, y: usize) -> &[u32] {
        let c = y * self.n[0] + x;
        match (self.start.get(c), self.start.get(c + 1)) {
            (Some(a), Some(b)) => self.items.get(*a as usize..*b as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Items whose boxes may hold the point.
    pub fn at(&self, p: [f64; 2]) -> &[u32] {
        let inside = |i: usize| {
            let d = p[i] - self.min[i];
            d >= 0.0 && d <= self.cell * self.n[i] as f64
        };
        if !(inside(0) && inside(1)) {
            return &[];
        }
        let [x, y] = self.cell_of(p);
        self.items(x, y)
    }

    /// Visits items from the point outwards until `visit(None, reach)` is true: by then every
    /// item nearer than `reach` metres has been visited, some of them more than once.
    pub fn outwards(&self, p: [f64; 2], mut visit: impl FnMut(Option<u32>, f64) -> bool) {
        let c = [0, 1].map(|i| libm::floor((p[i] - self.min[i]) / self.cell) as i64);
        let n = self.n.map(|n| n as i64);
        let mut r = 0_i64;
        loop {
            for y in (c[1] - r).max(0)..=(c[1] + r).min(n[1] - 1) {
                let rim = (y - c[1]).abs() == r;
                let step = if rim { 1 } else { (2 * r).max(1) };
                let mut x = c[0] - r;
                while x <= c[0] + r {
                    if (0..n[0]).contains(&x) {
                        for item in self.items(x as usize, y as usize) {
                            visit(Some(*item), 0.0);
                        }
                    }
                    x += step;
                }
            }
            let side = |i: usize| {
                let lo = self.min[i] + self.cell * (c[i] - r) as f64;
                (p[i] - lo).min(lo + self.cell * (2 * r + 1) as f64 - p[i])
            };
            if visit(None, side(0).min(side(1))) {
                return;
            }
            r += 1;
        }
    }
}
