//! Draws a map from above: `svg FILE.xodr > map.svg`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: svg FILE.xodr")?;
    print!("{}", caril_road::draw_svg(&caril_road::RoadMap::load(path.as_ref())?));
    Ok(())
}
