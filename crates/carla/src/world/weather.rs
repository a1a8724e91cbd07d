//! From CARLA's fourteen weather parameters to the embedded world's weather.

use caril_sim::Weather;

use crate::wire::{Fields, Trouble};

/// CARLA's `WeatherParameters` in their order on the wire: cloudiness, precipitation,
/// precipitation_deposits, wind_intensity, sun_azimuth_angle, sun_altitude_angle, fog_density,
/// fog_distance, fog_falloff, wetness, scattering_intensity, mie_scattering_scale,
/// rayleigh_scattering_scale, dust_storm.
pub type Parameters = [f32; 14];

/// Name; cloudiness, precipitation, deposits, sun altitude, fog density, wetness, dust. From the
/// presets of the 0.9.16 client; those of fog are ours.
type Row = (&'static str, [f32; 7]);
const ROWS: &[Row] = &[
    ("ClearNoon", [5.0, 0.0, 0.0, 45.0, 2.0, 0.0, 0.0]),
    ("CloudyNoon", [60.0, 0.0, 0.0, 45.0, 3.0, 0.0, 0.0]),
    ("WetNoon", [5.0, 0.0, 50.0, 45.0, 3.0, 0.0, 0.0]),
    ("WetCloudyNoon", [60.0, 0.0, 50.0, 45.0, 3.0, 0.0, 0.0]),
    ("SoftRainNoon", [20.0, 30.0, 50.0, 45.0, 3.0, 0.0, 0.0]),
    ("MidRainyNoon", [60.0, 60.0, 60.0, 45.0, 3.0, 0.0, 0.0]),
    ("HardRainNoon", [100.0, 100.0, 90.0, 45.0, 7.0, 0.0, 0.0]),
    ("ClearSunset", [5.0, 0.0, 0.0, 15.0, 2.0, 0.0, 0.0]),
    ("CloudySunset", [60.0, 0.0, 0.0, 15.0, 3.0, 0.0, 0.0]),
    ("WetSunset", [5.0, 0.0, 50.0, 15.0, 2.0, 0.0, 0.0]),
    ("WetCloudySunset", [60.0, 0.0, 50.0, 15.0, 2.0, 0.0, 0.0]),
    ("SoftRainSunset", [20.0, 30.0, 50.0, 15.0, 2.0, 0.0, 0.0]),
    ("MidRainSunset", [60.0, 60.0, 60.0, 15.0, 3.0, 0.0, 0.0]),
    ("HardRainSunset", [100.0, 100.0, 90.0, 15.0, 7.0, 0.0, 0.0]),
    ("ClearNight", [5.0, 0.0, 0.0, -90.0, 60.0, 0.0, 0.0]),
    ("CloudyNight", [60.0, 0.0, 0.0, -90.0, 60.0, 0.0, 0.0]),
    ("WetNight", [5.0, 0.0, 50.0, -90.0, 60.0, 60.0, 0.0]),
    ("WetCloudyNight", [60.0, 0.0, 50.0, -90.0, 60.0, 60.0, 0.0]),
    ("SoftRainNight", [60.0, 30.0, 50.0, -90.0, 60.0, 60.0, 0.0]),
    ("MidRainyNight", [80.0, 60.0, 60.0, -90.0, 60.0, 80.0, 0.0]),
    ("HardRainNight", [100.0, 100.0, 90.0, -90.0, 100.0, 100.0, 0.0]),
    ("DustStorm", [100.0, 0.0, 0.0, 45.0, 2.0, 0.0, 100.0]),
    ("FoggyNoon", [90.0, 0.0, 0.0, 45.0, 80.0, 20.0, 0.0]),
    ("FoggySunset", [80.0, 0.0, 0.0, 15.0, 80.0, 20.0, 0.0]),
    ("FoggyNight", [80.0, 0.0, 0.0, -90.0, 99.0, 30.0, 0.0]),
];
/// How much each of the seven counts: hour first, then what falls and lies.
const WEIGHTS: [f32; 7] = [1.0, 2.0, 1.5, 4.0, 1.0, 0.3, 3.0];

/// The parameters of a name, as the client sends them for its preset of that name.
pub fn parameters(name: &str) -> Option<Parameters> {
    let (_, v) = ROWS.iter().find(|r| r.0.eq_ignore_ascii_case(name))?;
    let mut p =
        [v[0], v[1], v[2], 10.0, -1.0, v[3], v[4], 0.75, 0.1, v[5], 1.0, 0.03, 0.0331, v[6]];
    if v[1] > 0.0 {
        p[3] = v[1];
    }
    Some(p)
}

/// Reads the parameters.
///
/// # Errors
/// If they are none.
pub fn read(f: &Fields<'_>) -> Result<Parameters, Trouble> {
    let mut p = Parameters::default();
    for (i, p) in p.iter_mut().enumerate() {
        *p = f.f64(i)? as f32;
    }
    Ok(p)
}

/// The embedded world's weather that is nearest. Negative values stand for "leave as it is" in
/// CARLA's `Default`, which is a clear noon.
pub fn nearest(p: &Parameters) -> Weather {
    let [cloud, rain, lying, _, azimuth, altitude, fog, _, _, wet, .., dust] = *p;
    if [cloud, rain, lying, azimuth, fog, wet].iter().all(|v| *v < 0.0) {
        return Weather::default();
    }
    // Between 15° and 45° it grows bright, below the horizon dark: the hour matters, not degrees.
    let hour = |a: f32| {
        if a > 25.0 {
            45.0
        } else if a > 0.0 {
            15.0
        } else {
            -30.0
        }
    };
    // Every night of CARLA's is foggy by number; what is meant shows in the day's numbers.
    let haze = |fog: f32, altitude: f32| if altitude <= 0.0 { fog - 58.0 } else { fog };
    let of = |v: [f32; 7]| [v[0], v[1], v[2], hour(v[3]), haze(v[4], v[3]), v[5], v[6]];
    let asked = of([cloud, rain, lying, altitude, fog, wet, dust]);
    let distance = |row: &Row| -> f32 {
        let v = of(row.1);
        (0..7).map(|i: usize| WEIGHTS[i] * (v[i] - asked[i]).abs()).sum()
    };
    let best = ROWS.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    best.and_then(|r| Weather::preset(r.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_nearest_to_itself() {
        for name in Weather::names() {
            let p = parameters(name).unwrap_or_else(|| panic!("{name} has no parameters"));
            assert_eq!(nearest(&p).name, *name);
        }
    }

    #[test]
    fn what_is_no_preset_becomes_one_like_it() {
        let mut p = parameters("ClearNoon").unwrap();
        p[0] = 12.0;
        assert_eq!(nearest(&p).name, "ClearNoon");
        p[1] = 95.0;
        p[2] = 80.0;
        p[0] = 90.0;
        assert_eq!(nearest(&p).name, "HardRainNoon");
        assert_eq!(nearest(&[-1.0; 14]).name, "ClearNoon");
        assert!(nearest(&[f32::MAX; 14]).name.len() > 3);
    }
}
