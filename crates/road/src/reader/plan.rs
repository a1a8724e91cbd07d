//! Reading the plan view.

use roxmltree::Node;

use super::{Owner, child};
use crate::MapError;
use crate::curve::{Geometry, Param, Shape};

/// Most turns of one geometry, radians: bounds the work of integrating it.
const MAX_TURN_RAD: f64 = 200.0;
/// Largest gap between successive geometries, metres.
const MAX_GAP_M: f64 = 10.0;

/// The geometries of a road in rising order of s.
pub(super) fn read(road: Node<'_, '_>, owner: Owner<'_>) -> Result<Vec<Geometry>, MapError> {
    let mut out: Vec<Geometry> = Vec::new();
    for node in child(road, "planView").into_iter().flat_map(|n| n.children()) {
        if node.tag_name().name() != "geometry" {
            continue;
        }
        let length = owner.required(node, "length")?;
        if !(0.0..=super::MAX_LENGTH_M).contains(&length) {
            let got = length.to_string();
            return Err(owner.error("geometry/@length", "0 to 100 km", &got));
        }
        // Tools leave pieces of no length behind.
        if length < 1e-9 {
            continue;
        }
        out.push(Geometry {
            s0: owner.required(node, "s")?,
            x: owner.required(node, "x")?,
            y: owner.required(node, "y")?,
            hdg: owner.required(node, "hdg")?,
            length,
            shape: shape(node, owner, length)?,
        });
    }
    out.sort_by(|a, b| a.s0.total_cmp(&b.s0));
    if out.is_empty() {
        return Err(owner.error("planView", "at least one geometry", "none"));
    }
    for w in out.windows(2) {
        let [a, b] = w else { continue };
        let end = a.at(b.s0 - a.s0);
        let gap = libm::hypot(end.x - b.x, end.y - b.y);
        if gap.is_nan() || gap > MAX_GAP_M {
            let got = format!("a gap of {gap:.3} m at s = {}", b.s0);
            return Err(owner.error("geometry", "to go on where the last one ends", &got));
        }
    }
    Ok(out)
}

fn shape(node: Node<'_, '_>, owner: Owner<'_>, length: f64) -> Result<Shape, MapError> {
    let too_curved = |k: f64| {
        if k.abs() * length <= MAX_TURN_RAD {
            Ok(())
        } else {
            let got = format!("curvature {k} over {length} m");
            Err(owner.error("geometry", "less than 200 rad of turn", &got))
        }
    };
    if child(node, "line").is_some() {
        return Ok(Shape::Line);
    }
    if let Some(n) = child(node, "arc") {
        let k = owner.required(n, "curvature")?;
        too_curved(k)?;
        return Ok(if k == 0.0 { Shape::Line } else { Shape::Arc(k) });
    }
    if let Some(n) = child(node, "spiral") {
        let (a, b) = (owner.required(n, "curvStart")?, owner.required(n, "curvEnd")?);
        too_curved(a)?;
        too_curved(b)?;
        return Ok(Shape::Spiral(a, (b - a) / length));
    }
    if let Some(n) = child(node, "poly3") {
        let v = coefficients(n, owner, ["a", "b", "c", "d"])?;
        return Ok(Shape::Param(Box::new(Param::poly3(v, length))));
    }
    if let Some(n) = child(node, "paramPoly3") {
        let u = coefficients(n, owner, ["aU", "bU", "cU", "dU"])?;
        let v = coefficients(n, owner, ["aV", "bV", "cV", "dV"])?;
        let p_max = match n.attribute("pRange") {
            Some("arcLength") => length,
            // CARLA and most tools take a missing range as normalised, the standard's default.
            None | Some("normalized") => 1.0,
            Some(other) => {
                let expected = "arcLength or normalized";
                return Err(owner.error("paramPoly3/@pRange", expected, other));
            }
        };
        return Ok(Shape::Param(Box::new(Param::new(u, v, p_max, length))));
    }
    let tags = node.children().filter(Node::is_element).map(|n| n.tag_name().name());
    let got = tags.collect::<Vec<_>>().join(", ");
    Err(owner.error("geometry", "line, arc, spiral, poly3 or paramPoly3", &got))
}

fn coefficients(
    node: Node<'_, '_>,
    owner: Owner<'_>,
    names: [&str; 4],
) -> Result<[f64; 4], MapError> {
    let mut out = [0.0; 4];
    for (o, name) in out.iter_mut().zip(names) {
        *o = owner.number_or(node, name, 0.0)?;
    }
    Ok(out)
}
