//! Draws the maps of this repository: `cargo run --release -p caril-road --example draw_maps -- maps`;
//! with `--random FROM TO`, towns and countryside drawn by lot from these seeds instead.

mod build;
mod random;

use build::{Edge, Net, Node, Style};

const YELLOW: (&str, &str) = ("broken", "yellow");
const WHITE: (&str, &str) = ("broken", "white");
const NEVER: (f64, f64) = (0.0, 0.0);

fn node(x: f64, y: f64, z: f64, mouth: f64) -> Node {
    Node { at: [x, y], z, mouth, width: 3.5, radius: None }
}

/// A junction with turns of a given radius, straight before and after, and its lane width.
fn tight(node: Node, radius: f64, width: f64) -> Node {
    Node { radius: Some(radius), width, ..node }
}

fn edge(a: (usize, f64), b: (usize, f64), via: &[[f64; 2]], radius: f64, style: &Style) -> Edge {
    Edge { ends: [a, b], via: via.to_vec(), radius, heights: Vec::new(), style: style.clone() }
}

fn hill(mut e: Edge, heights: &[(f64, f64)]) -> Edge {
    e.heights = heights.to_vec();
    e
}

/// Column and row of a grid.
type Crossing = (usize, usize);

/// Blocks between streets; `cut` streets are left out. Corners of the town are bends, but those
/// of `keep`, where other roads will join.
fn grid(
    xs: &[f64],
    ys: &[f64],
    cut: &[(Crossing, Crossing)],
    keep: &[Crossing],
    mouths: &[f64],
    radii: &[f64],
    styles: &[Style],
) -> (Vec<Node>, Vec<Edge>) {
    let at = |i: usize, j: usize| i + j * xs.len();
    let open = |a: (usize, usize), b: (usize, usize)| {
        a.0.max(b.0) < xs.len()
            && a.1.max(b.1) < ys.len()
            && !cut.contains(&(a, b))
            && !cut.contains(&(b, a))
    };
    let steps = [(1_i32, 0_i32, 0.0), (0, 1, 90.0), (-1, 0, 180.0), (0, -1, 270.0)];
    let ways = |p: (usize, usize)| {
        let ends = steps.iter().filter_map(move |(dx, dy, deg)| {
            let q = (p.0.checked_add_signed(*dx as isize)?, p.1.checked_add_signed(*dy as isize)?);
            Some((q, *deg))
        });
        ends.filter(|(q, _)| open(p, *q)).collect::<Vec<_>>()
    };
    let (mut nodes, mut number) = (Vec::new(), vec![None; xs.len() * ys.len()]);
    for (j, y) in ys.iter().enumerate() {
        for (i, x) in xs.iter().enumerate() {
            if ways((i, j)).len() > 2 || keep.contains(&(i, j)) {
                number[at(i, j)] = Some(nodes.len());
                nodes.push(node(*x, *y, 0.0, mouths[nodes.len() % mouths.len()]));
            }
        }
    }
    let mut edges = Vec::new();
    for j in 0..ys.len() {
        for i in 0..xs.len() {
            let Some(a) = number[at(i, j)] else { continue };
            for (first, deg) in ways((i, j)) {
                // On through bends until the next junction.
                let (mut before, mut p, mut last, mut via) = ((i, j), first, deg, Vec::new());
                while number[at(p.0, p.1)].is_none() {
                    via.push([xs[p.0], ys[p.1]]);
                    let on = ways(p).into_iter().find(|(q, _)| *q != before).expect("no dead end");
                    (before, p, last) = (p, on.0, on.1);
                }
                let b = number[at(p.0, p.1)].expect("a junction");
                // Each street once, not again from its other end.
                if (a, deg as i64) < (b, (last as i64 + 180) % 360) {
                    let n = edges.len();
                    let back = (last + 180.0) % 360.0;
                    let style = &styles[n % styles.len()];
                    edges.push(edge((a, deg), (b, back), &via, radii[n % radii.len()], style));
                }
            }
        }
    }
    (nodes, edges)
}

fn street(kmh: f64, width: f64, center: (&'static str, &'static str)) -> Style {
    Style {
        lanes: 1,
        width,
        center,
        edge: "solid",
        solid: NEVER,
        shoulder: 0.3,
        sidewalk: 2.0,
        kmh,
    }
}

fn country(kmh: f64, width: f64, solid: (f64, f64), shoulder: f64) -> Style {
    Style { lanes: 1, width, center: YELLOW, edge: "solid", solid, shoulder, sidewalk: 0.0, kmh }
}

fn town_blocks() -> Net {
    let plain = Style { edge: "none", sidewalk: 2.5, ..street(40.0, 4.0, YELLOW) };
    let styles = [
        street(40.0, 3.5, YELLOW),
        plain.clone(),
        street(30.0, 3.5, WHITE),
        Style { solid: (0.0, 1.0), ..street(40.0, 3.5, YELLOW) },
        Style { edge: "none", ..street(30.0, 3.3, WHITE) },
        Style { center: ("none", "white"), ..street(30.0, 3.2, WHITE) },
        plain,
    ];
    let (mut nodes, edges) = grid(
        &[0.0, 90.0, 170.0, 300.0, 390.0, 520.0],
        &[0.0, 100.0, 175.0, 310.0, 400.0],
        &[
            ((1, 1), (1, 2)),
            ((3, 1), (4, 1)),
            ((2, 2), (2, 3)),
            ((0, 2), (0, 3)),
            ((4, 2), (5, 2)),
            ((4, 3), (4, 4)),
            ((3, 0), (4, 0)),
        ],
        &[],
        &[9.0, 10.5, 8.8, 11.5, 12.5],
        &[7.0, 9.0, 16.0, 12.0],
        &styles,
    );
    // Wide and tight crossings in turn.
    let layouts = [Some((6.6, 4.0)), None, Some((6.0, 3.5)), None, Some((7.2, 4.0)), None];
    for (i, node) in nodes.iter_mut().enumerate() {
        if let Some((radius, width)) = layouts[i % layouts.len()] {
            (node.radius, node.width) = (Some(radius), width);
        }
    }
    Net { name: "town_blocks".into(), lead: 5.0, nodes, edges }
}

fn winding_suburb() -> Net {
    let bare = Style { center: ("none", "white"), ..country(40.0, 3.2, NEVER, 0.5) };
    let s = [
        country(40.0, 3.5, (0.2, 0.6), 0.5),
        country(30.0, 3.5, (0.0, 1.0), 1.2),
        Style { center: ("none", "white"), ..country(40.0, 3.5, NEVER, 0.5) },
        Style { center: WHITE, ..country(30.0, 3.4, NEVER, 0.8) },
        bare.clone(),
        Style { edge: "none", width: 3.1, kmh: 30.0, ..bare },
        Style { edge: "none", ..country(40.0, 3.5, NEVER, 0.6) },
    ];
    let nodes = vec![
        node(180.0, 0.0, 0.0, 13.5),
        node(400.0, 150.0, 0.0, 12.5),
        tight(node(200.0, 330.0, 0.0, 9.0), 5.5, 3.5),
        node(0.0, 170.0, 0.0, 11.5),
        // A hamlet round a green.
        tight(node(160.0, 130.0, 0.0, 8.0), 5.0, 3.2),
        tight(node(232.0, 125.0, 0.0, 8.5), 5.4, 3.2),
        node(238.0, 200.0, 0.0, 10.0),
        tight(node(158.0, 205.0, 0.0, 9.0), 6.4, 3.5),
    ];
    let edges = vec![
        edge(
            (0, 0.0),
            (1, 270.0),
            &[[245.0, -35.0], [290.0, 15.0], [345.0, -10.0], [395.0, 40.0]],
            35.0,
            &s[0],
        ),
        edge(
            (1, 90.0),
            (2, 0.0),
            &[[420.0, 235.0], [360.0, 250.0], [355.0, 320.0], [290.0, 345.0], [260.0, 300.0]],
            22.0,
            &s[1],
        ),
        edge(
            (2, 180.0),
            (3, 90.0),
            &[[130.0, 350.0], [100.0, 295.0], [45.0, 310.0], [-15.0, 260.0]],
            45.0,
            &s[2],
        ),
        edge(
            (3, 270.0),
            (0, 180.0),
            &[[10.0, 100.0], [-25.0, 60.0], [20.0, 5.0], [65.0, 35.0], [110.0, -15.0]],
            11.0,
            &s[4],
        ),
        edge((0, 90.0), (4, 270.0), &[[190.0, 45.0], [150.0, 85.0]], 25.0, &s[3]),
        // Square corners, as where a road goes round fields.
        edge(
            (1, 180.0),
            (5, 0.0),
            &[[345.0, 150.0], [345.0, 92.0], [282.0, 92.0], [282.0, 125.0]],
            8.0,
            &s[0],
        ),
        edge((2, 270.0), (6, 90.0), &[[190.0, 280.0], [245.0, 250.0]], 14.0, &s[6]),
        edge(
            (3, 0.0),
            (7, 180.0),
            &[[62.0, 170.0], [62.0, 240.0], [118.0, 240.0], [118.0, 205.0]],
            7.0,
            &s[2],
        ),
        edge((4, 0.0), (5, 180.0), &[], 20.0, &s[5]),
        edge((5, 90.0), (6, 270.0), &[], 20.0, &s[4]),
        edge((6, 180.0), (7, 0.0), &[], 20.0, &s[3]),
        edge((7, 270.0), (4, 90.0), &[], 20.0, &s[6]),
    ];
    Net { name: "winding_suburb".into(), lead: 10.0, nodes, edges }
}

fn hilly_fast() -> Net {
    let one = country(60.0, 3.5, (0.35, 0.6), 1.0);
    let slow = Style { center: ("none", "white"), ..country(50.0, 3.4, NEVER, 0.8) };
    let yellow = Style { center: ("solid", "yellow"), ..country(60.0, 3.5, NEVER, 0.5) };
    let two =
        Style { lanes: 2, center: ("solid solid", "yellow"), ..country(60.0, 3.5, NEVER, 1.5) };
    let nodes = vec![
        node(0.0, 0.0, 0.0, 22.0),
        node(400.0, -20.0, 8.0, 17.0),
        node(640.0, 260.0, 16.0, 15.0),
        tight(node(330.0, 480.0, 6.0, 12.0), 7.0, 3.5),
        tight(node(-20.0, 330.0, 12.0, 11.0), 6.0, 3.5),
        node(300.0, 220.0, 2.0, 19.0),
    ];
    let edges = vec![
        edge((0, 0.0), (1, 180.0), &[[130.0, 0.0], [250.0, -50.0]], 150.0, &two),
        hill(
            edge((1, 0.0), (2, 260.0), &[[530.0, -20.0], [610.0, 90.0]], 90.0, &one),
            &[(0.5, 5.0)],
        ),
        hill(
            edge(
                (2, 80.0),
                (3, 0.0),
                &[[660.0, 390.0], [560.0, 480.0], [460.0, 440.0]],
                60.0,
                &one,
            ),
            &[(0.35, 21.0), (0.7, 10.0)],
        ),
        hill(
            edge(
                (3, 180.0),
                (4, 70.0),
                &[[240.0, 480.0], [150.0, 400.0], [40.0, 460.0]],
                70.0,
                &slow,
            ),
            &[(0.5, 16.0)],
        ),
        hill(
            edge((4, 250.0), (0, 120.0), &[[-70.0, 190.0], [-50.0, 100.0]], 110.0, &one),
            &[(0.4, 12.0)],
        ),
        hill(
            edge((0, 58.0), (5, 204.0), &[[90.0, 110.0], [180.0, 140.0]], 80.0, &slow),
            &[(0.5, 10.0)],
        ),
        hill(
            edge((1, 90.0), (5, 290.0), &[[410.0, 70.0], [350.0, 130.0]], 12.0, &slow),
            &[(0.5, 9.0)],
        ),
        hill(
            edge((2, 170.0), (5, 20.0), &[[520.0, 285.0], [420.0, 230.0]], 120.0, &yellow),
            &[(0.45, 13.0)],
        ),
        edge((3, 270.0), (5, 110.0), &[[330.0, 390.0], [270.0, 320.0]], 50.0, &slow),
        hill(
            edge((4, 340.0), (5, 157.0), &[[100.0, 270.0], [190.0, 290.0]], 100.0, &one),
            &[(0.5, 4.0)],
        ),
    ];
    Net { name: "hilly_fast".into(), lead: 25.0, nodes, edges }
}

fn harbour_town() -> Net {
    let styles = [
        street(40.0, 3.6, WHITE),
        Style { solid: (0.3, 0.7), sidewalk: 2.5, ..street(30.0, 3.4, YELLOW) },
        Style { sidewalk: 1.6, ..street(40.0, 3.4, YELLOW) },
    ];
    let (mut nodes, mut edges) = grid(
        &[0.0, 85.0, 205.0, 300.0],
        &[0.0, 95.0, 220.0, 300.0],
        &[((2, 1), (2, 2)), ((0, 1), (1, 1)), ((3, 2), (3, 3)), ((3, 3), (2, 3)), ((1, 0), (2, 0))],
        &[(2, 3), (3, 2)],
        &[11.0, 9.8, 12.0],
        &[14.0, 8.5, 20.0],
        &styles,
    );
    // The waterfront: a winding road round the east side, between two new T-junctions.
    let quay = Style { sidewalk: 2.0, ..street(40.0, 3.4, YELLOW) };
    let near = |nodes: &[Node], x: f64, y: f64| {
        nodes.iter().position(|n| n.at == [x, y]).expect("a junction there")
    };
    let (a, b) = (near(&nodes, 300.0, 95.0), near(&nodes, 205.0, 300.0));
    let far = nodes.len();
    nodes.push(node(430.0, 160.0, 0.0, 11.5));
    edges.push(edge(
        (a, 0.0),
        (far, 250.0),
        &[[350.0, 85.0], [385.0, 40.0], [425.0, 75.0]],
        24.0,
        &quay,
    ));
    edges.push(edge(
        (far, 70.0),
        (b, 0.0),
        &[[450.0, 240.0], [400.0, 275.0], [410.0, 335.0], [330.0, 360.0], [280.0, 310.0]],
        30.0,
        &quay,
    ));
    let c = near(&nodes, 300.0, 220.0);
    edges.push(edge((far, 160.0), (c, 0.0), &[[385.0, 195.0], [350.0, 225.0]], 28.0, &quay));
    Net { name: "harbour_town".into(), lead: 6.0, nodes, edges }
}

fn valley_road() -> Net {
    let wide = country(60.0, 3.75, (0.1, 0.45), 1.2);
    let narrow = country(40.0, 3.25, (0.5, 0.9), 0.6);
    let plain = Style { center: WHITE, ..country(50.0, 3.6, NEVER, 0.9) };
    let nodes = vec![
        node(0.0, 0.0, 3.0, 13.0),
        node(230.0, 60.0, 0.0, 12.5),
        node(520.0, 10.0, 9.0, 14.0),
        node(430.0, 250.0, 14.0, 13.0),
        node(120.0, 270.0, 10.0, 12.5),
        node(300.0, 400.0, 18.0, 13.0),
    ];
    let edges = vec![
        hill(
            edge((0, 10.0), (1, 195.0), &[[80.0, -15.0], [140.0, 50.0]], 55.0, &wide),
            &[(0.5, 5.0)],
        ),
        hill(
            edge((1, 15.0), (2, 180.0), &[[320.0, 110.0], [390.0, 30.0]], 80.0, &wide),
            &[(0.5, 7.0)],
        ),
        hill(
            edge(
                (2, 0.0),
                (3, 300.0),
                &[[590.0, 50.0], [560.0, 130.0], [480.0, 120.0], [490.0, 180.0]],
                35.0,
                &narrow,
            ),
            &[(0.5, 17.0)],
        ),
        hill(
            edge(
                (2, 270.0),
                (0, 270.0),
                &[[500.0, -70.0], [400.0, -100.0], [280.0, -50.0], [160.0, -120.0], [40.0, -90.0]],
                60.0,
                &plain,
            ),
            &[(0.3, 15.0), (0.7, 8.0)],
        ),
        hill(edge((3, 120.0), (5, 0.0), &[[420.0, 330.0], [380.0, 410.0]], 45.0, &plain), &[]),
        hill(
            edge(
                (3, 210.0),
                (1, 105.0),
                &[[360.0, 220.0], [310.0, 170.0], [240.0, 150.0]],
                25.0,
                &narrow,
            ),
            &[(0.5, 7.5)],
        ),
        hill(
            edge((5, 180.0), (4, 70.0), &[[220.0, 380.0], [190.0, 320.0]], 40.0, &wide),
            &[(0.5, 15.0)],
        ),
        hill(
            edge(
                (4, 250.0),
                (0, 130.0),
                &[[90.0, 180.0], [10.0, 150.0], [-60.0, 100.0]],
                30.0,
                &narrow,
            ),
            &[(0.5, 4.0)],
        ),
        hill(
            edge(
                (4, 160.0),
                (5, 90.0),
                &[[70.0, 300.0], [50.0, 380.0], [110.0, 460.0], [230.0, 480.0], [290.0, 460.0]],
                42.0,
                &plain,
            ),
            &[(0.5, 20.0)],
        ),
    ];
    Net { name: "valley_road".into(), lead: 16.0, nodes, edges }
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let nets: Vec<Net> = match arguments.get(1).map(String::as_str) {
        Some("--random") => {
            let seed = |i: usize| arguments.get(i).and_then(|n| n.parse::<u64>().ok());
            let (from, to) = seed(2).zip(seed(3)).expect("--random FROM TO");
            (from..=to).flat_map(|seed| [random::town(seed), random::country(seed)]).collect()
        }
        _ => vec![town_blocks(), winding_suburb(), hilly_fast(), harbour_town(), valley_road()],
    };
    let folder = arguments.first().map_or("maps", String::as_str);
    std::fs::create_dir_all(folder)?;
    for net in nets {
        std::fs::write(format!("{folder}/{}.xodr", net.name), net.draw())?;
    }
    Ok(())
}
