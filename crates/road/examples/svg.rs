//! Draws a map from above: `svg FILE.xodr > map.svg`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: svg FILE.xodr")?;
    let svg = caril_road::draw_svg(&caril_road::RoadMap::load(path.as_ref())?);
    Ok(std::io::stdout().lock().write_all(svg.as_bytes())?)
}
