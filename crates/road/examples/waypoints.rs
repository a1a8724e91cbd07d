//! Prints the waypoints of a map as JSON Lines: `waypoints FILE.xodr [SPACING_M]`.

use std::io::Write;

use caril_road::RoadMap;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: waypoints FILE.xodr [SPACING_M]")?;
    let spacing: f64 = args.next().map_or(Ok(2.0), |a| a.parse())?;
    let map = RoadMap::load(path.as_ref())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for w in map.waypoints(spacing) {
        writeln!(
            out,
            "{{\"road\":{},\"section\":{},\"lane\":{},\"s\":{},\"x\":{},\"y\":{},\"z\":{},\"yaw_deg\":{}}}",
            w.road_id,
            w.section,
            w.lane,
            w.s_m,
            w.x_m,
            w.y_m,
            w.z_m,
            w.yaw_rad.to_degrees()
        )?;
    }
    Ok(out.flush()?)
}
