//! What the page is told once: what does not change during a drive.

use caril_core::PlantInfo;
use serde::Serialize;

/// A line in the chart of confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// What happens there.
    pub name: &'static str,
    /// Confidence, [0, 1].
    pub value: f32,
}

/// What does not change during a drive.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct About {
    /// `drive`, `plant` or `replay`.
    pub kind: &'static str,
    /// Map that is driven.
    pub map: String,
    /// Weather's name.
    pub weather: String,
    /// Name of the policy; empty where none is known.
    pub policy: String,
    /// What runs the network; empty where there is none.
    pub backend: String,
    /// Mode of the correction; empty where none is known.
    pub correction: String,
    /// Frames per second of plant time.
    pub rate_hz: f32,
    /// Steps that took longer than this missed their deadline, ms.
    pub deadline_ms: u32,
    /// The class logits are divided by this before they decide; 1 if they are taken as they are.
    pub temperature: f32,
    /// Where confidence decides something.
    pub thresholds: Vec<Threshold>,
    /// The route as x, y pairs in metres, CARLA axes; empty if there is none.
    pub route: Vec<(f32, f32)>,
    /// The map from above as `caril map draw` draws it, one unit a metre; empty if it is not known.
    #[serde(skip)]
    pub map_svg: String,
}

impl About {
    /// What a plant knows of a drive: nothing of a policy. `kind` is `drive`, `plant` or `replay`.
    pub fn plant(kind: &'static str, plant: &PlantInfo, map_svg: String) -> Self {
        Self {
            kind,
            map: plant.map.clone(),
            weather: plant.weather.clone(),
            rate_hz: plant.rate_hz,
            temperature: 1.0,
            route: plant.route.clone(),
            map_svg,
            ..Self::default()
        }
    }
}
