//! Weather by CARLA's preset names: light, sky, fog, wetness and rain as the camera sees them.

use caril_core::CounterRng;

/// Light and air of a scene. Colours are display values in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// CARLA's name of the preset.
    pub name: &'static str,
    /// Unit vector towards the sun (or the moon), CARLA axes.
    pub sun_dir: [f32; 3],
    /// Direct light.
    pub sun: [f32; 3],
    /// Light from the whole sky.
    pub ambient: [f32; 3],
    /// Sky overhead.
    pub zenith: [f32; 3],
    /// Sky at the horizon, and the colour of the haze.
    pub horizon: [f32; 3],
    /// Share of the sky behind clouds, [0, 1].
    pub clouds: f32,
    /// Extinction of the haze, 1/m.
    pub fog_1pm: f32,
    /// How wet the road is, [0, 1].
    pub wetness: f32,
    /// Share of the road under puddles, [0, 1].
    pub puddles: f32,
    /// Falling rain, [0, 1].
    pub rain: f32,
    /// Darkness, [0, 1]: headlights, lit windows and lamps.
    pub night: f32,
    /// Glare around a sun in the picture, [0, 1].
    pub glare: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Hour {
    Noon,
    Sunset,
    Night,
}

/// Name, hour, clouds, fog 1/m, wetness, puddles, rain.
type Row = (&'static str, Hour, f32, f32, f32, f32, f32);

const ROWS: &[Row] = &[
    ("ClearNoon", Hour::Noon, 0.15, 0.0009, 0.0, 0.0, 0.0),
    ("CloudyNoon", Hour::Noon, 0.75, 0.0014, 0.0, 0.0, 0.0),
    ("WetNoon", Hour::Noon, 0.2, 0.0012, 0.8, 0.45, 0.0),
    ("WetCloudyNoon", Hour::Noon, 0.8, 0.0016, 0.8, 0.45, 0.0),
    ("SoftRainNoon", Hour::Noon, 0.8, 0.003, 0.85, 0.4, 0.25),
    ("MidRainyNoon", Hour::Noon, 0.9, 0.005, 0.95, 0.55, 0.55),
    ("HardRainNoon", Hour::Noon, 1.0, 0.009, 1.0, 0.7, 1.0),
    ("ClearSunset", Hour::Sunset, 0.2, 0.0013, 0.0, 0.0, 0.0),
    ("CloudySunset", Hour::Sunset, 0.7, 0.0018, 0.0, 0.0, 0.0),
    ("WetSunset", Hour::Sunset, 0.25, 0.0016, 0.8, 0.45, 0.0),
    ("WetCloudySunset", Hour::Sunset, 0.75, 0.002, 0.8, 0.45, 0.0),
    ("SoftRainSunset", Hour::Sunset, 0.8, 0.0035, 0.85, 0.4, 0.25),
    ("MidRainSunset", Hour::Sunset, 0.9, 0.0055, 0.95, 0.55, 0.55),
    ("HardRainSunset", Hour::Sunset, 1.0, 0.009, 1.0, 0.7, 1.0),
    ("ClearNight", Hour::Night, 0.15, 0.0015, 0.0, 0.0, 0.0),
    ("CloudyNight", Hour::Night, 0.8, 0.002, 0.0, 0.0, 0.0),
    ("WetNight", Hour::Night, 0.2, 0.002, 0.8, 0.45, 0.0),
    ("WetCloudyNight", Hour::Night, 0.8, 0.0025, 0.8, 0.45, 0.0),
    ("SoftRainNight", Hour::Night, 0.9, 0.004, 0.85, 0.4, 0.25),
    ("MidRainyNight", Hour::Night, 0.9, 0.006, 0.95, 0.55, 0.55),
    ("HardRainNight", Hour::Night, 1.0, 0.01, 1.0, 0.7, 1.0),
    ("DustStorm", Hour::Noon, 0.9, 0.018, 0.0, 0.0, 0.0),
    ("FoggyNoon", Hour::Noon, 0.9, 0.022, 0.2, 0.0, 0.0),
    ("FoggySunset", Hour::Sunset, 0.8, 0.022, 0.2, 0.0, 0.0),
    ("FoggyNight", Hour::Night, 0.8, 0.022, 0.3, 0.0, 0.0),
];

const NAMES: [&str; ROWS.len()] = {
    let mut names = [""; ROWS.len()];
    let mut i = 0;
    while i < ROWS.len() {
        names[i] = ROWS[i].0;
        i += 1;
    }
    names
};

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

fn scale(a: [f32; 3], k: f32) -> [f32; 3] {
    [a[0] * k, a[1] * k, a[2] * k]
}

impl Weather {
    /// Names of all presets: CARLA's and three of fog.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The preset of a name, whatever its case.
    ///
    /// ```
    /// use caril_sim::weather::Weather;
    /// assert_eq!(Weather::preset("wetnoon").map(|w| w.name), Some("WetNoon"));
    /// assert!(Weather::preset("Snow").is_none());
    /// ```
    pub fn preset(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.0.eq_ignore_ascii_case(name)).map(Self::of_row)
    }

    /// A preset drawn by chance.
    pub fn random(rng: &mut CounterRng) -> Self {
        let k = rng.below(ROWS.len() as u64) as usize;
        Self::of_row(ROWS.get(k).unwrap_or(&ROWS[0]))
    }

    fn of_row(row: &Row) -> Self {
        let &(name, hour, clouds, fog_1pm, wetness, puddles, rain) = row;
        // (azimuth, height) of the light in degrees, then its colours under a clear sky.
        let (azimuth, height, sun, ambient, zenith, horizon, grey) = match hour {
            Hour::Noon => (
                35.0f32,
                58.0f32,
                [0.66, 0.63, 0.57],
                [0.44, 0.47, 0.52],
                [0.22, 0.42, 0.74],
                [0.70, 0.79, 0.88],
                [0.66, 0.69, 0.72],
            ),
            Hour::Sunset => (
                12.0,
                9.0,
                [0.95, 0.55, 0.26],
                [0.36, 0.34, 0.40],
                [0.24, 0.32, 0.54],
                [0.94, 0.66, 0.42],
                [0.52, 0.46, 0.46],
            ),
            Hour::Night => (
                -60.0,
                40.0,
                [0.035, 0.04, 0.06],
                [0.06, 0.07, 0.10],
                [0.012, 0.018, 0.045],
                [0.045, 0.055, 0.085],
                [0.04, 0.045, 0.055],
            ),
        };
        let cover = smooth01((clouds - 0.3) / 0.6);
        let dim = 1.0 - 0.2 * rain;
        let mut horizon = scale(mix(horizon, grey, cover), dim);
        let mut zenith = scale(mix(zenith, scale(grey, 0.85), cover), dim);
        let foggy = smooth01((fog_1pm - 0.006) / 0.012);
        zenith = mix(zenith, horizon, foggy);
        let mut sun = scale(sun, 1.0 - 0.93 * cover.max(foggy));
        let mut ambient = mix(ambient, scale(grey, 1.12), cover * 0.9);
        ambient = scale(ambient, 1.0 - 0.15 * rain);
        if name == "DustStorm" {
            horizon = [0.72, 0.58, 0.40];
            zenith = [0.62, 0.48, 0.33];
            ambient = [0.64, 0.52, 0.38];
            sun = scale(sun, 0.2);
        }
        let (a, h) = (azimuth.to_radians(), height.to_radians());
        let flat = libm::cosf(h);
        Self {
            name,
            sun_dir: [flat * libm::cosf(a), flat * libm::sinf(a), libm::sinf(h)],
            sun,
            ambient,
            zenith,
            horizon,
            clouds,
            fog_1pm,
            wetness,
            puddles,
            rain,
            night: if hour == Hour::Night { 1.0 } else { 0.0 },
            glare: if hour == Hour::Sunset { 1.0 - cover.max(foggy) } else { 0.0 },
        }
    }
}

fn smooth01(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

impl Default for Weather {
    /// ClearNoon.
    fn default() -> Self {
        Self::of_row(&ROWS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_preset_of_that_name() {
        assert!(Weather::names().len() >= 25);
        for name in Weather::names() {
            let w = Weather::preset(name).unwrap();
            assert_eq!(w.name, *name);
            let len = w.sun_dir.iter().map(|v| v * v).sum::<f32>();
            assert!((len - 1.0).abs() < 1e-5, "{name}");
        }
    }

    #[test]
    fn night_is_darker_than_noon_and_rain_is_wet() {
        let noon = Weather::preset("ClearNoon").unwrap();
        let night = Weather::preset("ClearNight").unwrap();
        let rain = Weather::preset("HardRainNoon").unwrap();
        assert!(night.ambient[1] < 0.3 * noon.ambient[1] && night.night == 1.0);
        assert!(rain.wetness > 0.9 && rain.rain > 0.9 && rain.fog_1pm > noon.fog_1pm);
    }
}
