//! The server alone, without the rest of the program: `serve PORT MAP.xodr… [--fault F]…`.

use std::sync::atomic::AtomicBool;

use caril_carla::{Library, Server, ServerOptions};

fn main() {
    let mut args = std::env::args().skip(1);
    let port = args.next().and_then(|p| p.parse().ok()).expect("a port");
    let mut library = Library::default();
    let mut faults = caril_carla::Faults::default();
    while let Some(a) = args.next() {
        if a == "--fault" {
            faults.add(&args.next().unwrap_or_default()).expect("a fault");
            continue;
        }
        let path = std::path::PathBuf::from(a);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        library.maps.push((name, path));
    }
    let first = library.maps[0].0.clone();
    let options = ServerOptions { port, faults, ..ServerOptions::new(library, &first) };
    let server = Server::bind(&options).expect("a server");
    eprintln!("port {}", server.port());
    server.run(&AtomicBool::new(false));
}
