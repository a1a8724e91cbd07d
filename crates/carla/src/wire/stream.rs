//! What goes down a stream: sensor header, episode state, images. The client reads them without
//! looking at their length and dies of a wrong one, so every length here is exact.

/// What a stream carries, by the number that 0.9.16 gives to its kind of sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum SensorType {
    /// Contacts.
    Collision = 0,
    /// Distances as a picture.
    Depth = 1,
    /// Latitude, longitude, altitude.
    Gnss = 4,
    /// Acceleration, angular velocity, compass.
    Imu = 5,
    /// Computed by the client itself; never sent.
    LaneInvasion = 6,
    /// Camera pictures.
    Rgb = 13,
    /// Classes as a picture.
    Semantic = 14,
    /// Episode states.
    World = 17,
}

/// Where a stream is to be found. The client asks for one per sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The stream.
    pub stream: u32,
    /// The streaming port.
    pub port: u16,
}

impl Token {
    /// Its 24 bytes. The address is left open: the client takes the host that it was given.
    pub fn bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        out.extend(self.stream.to_le_bytes());
        out.extend(self.port.to_le_bytes());
        out.push(1); // tcp
        out.resize(24, 0);
        out
    }
}

/// The 48 bytes before each body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SensorHeader {
    /// Kind of sensor.
    pub kind: SensorType,
    /// Frame.
    pub frame: u64,
    /// Seconds since the episode began.
    pub elapsed_s: f64,
    /// x, y, z in metres, pitch, yaw, roll in degrees.
    pub transform: [f32; 6],
}

fn floats(out: &mut Vec<u8>, values: &[f32]) {
    for v in values {
        out.extend(v.to_le_bytes());
    }
}

fn header(out: &mut Vec<u8>, h: &SensorHeader) {
    out.extend((h.kind as u64).to_le_bytes());
    out.extend(h.frame.to_le_bytes());
    out.extend(h.elapsed_s.to_le_bytes());
    floats(out, &h.transform);
}

/// A message ready to be sent: its length, the header, the body.
pub fn sensor_message(h: &SensorHeader, body: &[u8]) -> Vec<u8> {
    let mut out = begin(h, body.len());
    out.extend(body);
    out
}

/// The begin of a message whose body of `body_len` bytes is still to be appended.
fn begin(h: &SensorHeader, body_len: usize) -> Vec<u8> {
    let length = 48 + body_len;
    let mut out = Vec::with_capacity(4 + length);
    out.extend((length as u32).to_le_bytes());
    header(&mut out, h);
    out
}

/// Size and field of view of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageHead {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Horizontal field of view, degrees.
    pub fov_deg: f32,
}

/// The begin of a picture's message; its `width · height · 4` bytes are to be appended.
pub fn image_head(h: &SensorHeader, image: ImageHead) -> Vec<u8> {
    let mut out = begin(h, 12 + image.width as usize * image.height as usize * 4);
    out.extend(image.width.to_le_bytes());
    out.extend(image.height.to_le_bytes());
    out.extend(image.fov_deg.to_le_bytes());
    out
}

/// A message of bytes that are already a header and a body (for tests of clients).
pub fn message_of(payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_le_bytes().to_vec();
    out.extend(payload);
    out
}

/// A vehicle's part of its state.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VehicleState {
    /// [0, 1].
    pub throttle: f32,
    /// [−1, 1].
    pub steer: f32,
    /// [0, 1].
    pub brake: f32,
    /// Hand brake.
    pub hand_brake: bool,
    /// Reverse gear.
    pub reverse: bool,
    /// Manual gear.
    pub manual_gear_shift: bool,
    /// Gear.
    pub gear: i32,
    /// km/h.
    pub speed_limit_kmh: f32,
}

/// What depends on the kind of actor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dynamic {
    /// Nothing to say.
    Plain,
    /// A vehicle.
    Vehicle(VehicleState),
}

/// One actor in an episode state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActorState {
    /// Actor.
    pub id: u32,
    /// x, y, z in metres, pitch, yaw, roll in degrees.
    pub transform: [f32; 6],
    /// m/s.
    pub velocity: [f32; 3],
    /// Degrees/s.
    pub angular_velocity: [f32; 3],
    /// m/s².
    pub acceleration: [f32; 3],
    /// The rest.
    pub dynamic: Dynamic,
}

/// One episode state.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeState {
    /// Frame.
    pub frame: u64,
    /// Seconds since the episode began.
    pub elapsed_s: f64,
    /// The episode.
    pub episode: u64,
    /// The server's clock, seconds.
    pub platform_s: f64,
    /// Seconds since the frame before.
    pub delta_s: f32,
    /// Whether the map is new.
    pub map_change: bool,
    /// All actors.
    pub actors: Vec<ActorState>,
}

const ACTOR_BYTES: usize = 119;

/// The message of an episode state.
pub fn episode_state(s: &EpisodeState) -> Vec<u8> {
    let head = SensorHeader {
        kind: SensorType::World,
        frame: s.frame,
        elapsed_s: s.elapsed_s,
        transform: [0.0; 6],
    };
    let mut out = begin(&head, 36 + ACTOR_BYTES * s.actors.len());
    out.extend(s.episode.to_le_bytes());
    out.extend(s.platform_s.to_le_bytes());
    out.extend(s.delta_s.to_le_bytes());
    out.extend([0; 12]); // the map's origin
    out.extend(i32::from(s.map_change).to_le_bytes());
    for a in &s.actors {
        let end = out.len() + ACTOR_BYTES;
        out.extend(a.id.to_le_bytes());
        out.push(1); // active
        floats(&mut out, &a.transform);
        floats(&mut out, &a.velocity);
        floats(&mut out, &a.angular_velocity);
        floats(&mut out, &a.acceleration);
        if let Dynamic::Vehicle(v) = &a.dynamic {
            floats(&mut out, &[v.throttle, v.steer, v.brake]);
            out.extend([v.hand_brake, v.reverse, v.manual_gear_shift].map(u8::from));
            out.extend(v.gear.to_le_bytes());
            out.extend(v.speed_limit_kmh.to_le_bytes());
            // No traffic lights: green, at none.
            out.push(2);
        }
        out.resize(end, 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(actors: usize) -> EpisodeState {
        let vehicle = VehicleState { throttle: 0.5, gear: 1, ..VehicleState::default() };
        let actor = ActorState {
            id: 25,
            transform: [20.0, 1.75, 0.3, 0.0, 90.0, 0.0],
            velocity: [0.0; 3],
            angular_velocity: [0.0; 3],
            acceleration: [0.0; 3],
            dynamic: Dynamic::Vehicle(vehicle),
        };
        EpisodeState {
            frame: 101,
            elapsed_s: 0.05,
            episode: 7,
            platform_s: 1.0,
            delta_s: 0.05,
            map_change: true,
            actors: vec![actor; actors],
        }
    }

    #[test]
    fn an_episode_state_has_exactly_the_length_that_the_client_needs() {
        for n in [0, 1, 3] {
            let bytes = episode_state(&state(n));
            assert_eq!(bytes.len(), 4 + 84 + 119 * n);
            assert_eq!(bytes[..4], (84 + 119 * n as u32).to_le_bytes());
        }
        assert_eq!(ACTOR_BYTES, 4 + 1 + 24 + 36 + 54);
    }

    #[test]
    fn golden_bytes_of_a_captured_state() {
        let bytes = episode_state(&state(3));
        assert_eq!(bytes[..4], [0xb9, 0x01, 0, 0]);
        assert_eq!(bytes[4..12], [0x11, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[12..20], [0x65, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[20..28], [0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xa9, 0x3f]);
        assert_eq!(bytes[52..60], [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[68..72], [0xcd, 0xcc, 0x4c, 0x3d]);
        assert_eq!(bytes[84..88], [1, 0, 0, 0]);
        let actor = &bytes[88..];
        assert_eq!(actor[..5], [0x19, 0, 0, 0, 1]);
        assert_eq!(actor[5..17], [0, 0, 0xa0, 0x41, 0, 0, 0xe0, 0x3f, 0x9a, 0x99, 0x99, 0x3e]);
    }

    #[test]
    fn golden_bytes_of_token_and_image() {
        let token = Token { stream: 2, port: 12_001 }.bytes();
        assert_eq!(token.len(), 24);
        assert_eq!(token[..8], [2, 0, 0, 0, 0xe1, 0x2e, 1, 0]);
        let head =
            SensorHeader { kind: SensorType::Rgb, frame: 9, elapsed_s: 0.4, transform: [0.0; 6] };
        let image = image_head(&head, ImageHead { width: 2, height: 1, fov_deg: 90.0 });
        assert_eq!(image[..4], (48u32 + 12 + 8).to_le_bytes());
        assert_eq!(image[4], 13);
        assert_eq!(image[52..], [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xb4, 0x42]);
    }
}
