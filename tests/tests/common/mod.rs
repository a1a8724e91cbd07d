//! What the tests of the whole house share: worlds on the shipped maps, a policy that knows the
//! expert's steer, a plant at an endpoint.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use caril_core::{
    Architecture, BIN_COUNT, CameraSpec, Fault, Frame, Lift, Policy, PolicyCard, Prediction, bin_of,
};
use caril_link::{ConnectOptions, PlantSocket, RemoteWorld, ServeOptions, ServeReport};
use caril_road::RoadMap;
use caril_sim::{Scene, SimConfig, SimWorld};

pub const SECOND_NS: u64 = 1_000_000_000;
pub const MAP: &str = "valley_road";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn load_map(name: &str) -> Arc<RoadMap> {
    let path = root().join(format!("maps/{name}.xodr"));
    Arc::new(RoadMap::load(&path).expect("shipped map"))
}

pub fn small_camera() -> CameraSpec {
    CameraSpec { width: 80, height: 80, ..CameraSpec::PAPER }
}

/// [`MAP`]'s default route with a small camera; map and scenery are built once a binary.
pub fn sim_config() -> SimConfig {
    static MAP_AND_SCENE: OnceLock<(Arc<RoadMap>, Arc<Scene>)> = OnceLock::new();
    let (map, scene) = MAP_AND_SCENE.get_or_init(|| {
        let map = load_map(MAP);
        let scene = Arc::new(Scene::build(&map, 0));
        (map, scene)
    });
    SimConfig {
        scene: Some(Arc::clone(scene)),
        camera: small_camera(),
        ..SimConfig::new(Arc::clone(map))
    }
}

pub fn card(camera: CameraSpec) -> PolicyCard {
    PolicyCard {
        // As large as it may be, so that the sharpest bend is within the classes.
        steer_scale: 1.0,
        ..PolicyCard::new("scripted", Architecture::PilotNet, &camera)
    }
}

/// A policy that drives as well as the expert, because it is told: what the tests look at is
/// everything else.
pub struct Told(PolicyCard);

impl Told {
    pub fn new(camera: CameraSpec) -> Self {
        Self(card(camera))
    }
}

/// The prediction of someone who is sure of `steer`.
pub fn sure(steer: f32) -> Result<Prediction, Fault> {
    let mut probs = [0.0; BIN_COUNT];
    if let Some(p) = bin_of(steer).and_then(|k| probs.get_mut(k)) {
        *p = 1.0;
    }
    Prediction::new(steer, probs).map_err(|_| Fault::PredictionNonFinite)
}

impl Policy for Told {
    fn card(&self) -> &PolicyCard {
        &self.0
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        sure(frame.truth.map_or(0.0, |t| t.expert_steer))
    }
    fn look_again(&mut self, frame: &Frame, _: &Lift) -> Result<Prediction, Fault> {
        self.infer(frame)
    }
}

/// An endpoint in a folder of its own, which lives as long as the first value.
pub fn ipc() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("folder");
    let endpoint = format!("ipc://{}", folder.path().join("plant").display());
    (folder, endpoint)
}

/// A world that is served in a thread of its own.
pub struct Served {
    pub endpoint: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(ServeReport, SimWorld)>,
}

impl Served {
    pub fn start(config: SimConfig, endpoint: &str, options: ServeOptions) -> Self {
        let mut socket = PlantSocket::bind(endpoint, options).expect("free endpoint");
        let endpoint = socket.endpoint().to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let mut world = SimWorld::new(config).expect("world");
        let thread = std::thread::spawn(move || (socket.serve(&mut world, &flag), world));
        Self { endpoint, stop, thread }
    }

    pub fn connect(&self) -> RemoteWorld {
        RemoteWorld::connect(&self.endpoint, ConnectOptions::default()).expect("plant is there")
    }

    /// Waits for the plant's own end.
    pub fn join(self) -> (ServeReport, SimWorld) {
        self.thread.join().expect("plant's thread")
    }

    /// Stops it.
    pub fn finish(self) -> (ServeReport, SimWorld) {
        self.stop.store(true, Ordering::SeqCst);
        self.join()
    }
}
