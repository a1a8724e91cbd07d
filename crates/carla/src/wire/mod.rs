//! The bytes of CARLA 0.9.16's client protocol: MessagePack requests and answers, and what goes
//! down a stream. The layouts differ from release to release, so they live here and nowhere else.

mod rpc;
mod skim;
mod stream;
mod value;

pub use rpc::{Request, read_request, respond};
pub use skim::{MAX_DEPTH, MAX_MESSAGE, MAX_VALUES, Refusal, Skim};
pub use stream::{
    ActorState, Dynamic, EpisodeState, ImageHead, SensorHeader, SensorType, Token, VehicleState,
    episode_state, image_head, message_of, sensor_message,
};
pub use value::{Fields, Trouble, list, nothing, said, value};

/// The release whose client is served; its version is compared as text.
pub const VERSION: &str = "0.9.16";
/// Stream of the episode's states.
pub const EPISODE_STREAM: u32 = 1;
