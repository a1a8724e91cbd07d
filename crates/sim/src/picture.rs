//! Seam to the camera: a black picture until the camera's branch is merged.

/// The static world as cameras see it.
#[derive(Debug, Default)]
pub struct Scene;

/// Light and air.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// Name of the preset.
    pub name: &'static str,
    /// How wet the road is, [0, 1].
    pub wetness: f32,
}

impl Default for Weather {
    fn default() -> Self {
        Self { name: "ClearNoon", wetness: 0.0 }
    }
}
