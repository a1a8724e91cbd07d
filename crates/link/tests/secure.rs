//! Secured links: whoever lacks the key gets nothing in and nothing out, and costs little.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use caril_core::{Frame, Observed, World};
use caril_link::codec::{self, Kind};
use caril_link::{
    Channel, ConnectOptions, Initiator, KeyError, Keyring, LinkError, PublicKey, RemoteWorld,
    SecretKey, ServeOptions, open_init, read_peers, stays_here,
};
use common::{SECOND_NS, Scripted, Served, camera, gas, start};

const TCP: &str = "tcp://127.0.0.1:*";

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32])
}

fn ring(own: u8, peers: &[u8]) -> Keyring {
    Keyring { own: secret(own), peers: peers.iter().map(|n| secret(*n).public()).collect() }
}

/// Plant 1, which allows 2 and 3.
fn plant(frames: u64) -> Served {
    let keys = Some(ring(1, &[2, 3]));
    start(Scripted::new(frames, camera(64)), TCP, ServeOptions { keys, ..Default::default() })
}

fn connect(endpoint: &str, keys: Option<Keyring>) -> Result<RemoteWorld, LinkError> {
    let timeout = Duration::from_millis(1500);
    RemoteWorld::connect(endpoint, ConnectOptions { keys, timeout, ..Default::default() })
}

fn drive(world: &mut RemoteWorld, frames: u64) {
    let mut frame = Frame::for_camera(&world.info().camera);
    for _ in 0..frames {
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        assert!(frame.image.data.iter().all(|b| *b == frame.id.0 as u8), "whole and in order");
        world.actuate(&gas(&frame)).unwrap();
    }
}

fn dealer(endpoint: &str) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(300).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

/// Both ends of a channel.
fn pair() -> (Channel, Channel) {
    let (initiator, init) = Initiator::begin(&ring(2, &[1])).unwrap();
    let (plant, reply) = open_init(&ring(1, &[2, 3]), &init).unwrap();
    (initiator.finish(&reply).unwrap(), plant)
}

#[test]
fn an_allowed_controller_drives_to_the_end_as_without_keys() {
    let plant = plant(50);
    let mut world = connect(&plant.endpoint, Some(ring(3, &[1]))).unwrap();
    assert_eq!(world.peer(), Some(secret(1).public()));
    drive(&mut world, 50);
    let mut frame = Frame::for_camera(&world.info().camera);
    let end = world.observe(&mut frame, 5 * SECOND_NS).observed;
    assert!(matches!(end, Observed::Ended(_)), "{end:?}");
    let (report, _) = plant.join();
    assert_eq!((report.stats.commands, report.stats.malformed, report.stats.strangers), (50, 0, 0));
}

#[test]
fn a_wrong_key_none_and_a_foreign_plant_are_refused() {
    let plant = plant(u64::MAX);
    for keys in [ring(4, &[1]), ring(2, &[4])] {
        let own = keys.own.public().to_string();
        match connect(&plant.endpoint, Some(keys)) {
            Err(LinkError::Unknown { own: said, .. }) => assert_eq!(said, own),
            other => panic!("{:?}", other.err()),
        }
    }
    let silent = connect(&plant.endpoint, None).err();
    assert!(matches!(silent, Some(LinkError::Silent { .. })), "{silent:?}");
    // A controller with keys does not speak with a plant that has none.
    let open = start(Scripted::new(1, camera(8)), TCP, ServeOptions::default());
    let unknown = connect(&open.endpoint, Some(ring(2, &[1]))).err();
    assert!(matches!(unknown, Some(LinkError::Unknown { .. })), "{unknown:?}");
    open.finish();
    // And whom the plant allows is let in still.
    drive(&mut connect(&plant.endpoint, Some(ring(2, &[1]))).unwrap(), 3);
    let (report, _) = plant.finish();
    assert!(report.stats.strangers >= 3, "{report:?}");
    assert_eq!(report.stats.sessions, 1);
}

#[test]
fn a_replayed_changed_or_foreign_message_is_not_opened() {
    let (mut here, mut there) = pair();
    let seal = |channel: &mut Channel, plain: &[u8]| {
        let mut out = vec![0; Channel::sealed_len(plain.len())];
        channel.seal(plain, &mut out).unwrap();
        out
    };
    let mut opened = Vec::new();
    let (first, second) = (seal(&mut here, b"first"), seal(&mut here, b"second"));
    assert_eq!(there.open(&second, &mut opened), Some(()), "a gap is no harm");
    assert_eq!(opened, b"second");
    assert_eq!(there.open(&second, &mut opened), None, "replayed");
    assert_eq!(there.open(&first, &mut opened), None, "older");
    assert_eq!(here.open(&second, &mut opened), None, "mirrored");
    assert_eq!(pair().1.open(&seal(&mut here, b"x"), &mut opened), None, "of another channel");
    let third = seal(&mut here, b"third");
    for k in 0..third.len() {
        let mut bad = third.clone();
        bad[k] ^= 1;
        assert_eq!(there.open(&bad, &mut opened), None, "byte {k}");
        assert_eq!(there.open(&third[..k], &mut opened), None, "cut at {k}");
    }
    assert_eq!(there.open(&third, &mut opened), Some(()), "none of that moved the counter");
    // Longer than one Noise message, and not of equal chunks.
    for n in [0, 1, 65518, 65519, 65520, 65519 * 3, 800_000] {
        let plain: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
        let sealed = seal(&mut here, &plain);
        assert_eq!(there.open(&sealed, &mut opened).is_some(), n > 0);
        assert!(n == 0 || opened == plain);
        assert!(n < 65519 || there.open(&sealed[..sealed.len() - 65535], &mut opened).is_none());
    }
}

#[test]
fn a_handshake_said_again_does_not_take_the_place_of_who_drives() {
    let plant = plant(u64::MAX);
    let mut world = connect(&plant.endpoint, Some(ring(2, &[1]))).unwrap();
    drive(&mut world, 3);
    // Heard on the network and said again, with a Hello made up or heard.
    let (_, init) = Initiator::begin(&ring(2, &[1])).unwrap();
    for _ in 0..20 {
        let replay = dealer(&plant.endpoint);
        replay.send(&init[..], 0).unwrap();
        let _ = replay.recv_bytes(0);
        let hello = codec::encode_plain(Kind::Hello, 0);
        replay.send(&hello[..], 0).unwrap();
        let mut data = vec![0x11; 200];
        data[..16].copy_from_slice(b"CARS\x01\x03\0\0\x01\0\0\0\0\0\0\0");
        replay.send(data, 0).unwrap();
        drive(&mut world, 1);
    }
    let (report, _) = plant.finish();
    // At most the frame that waited when the plant was stopped.
    assert!(report.stats.sessions == 1 && report.stats.braked <= 1, "{report:?}");
}

#[test]
fn scans_garbage_and_idle_connections_get_no_word_and_stop_nobody() {
    let plant = plant(u64::MAX);
    let mut world = connect(&plant.endpoint, Some(ring(2, &[1]))).unwrap();
    let address = plant.endpoint.strip_prefix("tcp://").unwrap().to_owned();
    let mut idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    idle.iter_mut().step_by(2).for_each(|s| drop(s.write_all(&[0x47; 4000])));
    let strangers: Vec<_> = (0..4).map(|_| dealer(&plant.endpoint)).collect();
    let mut rng = caril_core::CounterRng::new(5, 5);
    for round in 0..50_u64 {
        for socket in &strangers {
            let n = [16, 128, 1000, 40_000][rng.below(4) as usize];
            let mut bytes: Vec<u8> = (0..n).map(|_| rng.next_u64() as u8).collect();
            bytes[..6].copy_from_slice(b"CARS\x01\x01");
            bytes[6..16].fill(0);
            let _ = socket.send(bytes, zmq::DONTWAIT);
        }
        drive(&mut world, 2);
        let _ = round;
    }
    for socket in &strangers {
        assert!(socket.recv_bytes(0).is_err(), "not a word");
    }
    let mut word = [0; 1];
    idle[1].set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let _ = idle[1].read(&mut word);
    let (report, _) = plant.finish();
    assert!(report.stats.commands == 100 && report.stats.braked <= 1, "{report:?}");
    assert!(report.stats.strangers > 100, "{report:?}");
}

#[test]
fn key_files_are_their_owners_alone_and_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("car.key");
    let key = SecretKey::generate().unwrap();
    assert_ne!(key.public(), SecretKey::generate().unwrap().public());
    let public = key.write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
    assert_eq!(read_peers(&public).unwrap(), [key.public()]);
    assert!(matches!(key.write(&path), Err(KeyError::Io { .. })), "never overwritten");
    for mode in [0o640, 0o604, 0o660, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = SecretKey::read(&path).unwrap_err();
        assert!(matches!(refused, KeyError::Permissions { got, .. } if got == mode), "{refused}");
        assert!(!refused.to_string().contains(&format!("{:02x}", key_byte(&path))));
    }
    let list = dir.path().join("peers");
    let line = std::fs::read_to_string(&public).unwrap();
    std::fs::write(&list, format!("# cars\n\n{line}{line}")).unwrap();
    assert_eq!(read_peers(&list).unwrap().len(), 2);
    for bad in ["", "caril-public-1\n", "caril-secret-1 00\n", &line[..40], "caril-public-1 zz"] {
        std::fs::write(&list, bad).unwrap();
        assert!(matches!(read_peers(&list), Err(KeyError::Syntax { .. })), "{bad:?}");
    }
    assert!(matches!(ring(1, &[2, 3]).plant(), Err(KeyError::NotOne { got: 2 })));
    let text = format!("{:?} {}", secret(7), secret(7).public());
    assert!(!text.contains(&"07".repeat(32)), "a secret is in no message: {text}");
}

/// The first byte of the secret, as text would show it with what follows.
fn key_byte(path: &std::path::Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    u64::from_str_radix(&text[15..31], 16).unwrap()
}

#[test]
fn public_keys_are_those_of_the_curve() {
    // RFC 7748, 6.1: Alice's.
    let alice: [u8; 32] = [
        0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66,
        0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9,
        0x2c, 0x2a,
    ];
    let public: PublicKey = SecretKey::from_bytes(alice).public();
    let expected = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    assert_eq!(public.to_string(), expected);
}

#[test]
fn what_stays_on_the_machine_needs_no_key() {
    for here in ["tcp://127.0.0.1:5555", "tcp://127.9.9.9:1", "tcp://localhost:1", "tcp://[::1]:1"]
    {
        assert!(stays_here(here).unwrap(), "{here}");
    }
    for here in ["ipc:///tmp/x", "inproc://x"] {
        assert!(stays_here(here).unwrap(), "{here}");
    }
    for out in ["tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:1", "tcp://board:1", "tcp://[::]:1"]
    {
        assert!(!stays_here(out).unwrap(), "{out}");
    }
    assert!(stays_here("udp://x").is_err());
}
