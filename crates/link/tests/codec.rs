//! The codec: round trips, hostile bytes, golden messages.

use std::path::{Path, PathBuf};

use caril_core::{
    CameraSpec, Command, EgoState, EndReason, Frame, FrameId, Image, Mode, NavCommand, Pacing,
    PixelOrder, PlantInfo, Pose, Truth,
};
use caril_link::codec::{
    CodecError, HANDSHAKE_MAX, HEADER_LEN, Hello, Kind, Message, Refuse, RefuseCode, WIRE_VERSION,
    Welcome, decode, encode_command, encode_end, encode_frame, encode_plain, frame_len, version_of,
};
use proptest::prelude::*;
use serde_json::json;

fn frame_bytes(session: u32, frame: &Frame) -> Vec<u8> {
    let mut out = vec![0; frame_len(&frame.image)];
    encode_frame(session, frame, &mut out).unwrap();
    out
}

fn golden_frame() -> Frame {
    Frame {
        id: FrameId(0x0102_0304_0506_0708),
        sim_time_ns: 50_000_000,
        received_ns: 0,
        image: Image {
            width: 3,
            height: 2,
            order: PixelOrder::Bgra,
            data: (0..24).map(|i| i * 10).collect(),
        },
        ego: EgoState {
            speed_mps: 8.25,
            accel_mps2: -0.5,
            yaw_rate_radps: 0.125,
            pose: Pose {
                x_m: 100.5,
                y_m: -20.25,
                z_m: 0.125,
                yaw_rad: 1.5,
                pitch_rad: -0.25,
                roll_rad: 0.0625,
            },
        },
        nav: NavCommand::Right,
        advisory_speed_mps: 13.5,
        truth: Some(golden_truth()),
    }
}

fn golden_truth() -> Truth {
    Truth {
        expert_steer: -0.25,
        expert_speed_mps: 8.0,
        lane_deviation_m: 0.5,
        heading_error_rad: -0.125,
        curvature_1pm: 0.0625,
        route_length_m: 420.0,
        route_completion: 37.5,
        off_road_m: 1.5,
        collisions: 2,
        lane_invasions: 3,
    }
}

/// Through text: a number must be what a reader of the text sees, 2.4 and not its f32.
fn json_text(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// Every kind of message with the fields that it must decode to.
fn goldens() -> Vec<(&'static str, Vec<u8>, serde_json::Value)> {
    let frame = golden_frame();
    let truth = serde_json::to_value(golden_truth()).unwrap();
    let rgb = Frame {
        image: Image { order: PixelOrder::Rgb, width: 1, height: 2, data: vec![1, 2, 3, 4, 5, 6] },
        truth: None,
        advisory_speed_mps: f32::NAN,
        nav: NavCommand::Follow,
        ..frame.clone()
    };
    let frame_json = |f: &Frame| {
        json!({
            "kind": "frame", "session": 7, "id": f.id, "sim_time_ns": f.sim_time_ns,
            "ego": f.ego, "nav": f.nav, "truth": f.truth,
            // JSON has no NaN: null.
            "advisory_speed_mps": f.advisory_speed_mps.is_finite().then_some(f.advisory_speed_mps),
            "width": f.image.width, "height": f.image.height, "order": f.image.order,
            "pixels": f.image.data,
        })
    };
    let command = Command {
        frame_id: frame.id,
        steer: -0.375,
        throttle: 0.5,
        brake: 0.0,
        mode: Mode::Degraded,
    };
    let hello = Hello {
        program_version: "0.1.0".to_owned(),
        controller: "golden".to_owned(),
        camera: Some(CameraSpec::PAPER),
    };
    let welcome = Welcome {
        program_version: "0.1.0".to_owned(),
        session: 7,
        plant: PlantInfo {
            name: "golden plant".to_owned(),
            map: "Town02".to_owned(),
            weather: "ClearNoon".to_owned(),
            camera: CameraSpec::PAPER,
            rate_hz: 20.0,
            pacing: Pacing::Lockstep,
            route: vec![(0.0, 0.0), (1.5, -2.5)],
        },
    };
    let refuse = Refuse {
        code: RefuseCode::Busy,
        reason: "another controller drives".to_owned(),
        wire_version: WIRE_VERSION,
    };
    let body = |kind: &str, session: u32, body: serde_json::Value| json!({"kind": kind, "session": session, "body": body});
    let plain = |kind: &str| json!({"kind": kind, "session": 7});
    vec![
        (
            "hello",
            hello.to_message().unwrap(),
            body("hello", 0, json_text(&serde_json::to_string(&hello).unwrap())),
        ),
        (
            "welcome",
            welcome.to_message().unwrap(),
            body("welcome", 7, json_text(&serde_json::to_string(&welcome).unwrap())),
        ),
        (
            "refuse",
            refuse.to_message().unwrap(),
            body("refuse", 0, json_text(&serde_json::to_string(&refuse).unwrap())),
        ),
        ("start", encode_plain(Kind::Start, 7).to_vec(), plain("start")),
        ("frame", frame_bytes(7, &frame), frame_json(&frame)),
        ("frame_rgb_no_truth", frame_bytes(7, &rgb), frame_json(&rgb)),
        (
            "command",
            encode_command(7, &command).to_vec(),
            json!({
                "kind": "command", "session": 7, "frame_id": command.frame_id,
                "steer": command.steer, "throttle": command.throttle, "brake": command.brake,
                "mode": command.mode,
            }),
        ),
        (
            "end",
            encode_end(7, EndReason::GoalReached, Some(&golden_truth())).to_vec(),
            json!({"kind": "end", "session": 7, "reason": "goal_reached", "truth": truth}),
        ),
        (
            "end_no_truth",
            encode_end(7, EndReason::Stopped, None).to_vec(),
            json!({"kind": "end", "session": 7, "reason": "stopped", "truth": null}),
        ),
        ("bye", encode_plain(Kind::Bye, 7).to_vec(), plain("bye")),
        ("ping", encode_plain(Kind::Ping, 7).to_vec(), plain("ping")),
    ]
}

/// What a message says, as its golden description.
fn describe(bytes: &[u8]) -> serde_json::Value {
    let (header, message) = decode(bytes).unwrap();
    let session = header.session;
    let body = |kind: &str, body: &[u8]| {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        json!({"kind": kind, "session": session, "body": body})
    };
    match message {
        Message::Hello(b) => body("hello", b),
        Message::Welcome(b) => body("welcome", b),
        Message::Refuse(b) => body("refuse", b),
        Message::Start => json!({"kind": "start", "session": session}),
        Message::Bye => json!({"kind": "bye", "session": session}),
        Message::Ping => json!({"kind": "ping", "session": session}),
        Message::Frame(f) => json!({
            "kind": "frame", "session": session, "id": f.id, "sim_time_ns": f.sim_time_ns,
            "ego": f.ego, "nav": f.nav, "truth": f.truth,
            "advisory_speed_mps": f.advisory_speed_mps.is_finite().then_some(f.advisory_speed_mps),
            "width": f.width, "height": f.height, "order": f.order, "pixels": f.pixels,
        }),
        Message::Command(c) => json!({
            "kind": "command", "session": session, "frame_id": c.frame_id, "steer": c.steer,
            "throttle": c.throttle, "brake": c.brake, "mode": c.mode,
        }),
        Message::End(reason, truth) => {
            json!({"kind": "end", "session": session, "reason": reason, "truth": truth})
        }
    }
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/wire")
}

/// `UPDATE_GOLDEN=1` writes the files; a difference without it means that old peers break.
#[test]
fn golden_messages_are_unchanged() {
    let dir = golden_dir();
    for (name, bytes, description) in goldens() {
        let (bin, json) = (dir.join(format!("{name}.bin")), dir.join(format!("{name}.json")));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&bin, &bytes).unwrap();
            let text = serde_json::to_string_pretty(&description).unwrap() + "\n";
            std::fs::write(&json, text).unwrap();
        }
        let written = std::fs::read(&bin).unwrap();
        assert_eq!(written, bytes, "{name}: the layout changed without a new version");
        let text = std::fs::read_to_string(&json).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(describe(&written), expected, "{name}");
    }
}

fn truths() -> impl Strategy<Value = Option<Truth>> {
    proptest::option::of((proptest::array::uniform8(-1e6f32..1e6), any::<(u32, u32)>()).prop_map(
        |(f, (collisions, lane_invasions))| Truth {
            expert_steer: f[0],
            expert_speed_mps: f[1],
            lane_deviation_m: f[2],
            heading_error_rad: f[3],
            curvature_1pm: f[4],
            route_length_m: f[5],
            route_completion: f[6],
            off_road_m: f[7],
            collisions,
            lane_invasions,
        },
    ))
}

fn frames() -> impl Strategy<Value = Frame> {
    let image = (1u32..9, 1u32..9, any::<bool>(), any::<u8>()).prop_map(|(w, h, bgra, fill)| {
        let order = if bgra { PixelOrder::Bgra } else { PixelOrder::Rgb };
        let n = (w * h) as usize * order.bytes_per_pixel();
        let data = (0..n).map(|i| fill.wrapping_add(i as u8)).collect();
        Image { width: w, height: h, order, data }
    });
    let ego = (proptest::array::uniform6(-1e9f64..1e9), proptest::array::uniform4(-1e3f32..1e3));
    (any::<(u64, u64)>(), image, ego, 0..NavCommand::COUNT, truths()).prop_map(
        |((id, time), image, (p, e), nav, truth)| Frame {
            id: FrameId(id),
            sim_time_ns: time,
            received_ns: 0,
            image,
            ego: EgoState {
                speed_mps: e[0],
                accel_mps2: e[1],
                yaw_rate_radps: e[2],
                pose: Pose {
                    x_m: p[0],
                    y_m: p[1],
                    z_m: p[2],
                    yaw_rad: p[3],
                    pitch_rad: p[4],
                    roll_rad: p[5],
                },
            },
            nav: NavCommand::ALL[nav],
            advisory_speed_mps: e[3],
            truth,
        },
    )
}

/// Decodes and, where it is a frame, copies: neither may panic, whatever the bytes are.
fn digest(bytes: &[u8]) {
    let _ = version_of(bytes);
    if let Ok((_, message)) = decode(bytes) {
        match message {
            Message::Hello(b) => drop(Hello::from_body(b)),
            Message::Welcome(b) => drop(Welcome::from_body(b)),
            Message::Refuse(b) => drop(Refuse::from_body(b)),
            Message::Frame(view) => {
                let mut frame = golden_frame();
                let before = frame.image.data.len();
                let _ = view.copy_into(&mut frame);
                assert_eq!(frame.image.data.len(), before, "memory never grows");
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn a_frame_survives(frame in frames(), session: u32) {
        let bytes = frame_bytes(session, &frame);
        let (header, message) = decode(&bytes).unwrap();
        let Message::Frame(view) = message else { unreachable!("{message:?}") };
        prop_assert_eq!(header.session, session);
        let mut copy = frame.clone();
        copy.image.data.fill(0);
        copy.id = FrameId(0);
        copy.ego = EgoState::default();
        copy.truth = None;
        view.copy_into(&mut copy).unwrap();
        prop_assert!(copy == frame);
    }

    #[test]
    fn a_command_survives_bit_for_bit(id: u64, bits: [u32; 3], mode in 0u8..3, session: u32) {
        // Any bits: what is NaN here must arrive as NaN, for the plant to judge.
        let [steer, throttle, brake] = bits.map(f32::from_bits);
        let mode = Mode::from_code(mode).unwrap();
        let sent = Command { frame_id: FrameId(id), steer, throttle, brake, mode };
        let bytes = encode_command(session, &sent);
        let (header, Message::Command(got)) = decode(&bytes).unwrap() else { unreachable!() };
        prop_assert_eq!(header.session, session);
        prop_assert_eq!(encode_command(session, &got), bytes);
    }

    #[test]
    fn an_end_survives(code in 1u8..8, truth in truths()) {
        let reason = EndReason::from_code(code).unwrap();
        let bytes = encode_end(3, reason, truth.as_ref());
        prop_assert_eq!(decode(&bytes).unwrap().1, Message::End(reason, truth));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        digest(&bytes);
        // The same behind a header that is right.
        for kind in 0..=10 {
            let mut framed = b"CARL\x01\x00".to_vec();
            framed.extend([kind, 0, 7, 0, 0, 0]);
            framed.extend((bytes.len() as u32).to_le_bytes());
            framed.extend(&bytes);
            digest(&framed);
        }
    }

    #[test]
    fn mutated_messages_never_panic(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let goldens = goldens();
        let mut bytes = which.get(&goldens).1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        digest(&bytes);
    }
}

#[test]
fn every_cut_of_every_message_is_refused() {
    for (name, bytes, _) in goldens() {
        for n in 0..bytes.len() {
            assert!(decode(&bytes[..n]).is_err(), "{name} cut at {n}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(decode(&longer).is_err(), "{name} with a byte too many");
    }
}

#[test]
fn fields_are_checked() {
    let with = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        decode(&bytes).map(|_| ()).unwrap_err()
    };
    let field = |field| CodecError::Field { field };
    let frame = frame_bytes(7, &golden_frame());
    assert_eq!(with(&frame, 0, b'X'), CodecError::NotOurs);
    assert_eq!(with(&frame, 4, 2), CodecError::Version { got: 2 });
    assert_eq!(with(&frame, 6, 0), field("kind"));
    assert_eq!(with(&frame, 7, 2), field("flags"));
    assert_eq!(with(&frame, 96, 6), field("nav"));
    assert_eq!(with(&frame, 97, 2), field("order"));
    assert_eq!(with(&frame, 98, 1), field("reserved"));
    assert!(matches!(with(&frame, 100, 4), CodecError::Length { .. }), "width");
    assert!(matches!(with(&frame, 103, 255), CodecError::TooLong { .. }), "width beyond the cap");
    let command = encode_command(7, &Command::default());
    assert_eq!(with(&command, 7, 1), field("flags"), "a command has no truth");
    assert_eq!(with(&command, 36, 3), field("mode"));
    assert_eq!(with(&encode_end(7, EndReason::Stopped, None), 16, 0), field("reason"));
}

#[test]
fn nan_in_ego_gets_through_to_the_gate() {
    let mut frame = golden_frame();
    frame.ego.speed_mps = f32::NAN;
    let bytes = frame_bytes(7, &frame);
    let (_, Message::Frame(view)) = decode(&bytes).unwrap() else { unreachable!() };
    assert!(view.ego.speed_mps.is_nan());
}

#[test]
fn another_image_size_is_an_error_and_changes_nothing() {
    let bytes = frame_bytes(7, &golden_frame());
    let (_, Message::Frame(view)) = decode(&bytes).unwrap() else { unreachable!() };
    let mut other = Frame::for_camera(&CameraSpec { width: 2, height: 3, ..CameraSpec::PAPER });
    let before = other.clone();
    let error = view.copy_into(&mut other).unwrap_err();
    assert_eq!(error, CodecError::ImageSize { expected: (2, 3), got: (3, 2) });
    assert!(other.image == before.image && other.id == before.id);
}

#[test]
fn a_refusal_is_read_whatever_its_version() {
    let refuse = Refuse { code: RefuseCode::Version, reason: "no".to_owned(), wire_version: 9 };
    let mut bytes = refuse.to_message().unwrap();
    bytes[4] = 9;
    let (_, Message::Refuse(body)) = decode(&bytes).unwrap() else { unreachable!() };
    assert_eq!(Refuse::from_body(body).unwrap(), refuse);
    assert_eq!(version_of(&bytes), Some(9));
}

#[test]
fn a_long_route_is_thinned_until_the_welcome_fits() {
    let (_, bytes, _) = goldens().swap_remove(1);
    let mut welcome = Welcome::from_body(&bytes[HEADER_LEN..]).unwrap();
    welcome.plant.route = (0..50_000).map(|i| (i as f32 * 1.1, i as f32 * -0.7)).collect();
    let message = welcome.to_message().unwrap();
    assert!(message.len() <= HEADER_LEN + HANDSHAKE_MAX);
    let got = Welcome::from_body(&message[HEADER_LEN..]).unwrap();
    assert!(got.plant.route.len() > 500);
    assert_eq!(got.plant.route.first(), welcome.plant.route.first());
    assert_eq!(got.plant.route.last(), welcome.plant.route.last());
}

#[test]
fn handshakes_are_capped_and_checked() {
    let (_, bytes, _) = goldens().swap_remove(1);
    let text = String::from_utf8(bytes[HEADER_LEN..].to_vec()).unwrap();
    for (from, to, field) in [
        ("\"session\":7", "\"session\":0", "session"),
        ("\"rate_hz\":20.0", "\"rate_hz\":0.0", "plant.rate_hz"),
        ("\"width\":448", "\"width\":5000", "plant.camera"),
    ] {
        assert!(text.contains(from));
        let error = Welcome::from_body(text.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(error, CodecError::Field { field });
    }
    assert!(matches!(Welcome::from_body(b"[]"), Err(CodecError::Json { .. })));
    let hello = Hello {
        program_version: "x".repeat(HANDSHAKE_MAX),
        controller: String::new(),
        camera: None,
    };
    assert!(matches!(hello.to_message(), Err(CodecError::TooLong { .. })));
}
