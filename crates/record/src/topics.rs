//! Names of topics, schemas and metadata records: the file's vocabulary.

/// MCAP profile of every recording.
pub(crate) const PROFILE: &str = "caril";
/// The picture of a step.
pub(crate) const IMAGE: &str = "/camera/image";
/// The step.
pub(crate) const STEP: &str = "/step";
/// A step of the controller for which no frame had come.
pub(crate) const NO_FRAME: &str = "/no_frame";
/// What the controller remembers before the step that follows.
pub(crate) const MEMORY: &str = "/memory";
/// Where the vehicle is, for 3D views.
pub(crate) const POSE: &str = "/ego/pose";
/// The header.
pub(crate) const META: &str = "/meta";

/// MCAP metadata record with the header's short facts.
pub(crate) const FACTS: &str = "caril";
/// In it: the whole header, as on `/meta`.
pub(crate) const FACTS_HEADER: &str = "header";
/// MCAP metadata record written last: counts and the drive's outcome.
pub(crate) const END: &str = "caril.end";

/// MCAP metadata record before the first step of an episode, where a recording has several.
pub(crate) const EPISODE: &str = "caril.episode";

/// JSON schema of `/meta`.
pub(crate) const META_SCHEMA: &str = r#"{"title":"caril.RecordingHeader","type":"object","properties":{"kind":{"type":"string"},"version":{"type":"string"},"command_line":{"type":"array","items":{"type":"string"}},"created_unix_s":{"type":"integer"},"seed":{"type":"integer"},"config":{"type":"object","properties":{}},"camera":{"type":"object","properties":{}},"plant":{"type":"object","properties":{}},"policy":{"type":"string"},"card":{"type":"object","properties":{}},"extra":{"type":"object","properties":{}}}}"#;

/// JSON schema of `/memory`.
pub(crate) const MEMORY_SCHEMA: &str = r#"{"title":"caril.ControllerMemory","description":"What the controller remembers before the step that follows, for a replay from here","type":"object","properties":{"resumes":{"type":"boolean","description":"whether steps before this were left out of the recording"},"layout":{"type":"integer","description":"which words mean what"},"newest_frame_id":{"type":"integer","description":"newest frame seen so far"},"plant_ns":{"type":["integer","null"],"description":"plant time of the newest frame"},"words":{"type":"array","items":{"type":"integer"}}}}"#;

/// A mode as records name it.
pub(crate) const fn mode_name(mode: caril_core::Mode) -> &'static str {
    use caril_core::Mode;
    match mode {
        Mode::Nominal => "nominal",
        Mode::Degraded => "degraded",
        Mode::SafeStop => "safe_stop",
    }
}
