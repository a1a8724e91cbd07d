//! Secured links: handshakes, replies and sealed messages that may be anyone's. Input: one byte that
//! says which, then the bytes; the header is always a right one.
#![no_main]

use std::sync::LazyLock;

use caril_link::{Channel, Initiator, Keyring, SecretKey, open_init};
use libfuzzer_sys::fuzz_target;

fn ring(own: u8, peer: u8) -> Keyring {
    let key = |n| SecretKey::from_bytes([n; 32]);
    Keyring { own: key(own), peers: vec![key(peer).public()] }
}

static PLANT: LazyLock<Keyring> = LazyLock::new(|| ring(1, 2));
static CAR: LazyLock<Keyring> = LazyLock::new(|| ring(2, 1));

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = b"CARS\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    out[5] = kind;
    out[8] = u8::from(kind == 3);
    out.extend(body);
    out
}

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let mut opened = Vec::new();
    match which % 4 {
        0 => assert!(open_init(&PLANT, &message(1, body)).is_none(), "nobody can guess a key"),
        1 => {
            let (waiting, _) = Initiator::begin(&CAR).unwrap();
            assert!(waiting.finish(&message(2, body)).is_none());
        }
        2 => {
            let (mut car, mut plant) = pair();
            assert!(plant.open(&message(3, body), &mut opened).is_none());
            let mut sealed = vec![0; Channel::sealed_len(body.len())];
            car.seal(body, &mut sealed).unwrap();
            assert_eq!(plant.open(&sealed, &mut opened).is_some(), !body.is_empty());
            assert!(body.is_empty() || opened == body);
        }
        _ => {
            let (_, mut plant) = pair();
            assert!(plant.open(body, &mut opened).is_none());
            assert!(open_init(&PLANT, body).is_none());
        }
    }
});

fn pair() -> (Channel, Channel) {
    let (waiting, init) = Initiator::begin(&CAR).unwrap();
    let (plant, reply) = open_init(&PLANT, &init).unwrap();
    (waiting.finish(&reply).unwrap(), plant)
}
