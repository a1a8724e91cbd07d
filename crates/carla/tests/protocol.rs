//! The server over real sockets: what the genuine client says first, and what nobody should say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use caril_carla::{Library, Server, ServerOptions};
use rmpv::Value;

static NEVER: AtomicBool = AtomicBool::new(false);
/// Each connection has a thread of its own, whose panic nobody else would notice.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// One server for all tests of this file: its scene takes a moment to build.
fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            print(panic);
        }));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../maps/town_blocks.xodr");
        let library = Library { maps: vec![("town_blocks".to_owned(), path)] };
        let options = ServerOptions { port: 0, ..ServerOptions::new(library, "town_blocks") };
        let server = Server::bind(&options).unwrap();
        let port = server.port();
        std::thread::spawn(move || server.run(&NEVER));
        port
    })
}

struct Client(TcpStream, u64);

impl Client {
    fn new() -> Self {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket, 0)
    }

    /// (error, result) of a call.
    fn call(&mut self, method: &str, args: Vec<Value>) -> (Value, Value) {
        self.1 += 1;
        let mut all = vec![Value::Array(vec![false.into()])];
        all.extend(args);
        let request = [0.into(), self.1.into(), method.into(), Value::Array(all)];
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &Value::Array(request.to_vec())).unwrap();
        self.0.write_all(&bytes).unwrap();
        let answer = rmpv::decode::read_value(&mut self.0).unwrap();
        let parts = answer.as_array().unwrap().clone();
        assert_eq!((parts[0].as_u64(), parts[1].as_u64()), (Some(1), Some(self.1)));
        (parts[2].clone(), parts[3].clone())
    }

    /// The value of a call that succeeds.
    fn value(&mut self, method: &str, args: Vec<Value>) -> Value {
        let (error, result) = self.call(method, args);
        assert_eq!(error, Value::Nil, "{method}");
        let inner = result.as_array().unwrap()[0].as_array().unwrap().clone();
        assert_eq!(inner[0].as_u64(), Some(1), "{method}: {inner:?}");
        inner[1].clone()
    }
}

fn lives() {
    assert_eq!(Client::new().value("version", Vec::new()), Value::from("0.9.16"));
    // What was sent before may still be at work in a thread beside.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a connection's thread panicked");
}

#[test]
fn many_requests_at_once_are_answered_in_their_order() {
    let mut client = Client::new();
    let mut bytes = Vec::new();
    for id in 1..=50u64 {
        let method = if id % 2 == 0 { "get_map_data" } else { "version" };
        let args = Value::Array(vec![Value::Array(vec![false.into()])]);
        let request = Value::Array(vec![0.into(), id.into(), method.into(), args]);
        rmpv::encode::write_value(&mut bytes, &request).unwrap();
    }
    let mut reader = std::io::BufReader::new(client.0.try_clone().unwrap());
    let writer = std::thread::spawn(move || client.0.write_all(&bytes).map(|()| client.0));
    for id in 1..=50u64 {
        let answer = rmpv::decode::read_value(&mut reader).unwrap();
        assert_eq!(answer.as_array().unwrap()[1].as_u64(), Some(id));
    }
    writer.join().unwrap().unwrap();
    lives();
}

#[test]
fn what_sits_on_an_actor_goes_with_it() {
    let mut client = Client::new();
    let sensor = |client: &mut Client, parent: u64| {
        let description =
            Value::Array(vec![0.into(), "sensor.other.imu".into(), Value::Array(Vec::new())]);
        let at = transform(30.0, 40.0);
        let (method, mut args) = match parent {
            0 => ("spawn_actor", vec![description, at]),
            _ => ("spawn_actor_with_parent", vec![description, at, parent.into()]),
        };
        if parent != 0 {
            args.extend([0.into(), "".into()]);
        }
        let actor = client.value(method, args);
        actor.as_array().unwrap()[0].as_u64().unwrap()
    };
    let mast = sensor(&mut client, 0);
    let arm = sensor(&mut client, mast);
    let hand = sensor(&mut client, arm);
    assert_eq!(client.value("destroy_actor", vec![mast.into()]), true.into());
    for id in [arm, hand] {
        let (_, result) = client.call("destroy_actor", vec![id.into()]);
        assert!(result.to_string().contains("not found"), "{id}: {result}");
    }
}

fn transform(x: f64, y: f64) -> Value {
    let list = |v: [f64; 3]| Value::Array(v.map(Value::from).to_vec());
    Value::Array(vec![list([x, y, 0.0]), list([0.0; 3])])
}

#[test]
fn the_first_words_of_the_genuine_client_are_answered() {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port())).unwrap();
    socket.write_all(b"\x94\x00\x01\xa7version\x91\x91\xc2").unwrap();
    let mut answer = [0; 14];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"\x94\x01\x01\xc0\x91\x92\x01\xa60.9.16");
}

#[test]
fn unknown_methods_and_wrong_arguments_are_answered_as_by_rpclib() {
    let mut c = Client::new();
    let (error, _) = c.call("cast_ray", vec![1.into(), 2.into()]);
    let text = "rpclib: server could not find function 'cast_ray' with argument count 3.";
    assert_eq!(error.as_str(), Some(text));
    for (method, args) in [
        ("spawn_actor", vec![]),
        ("spawn_actor", vec![1.into(), "x".into()]),
        ("set_episode_settings", vec![Value::Nil]),
        ("apply_batch", vec![Value::Array(vec![Value::Array(vec![77.into()])]), true.into()]),
        ("get_actors_by_id", vec![Value::Array(vec!["x".into()])]),
        ("set_weather_parameters", vec![Value::Array(vec!["sunny".into()])]),
        ("destroy_actor", vec![(-1).into()]),
    ] {
        let (error, result) = c.call(method, args);
        assert!(error.as_str().is_some_and(|e| e.contains("bad_cast")), "{method}: {result}");
    }
    lives();
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let mut c = Client::new();
    let car = || Value::Array(vec![1.into(), "vehicle.tesla.model3".into(), Value::Array(vec![])]);
    for x in [f64::NAN, f64::INFINITY, 1e30] {
        let (_, result) = c.call("spawn_actor", vec![car(), transform(x, 0.0)]);
        assert!(result.to_string().starts_with("[[0, [\""), "{result}");
    }
    let attribute = |k: &str, v: &str| Value::Array(vec![k.into(), 2.into(), v.into()]);
    let size = Value::Array(vec![attribute("image_size_x", "1000000000")]);
    let camera = Value::Array(vec![3.into(), "sensor.camera.rgb".into(), size]);
    let (_, result) = c.call("spawn_actor", vec![camera, transform(0.0, 0.0)]);
    assert!(result.to_string().contains("image_size_x"), "{result}");
    lives();
}

#[test]
fn garbage_truncation_nesting_and_huge_lengths_close_only_their_own_connection() {
    let deep = vec![0x91; 100_000];
    let mut huge_array = b"\x94\x00\x01\xa7version\xdd".to_vec();
    huge_array.extend([0xff; 4]);
    let bad: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xc1\xc1\xc1",
        b"\x94\x00\x01\xa7ver",
        &deep,
        &huge_array,
        b"\xc6\xff\xff\xff\xff",
        b"\x94\x02\x01\xa7version\x91\x91\xc2",
    ];
    for bytes in bad {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The server may have closed before all is written.
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{bytes:?}");
        lives();
    }
}

#[test]
fn the_streaming_port_takes_garbage_and_strangers() {
    for bytes in [b"".as_slice(), b"\x01", b"\xff\xff\xff\xff", &[0xA5; 100_000]] {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port() + 1)).unwrap();
        let _ = socket.write_all(bytes);
    }
    // The episode's stream, beside them, is whole: lengths that follow each other.
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port() + 1)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(&1u32.to_le_bytes()).unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let mut length = [0; 4];
        socket.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        socket.read_exact(&mut body).unwrap();
        assert_eq!((body.len() - 84) % 119, 0);
        let frame = u64::from_le_bytes(body[8..16].try_into().unwrap());
        assert!(frame > last);
        last = frame;
    }
    lives();
}

#[test]
fn random_requests_and_random_damage_never_kill_it() {
    // A fixed sequence: each request of the genuine client, damaged at one byte.
    const METHODS: [&str; 12] = [
        "version",
        "get_episode_info",
        "get_map_info",
        "spawn_actor",
        "apply_batch",
        "set_actor_transform",
        "get_actors_by_id",
        "set_weather_parameters",
        "destroy_actor",
        "set_episode_settings",
        "load_new_episode",
        "get_sensor_token",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for i in 0..400 {
        let method = METHODS[i % METHODS.len()];
        let args = [Value::Array(vec![false.into()]), transform(0.0, 0.0), 1.into(), "x".into()];
        let request = Value::Array(vec![
            0.into(),
            1.into(),
            method.into(),
            Value::Array(args[..1 + i % 4].to_vec()),
        ]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &request).unwrap();
        let at = next() as usize % bytes.len();
        bytes[at] = next() as u8;
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port())).unwrap();
        let _ = socket.write_all(&bytes);
    }
    lives();
}

#[test]
fn depth_and_tags_come_under_their_numbers_and_count_as_pixels() {
    let mut c = Client::new();
    let attribute = |k: &str, v: &str| Value::Array(vec![k.into(), 2.into(), v.into()]);
    let camera = |uid: u32, id: &str, side: &str| {
        let size = vec![attribute("image_size_x", side), attribute("image_size_y", side)];
        Value::Array(vec![uid.into(), id.into(), Value::Array(size)])
    };
    let mut spawned = Vec::new();
    for (uid, id, number) in
        [(8, "sensor.camera.depth", 1u64), (9, "sensor.camera.semantic_segmentation", 14)]
    {
        let actor = c.value("spawn_actor", vec![camera(uid, id, "8"), transform(0.0, 0.0)]);
        let actor = actor.as_array().unwrap().clone();
        spawned.push(actor[0].clone());
        let Value::Binary(token) = &actor[5] else { panic!("{actor:?}") };
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port() + 1)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(&token[..4]).unwrap();
        let mut message = [0; 4 + 48 + 12 + 8 * 8 * 4];
        socket.read_exact(&mut message).unwrap();
        assert_eq!(message[..4], (message.len() as u32 - 4).to_le_bytes());
        assert_eq!(message[4..12], number.to_le_bytes());
        assert_eq!(message[52..60], [8, 0, 0, 0, 8, 0, 0, 0]);
        for p in message[64..].chunks_exact(4) {
            assert_eq!(p[3], 255);
            // A tag is a small number, in red alone.
            assert!(number == 1 || (p[0] == 0 && p[1] == 0 && (1..=28).contains(&p[2])), "{p:?}");
        }
    }
    // Two of the largest are 2^25 pixels; what is there already makes them too many.
    let large = |c: &mut Client| {
        c.call("spawn_actor", vec![camera(8, "sensor.camera.depth", "4096"), transform(0.0, 0.0)]).1
    };
    let first = large(&mut c);
    let second = large(&mut c);
    assert!(second.to_string().contains("too many pixels"), "{second}");
    let actor = first.as_array().unwrap()[0].as_array().unwrap()[1].clone();
    spawned.push(actor.as_array().unwrap()[0].clone());
    for id in spawned {
        c.value("destroy_actor", vec![id]);
    }
    lives();
}
