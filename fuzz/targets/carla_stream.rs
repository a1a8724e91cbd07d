//! Both ports of a running CARLA server, over real sockets: strangers that write whatever they like
//! and leave. Input: one byte (even: the streaming port, odd: that of requests; the rest says how
//! the bytes are cut), then what is written.
#![no_main]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use caril_carla::{Library, Limits, Server, ServerOptions};
use libfuzzer_sys::fuzz_target;

static NEVER: AtomicBool = AtomicBool::new(false);

fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let path =
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/opendrive/ring.xodr"));
        let library = Library { maps: vec![("ring".to_owned(), path)] };
        let limits = Limits { actors: 12, image_side: 64, pixels: 2048 };
        let options = ServerOptions { port: 0, limits, ..ServerOptions::new(library, "ring") };
        let server = Server::bind(&options).unwrap();
        let port = server.port();
        std::thread::spawn(move || server.run(&NEVER));
        port
    })
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else { return };
    let mut socket = connect(port() + u16::from(how & 1 == 0));
    for piece in bytes.chunks(8 * usize::from(how >> 1) + 4) {
        if socket.write_all(piece).is_err() {
            break;
        }
    }
    let _ = socket.shutdown(Shutdown::Write);
    // Whoever speaks to the port of requests is answered or shown the door.
    if how & 1 == 1 {
        let _ = socket.read_to_end(&mut Vec::new());
    }
    drop(socket);
    // The server lives, and knows what it is.
    let mut socket = connect(port());
    socket.write_all(b"\x94\x00\x01\xa7version\x91\x91\xc2").unwrap();
    let mut answer = [0; 14];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x94\x01\x01\xc0\x91\x92\x01\xa60.9.16");
});
