//! From nodes and edges to OpenDRIVE: smooth roads with spirals, junctions with every turn.

use std::f64::consts::PI;
use std::fmt::Write;

/// How a road looks.
#[derive(Clone)]
pub struct Style {
    /// Lanes each way.
    pub lanes: usize,
    /// Lane width away from junctions, metres.
    pub width: f64,
    /// Type and colour of the centre mark.
    pub center: (&'static str, &'static str),
    /// Type of the mark at the outer edge.
    pub edge: &'static str,
    /// Part of the road (fractions) where the centre mark is double solid.
    pub solid: (f64, f64),
    /// Hard shoulder, metres.
    pub shoulder: f64,
    /// Pavement, metres; 0 for none.
    pub sidewalk: f64,
    pub kmh: f64,
}

/// A junction: centre, height, how far from it roads end, and how it is laid out.
pub struct Node {
    pub at: [f64; 2],
    pub z: f64,
    pub mouth: f64,
    /// Lane width in it, metres.
    pub width: f64,
    /// Radius of its turns' reference lines, metres; straight before and after as in CARLA's
    /// towns. `None`: the widest spiral that fits.
    pub radius: Option<f64>,
}

/// A road between two nodes: leaves them in the given directions (degrees, counter-clockwise
/// from east) and rounds the corners of a polyline with about `radius`.
pub struct Edge {
    pub ends: [(usize, f64); 2],
    pub via: Vec<[f64; 2]>,
    pub radius: f64,
    /// (fraction of the length, height).
    pub heights: Vec<(f64, f64)>,
    pub style: Style,
}

pub struct Net {
    pub name: String,
    /// How far from the mouth a road keeps its first direction, metres.
    pub lead: f64,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// A piece of road: length, curvature at its ends.
type Piece = (f64, f64, f64);

#[derive(Clone, Copy)]
struct Pen {
    x: f64,
    y: f64,
    hdg: f64,
}

impl Pen {
    fn draw(self, (length, k0, k1): Piece) -> Self {
        let hdg = |s: f64| self.hdg + s * (k0 + 0.5 * (k1 - k0) * s / length);
        let n = 400;
        let h = length / f64::from(n);
        let (mut x, mut y) = (self.x, self.y);
        for i in 0..n {
            let a = h * f64::from(i);
            for (s, w) in [(a, 1.0), (a + 0.5 * h, 4.0), (a + h, 1.0)] {
                x += w * h / 6.0 * libm::cos(hdg(s));
                y += w * h / 6.0 * libm::sin(hdg(s));
            }
        }
        Self { x, y, hdg: hdg(length) }
    }
}

fn wrap(a: f64) -> f64 {
    a - (a / (2.0 * PI)).round() * 2.0 * PI
}

fn direction(a: [f64; 2], b: [f64; 2]) -> f64 {
    libm::atan2(b[1] - a[1], b[0] - a[0])
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    libm::hypot(b[0] - a[0], b[1] - a[1])
}

/// Spiral, arc, spiral that turn by `turn`, of radius 1; and how far before the corner they begin.
fn unit_turn(turn: f64) -> (Vec<Piece>, f64) {
    // Each spiral makes a quarter of the turn.
    let (k, spiral, arc) = (turn.signum(), turn.abs() / 2.0, turn.abs() / 2.0);
    let pieces = vec![(spiral, 0.0, k), (arc, k, k), (spiral, k, 0.0)];
    let end = pieces.iter().fold(Pen { x: 0.0, y: 0.0, hdg: 0.0 }, |p, s| p.draw(*s));
    (pieces, libm::hypot(end.x, end.y) / (2.0 * libm::cos(turn / 2.0)))
}

/// Line, arc, line: a turn that begins `tangent` before the corner, of a given radius if that fits.
fn tight_turn(turn: f64, tangent: f64, radius: f64) -> Vec<Piece> {
    let straight = tangent - radius * libm::tan(turn.abs() / 2.0);
    if straight < 0.05 {
        return turn_within(turn, tangent);
    }
    let k = turn.signum() / radius;
    vec![(straight, 0.0, 0.0), (radius * turn.abs(), k, k), (straight, 0.0, 0.0)]
}

/// A turn that begins `tangent` before the corner.
fn turn_within(turn: f64, tangent: f64) -> Vec<Piece> {
    let (unit, t) = unit_turn(turn);
    let r = tangent / t;
    unit.iter().map(|p| (p.0 * r, p.1 / r, p.2 / r)).collect()
}

/// Rounds the corners of a polyline.
fn round_corners(points: &[[f64; 2]], radius: f64) -> Vec<Piece> {
    let (mut out, mut used) = (Vec::new(), 0.0);
    for i in 1..points.len() - 1 {
        let (a, b, c) = (points[i - 1], points[i], points[i + 1]);
        let turn = wrap(direction(b, c) - direction(a, b));
        let room = 0.48 * distance(a, b).min(distance(b, c));
        let tangent = if turn.abs() < 1e-6 { 0.0 } else { (radius * unit_turn(turn).1).min(room) };
        out.push((distance(a, b) - used - tangent, 0.0, 0.0));
        if tangent > 0.0 {
            out.extend(turn_within(turn, tangent));
        }
        used = tangent;
    }
    let n = points.len();
    out.push((distance(points[n - 2], points[n - 1]) - used, 0.0, 0.0));
    out
}

fn plan_view(out: &mut String, start: Pen, pieces: &[Piece]) -> f64 {
    let (mut pen, mut s) = (start, 0.0);
    *out += "<planView>";
    for &(length, k0, k1) in pieces {
        let shape = if k0 == 0.0 && k1 == 0.0 {
            "<line/>".to_owned()
        } else if k0 == k1 {
            format!("<arc curvature=\"{k0:.10}\"/>")
        } else {
            format!("<spiral curvStart=\"{k0:.10}\" curvEnd=\"{k1:.10}\"/>")
        };
        let Pen { x, y, hdg } = pen;
        let _ = write!(
            out,
            "\n<geometry s=\"{s:.6}\" x=\"{x:.6}\" y=\"{y:.6}\" hdg=\"{hdg:.10}\" length=\"{length:.6}\">{shape}</geometry>"
        );
        pen = pen.draw((length, k0, k1));
        s += length;
    }
    *out += "\n</planView>\n";
    s
}

/// Cubics through (s, z) with level ends.
fn elevation(out: &mut String, points: &[(f64, f64)]) {
    let n = points.len();
    let slope = |i: usize| {
        if i == 0 || i + 1 == n {
            return 0.0;
        }
        (points[i + 1].1 - points[i - 1].1) / (points[i + 1].0 - points[i - 1].0)
    };
    *out += "<elevationProfile>";
    for i in 0..n - 1 {
        let ((s, a), (e, z)) = (points[i], points[i + 1]);
        let (l, b, g) = (e - s, slope(i), slope(i + 1));
        let c = (3.0 * (z - a) / l - 2.0 * b - g) / l;
        let d = (2.0 * (a - z) / l + b + g) / (l * l);
        let _ = write!(
            out,
            "\n<elevation s=\"{s:.6}\" a=\"{a:.8}\" b=\"{b:.10}\" c=\"{c:.12}\" d=\"{d:.14}\"/>"
        );
    }
    *out += "\n</elevationProfile>\n";
}

fn smooth_step(s0: f64, from: f64, to: f64, length: f64) -> (f64, [f64; 4]) {
    let d = to - from;
    (s0, [from, 0.0, 3.0 * d / (length * length), -2.0 * d / (length * length * length)])
}

fn cubics(out: &mut String, tag: &str, start: &str, records: &[(f64, [f64; 4])]) {
    for (s, [a, b, c, d]) in records {
        let _ = write!(
            out,
            "<{tag} {start}=\"{s:.6}\" a=\"{a:.8}\" b=\"{b:.10}\" c=\"{c:.12}\" d=\"{d:.14}\"/>"
        );
    }
}

fn mark(out: &mut String, s: f64, kind: &str, color: &str) {
    let _ = write!(
        out,
        "<roadMark sOffset=\"{s:.3}\" type=\"{kind}\" color=\"{color}\" width=\"0.12\"/>"
    );
}

/// What lies outside the driving lanes: (type, width, outer mark).
fn margin(style: &Style) -> Vec<(&'static str, f64, &'static str)> {
    if style.sidewalk > 0.0 {
        vec![("shoulder", 0.3, "curb"), ("sidewalk", style.sidewalk, "none")]
    } else {
        vec![("shoulder", style.shoulder, "grass")]
    }
}

/// `ends`: lane widths of the junctions at both ends.
fn edge_lanes(out: &mut String, style: &Style, ends: [f64; 2], length: f64) {
    let ease = (0.3 * length).min(25.0);
    let mut widths = vec![(0.0, [style.width, 0.0, 0.0, 0.0])];
    if ends != [style.width; 2] {
        widths = vec![
            smooth_step(0.0, ends[0], style.width, ease),
            (ease, [style.width, 0.0, 0.0, 0.0]),
            smooth_step(length - ease, style.width, ends[1], ease),
        ];
    }
    let side = |out: &mut String, sign: i32| {
        let mut lanes = Vec::new();
        for k in 1..=style.lanes {
            let mut l = format!(
                "<lane id=\"{}\" type=\"driving\" level=\"false\"><link/>",
                sign * k as i32
            );
            cubics(&mut l, "width", "sOffset", &widths);
            mark(&mut l, 0.0, if k == style.lanes { style.edge } else { "broken" }, "white");
            lanes.push(l + "</lane>\n");
        }
        for (i, (kind, w, m)) in margin(style).into_iter().enumerate() {
            let id = sign * (style.lanes + 1 + i) as i32;
            let mut l = format!("<lane id=\"{id}\" type=\"{kind}\" level=\"false\">");
            cubics(&mut l, "width", "sOffset", &[(0.0, [w, 0.0, 0.0, 0.0])]);
            mark(&mut l, 0.0, m, "white");
            lanes.push(l + "</lane>\n");
        }
        if sign > 0 {
            lanes.reverse();
        }
        out.extend(lanes);
    };
    *out += "<lanes><laneSection s=\"0\">\n<left>\n";
    side(out, 1);
    *out += "</left>\n<center><lane id=\"0\" type=\"none\" level=\"false\">";
    let (kind, color) = style.center;
    mark(out, 0.0, kind, color);
    if style.solid.1 > style.solid.0 {
        mark(out, style.solid.0 * length, "solid solid", color);
        mark(out, style.solid.1 * length, kind, color);
    }
    *out += "</lane></center>\n<right>\n";
    side(out, -1);
    *out += "</right>\n</laneSection></lanes>\n";
}

fn speed(out: &mut String, kmh: f64) {
    let _ =
        writeln!(out, "<type s=\"0\" type=\"town\"><speed max=\"{kmh}\" unit=\"km/h\"/></type>");
}

/// An edge's end at a node.
struct Arm<'a> {
    road: usize,
    at_end: bool,
    /// Away from the node.
    dir: f64,
    style: &'a Style,
}

impl Arm<'_> {
    fn contact(&self) -> &'static str {
        if self.at_end { "end" } else { "start" }
    }

    /// Lane id of the k-th lane from the middle that leads into (or out of) the junction.
    fn lane(&self, k: usize, into: bool) -> i32 {
        if into == self.at_end { -(k as i32) } else { k as i32 }
    }
}

/// Change of heading from one arm into another, left positive.
fn turn(from: &Arm<'_>, to: &Arm<'_>) -> f64 {
    wrap(to.dir - from.dir - PI)
}

/// A way through a junction: from arm, to arm, lanes counted from the middle.
type Way = (usize, usize, (usize, usize));

/// Every way through a junction but U-turns, sorted.
fn ways(arms: &[Arm<'_>]) -> Vec<Way> {
    let mut out: Vec<Way> = Vec::new();
    for (i, from) in arms.iter().enumerate() {
        for (j, to) in arms.iter().enumerate().filter(|(j, _)| *j != i) {
            let (a, b) = (from.style.lanes, to.style.lanes);
            match turn(from, to) {
                t if t.abs() < 0.6 => {
                    out.extend((1..=a.max(b)).map(|k| (i, j, (k.min(a), k.min(b)))));
                }
                t if t < 0.0 => out.push((i, j, (a, b))),
                _ => out.push((i, j, (1, 1))),
            }
        }
    }
    // A lane that no turn takes or serves would be a dead end: inner lanes go as far left as
    // there is, outer lanes are entered on the widest bend from the left.
    let leftmost = |i: usize| {
        let t = |j: usize| turn(&arms[i], &arms[j]);
        (0..arms.len()).filter(|j| *j != i).max_by(|j, k| t(*j).total_cmp(&t(*k)))
    };
    let widest = |i: usize| {
        let t = |j: usize| turn(&arms[j], &arms[i]).abs();
        (0..arms.len()).filter(|j| *j != i).min_by(|j, k| t(*j).total_cmp(&t(*k)))
    };
    for (i, arm) in arms.iter().enumerate() {
        for k in 1..=arm.style.lanes {
            if let Some(j) = leftmost(i)
                && !out.iter().any(|w| w.0 == i && w.2.0 == k)
            {
                out.push((i, j, (k, k.min(arms[j].style.lanes))));
            }
            if let Some(j) = widest(i)
                && !out.iter().any(|w| w.1 == i && w.2.1 == k)
            {
                out.push((j, i, (k.min(arms[j].style.lanes), k)));
            }
        }
    }
    out.sort_unstable();
    out
}

impl Net {
    /// The OpenDRIVE text.
    pub fn draw(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\"?>\n<OpenDRIVE><header revMajor=\"1\" revMinor=\"4\" name=\"{}\" version=\"1\" vendor=\"caril\"/>\n",
            self.name
        );
        for (i, e) in self.edges.iter().enumerate() {
            self.road(&mut out, i, e);
        }
        let (mut junctions, mut next) = (String::new(), 1000);
        for n in 0..self.nodes.len() {
            self.junction(&mut out, &mut junctions, n, &mut next);
        }
        out + &junctions + "</OpenDRIVE>\n"
    }

    fn road(&self, out: &mut String, id: usize, e: &Edge) {
        let end = |(n, deg): (usize, f64), extra: f64| {
            let (node, a) = (&self.nodes[n], deg.to_radians());
            let d = node.mouth + extra;
            [node.at[0] + d * libm::cos(a), node.at[1] + d * libm::sin(a)]
        };
        let [a, b] = e.ends;
        let mut points = vec![end(a, 0.0), end(a, self.lead)];
        points.extend(&e.via);
        points.extend([end(b, self.lead), end(b, 0.0)]);
        let start = Pen { x: points[0][0], y: points[0][1], hdg: a.1.to_radians() };
        let pieces = round_corners(&points, e.radius);
        let mut body = String::new();
        speed(&mut body, e.style.kmh);
        let length = plan_view(&mut body, start, &pieces);
        let mut heights = vec![(0.0, self.nodes[a.0].z)];
        heights.extend(e.heights.iter().map(|(f, z)| (f * length, *z)));
        heights.push((length, self.nodes[b.0].z));
        elevation(&mut body, &heights);
        let widths = [self.nodes[a.0].width, self.nodes[b.0].width];
        edge_lanes(&mut body, &e.style, widths, length);
        let _ = write!(
            out,
            "<road name=\"\" length=\"{length:.6}\" id=\"{id}\" junction=\"-1\">\n<link><predecessor elementType=\"junction\" elementId=\"{}\"/><successor elementType=\"junction\" elementId=\"{}\"/></link>\n{body}</road>\n",
            500 + a.0,
            500 + b.0
        );
    }

    fn junction(&self, out: &mut String, junctions: &mut String, n: usize, next: &mut usize) {
        let node = &self.nodes[n];
        let mut arms = Vec::new();
        for (road, e) in self.edges.iter().enumerate() {
            for (k, (m, deg)) in e.ends.iter().enumerate() {
                if *m == n {
                    let dir = wrap(deg.to_radians());
                    arms.push(Arm { road, at_end: k == 1, dir, style: &e.style });
                }
            }
        }
        arms.sort_by(|a, b| a.dir.total_cmp(&b.dir));
        let _ = writeln!(junctions, "<junction id=\"{}\" name=\"\">", 500 + n);
        let ways = ways(&arms);
        for (count, (i, j, pair)) in ways.iter().enumerate() {
            let (from, to) = (&arms[*i], &arms[*j]);
            // Kerb and pavement go round the corner with the outermost way to the next arm.
            let last = ways.get(count + 1).is_none_or(|w| (w.0, w.1) != (*i, *j));
            let outside = last && *j == (i + 1) % arms.len();
            self.connect(out, node, n, *next, (from, to, turn(from, to)), *pair, outside);
            let _ = writeln!(
                junctions,
                "<connection id=\"{count}\" incomingRoad=\"{}\" connectingRoad=\"{next}\" contactPoint=\"start\"><laneLink from=\"{}\" to=\"-1\"/></connection>",
                from.road,
                from.lane(pair.0, true)
            );
            *next += 1;
        }
        *junctions += "</junction>\n";
    }

    #[expect(clippy::too_many_arguments, reason = "one place, all of it needed")]
    fn connect(
        &self,
        out: &mut String,
        node: &Node,
        junction: usize,
        id: usize,
        (from, to, turn): (&Arm<'_>, &Arm<'_>, f64),
        pair: (usize, usize),
        outside: bool,
    ) {
        let start = Pen {
            x: node.at[0] + node.mouth * libm::cos(from.dir),
            y: node.at[1] + node.mouth * libm::sin(from.dir),
            hdg: wrap(from.dir + PI),
        };
        let pieces = match node.radius {
            _ if turn.abs() < 1e-6 => vec![(2.0 * node.mouth, 0.0, 0.0)],
            Some(radius) if turn.abs() > 0.6 => tight_turn(turn, node.mouth, radius),
            _ => turn_within(turn, node.mouth),
        };
        let mut body = String::new();
        speed(&mut body, from.style.kmh);
        let length = plan_view(&mut body, start, &pieces);
        elevation(&mut body, &[(0.0, node.z), (length, node.z)]);
        body += "<lanes>";
        let offset = |k: usize| -((k - 1) as f64) * node.width;
        let shift = smooth_step(0.0, offset(pair.0), offset(pair.1), length);
        cubics(&mut body, "laneOffset", "s", &[shift]);
        body += "<laneSection s=\"0\"><center><lane id=\"0\" type=\"none\" level=\"false\"/></center>\n<right>\n";
        let _ = write!(
            body,
            "<lane id=\"-1\" type=\"driving\" level=\"false\"><link><predecessor id=\"{}\"/><successor id=\"{}\"/></link>",
            from.lane(pair.0, true),
            to.lane(pair.1, false)
        );
        cubics(&mut body, "width", "sOffset", &[(0.0, [node.width, 0.0, 0.0, 0.0])]);
        mark(&mut body, 0.0, "none", "white");
        body += "</lane>\n";
        if outside {
            let (a, b) = (margin(from.style), margin(to.style));
            for (i, (p, q)) in a.iter().zip(&b).enumerate() {
                let _ = write!(
                    body,
                    "<lane id=\"{}\" type=\"{}\" level=\"false\">",
                    -2 - i as i32,
                    p.0
                );
                cubics(&mut body, "width", "sOffset", &[smooth_step(0.0, p.1, q.1, length)]);
                mark(&mut body, 0.0, p.2, "white");
                body += "</lane>\n";
            }
        }
        body += "</right></laneSection></lanes>\n";
        let _ = write!(
            out,
            "<road name=\"\" length=\"{length:.6}\" id=\"{id}\" junction=\"{}\">\n<link><predecessor elementType=\"road\" elementId=\"{}\" contactPoint=\"{}\"/><successor elementType=\"road\" elementId=\"{}\" contactPoint=\"{}\"/></link>\n{body}</road>\n",
            500 + junction,
            from.road,
            from.contact(),
            to.road,
            to.contact()
        );
    }
}
