//! The live view: one web page that shows a drive while it happens.
//!
//! [`View::push`] hands a step over without blocking, allocating or failing, as the recorder's does;
//! one thread of its own serves the page, and makes a JPEG only while somebody looks. Updates are
//! Server-Sent Events: plain HTTP, one connection, and the browser comes back by itself. Nobody is
//! waited for: whoever reads too slowly misses messages, whoever does not read at all is dropped.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod about;
mod handoff;
mod http;
mod past;
mod server;
mod shown;
mod viewer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use caril_core::{CameraSpec, Image, StepRecord};

pub use about::{About, Threshold};
use handoff::Shared;
pub use shown::Shown;

/// Most who may look on at once; one more is told so and sent away.
pub const MAX_VIEWERS: usize = 32;

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The address is taken, or is none of this machine.
    #[error("the view cannot listen at {address}: {error}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The thread could not be started.
    #[error("the view's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A page that is being served. Ends with the value: who looks on is told that the drive is over.
pub struct View {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl View {
    /// Listens and starts the thread.
    ///
    /// * `address` – where; port 0 takes a free one, see [`View::address`]
    /// * `camera` – of the pictures that will be pushed; larger ones are not shown
    /// * `about` – what does not change during the drive
    ///
    /// # Errors
    /// [`ViewError`] if the address cannot be used.
    pub fn start(
        address: SocketAddr,
        camera: &CameraSpec,
        about: &About,
    ) -> Result<Self, ViewError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| ViewError::Listen { address, error })?;
        let shared = Arc::new(Shared::new(camera));
        let server = server::Server::new(listener, address, about, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("caril-view".into())
            .spawn(move || server.run())
            .map_err(ViewError::Thread)?;
        Ok(Self { shared, thread: Some(thread), address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands a step over, with its picture if there is one. Never waits, never allocates, makes no
    /// system call. The picture is copied only if somebody looks and the last one is long enough
    /// ago; of what finds no room the oldest is dropped.
    pub fn push(&self, step: &StepRecord, image: Option<&Image>) {
        self.shared.push(step, image, true);
    }

    /// Hands a step over for which no frame had come, as [`View::push`] does.
    pub fn push_no_frame(&self, step: &StepRecord) {
        self.shared.push(step, None, false);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A bug there is no reason to fail here: nothing of the drive depends on it.
            let _ = thread.join();
        }
    }
}

/// Reads `ADDRESS:PORT`, or a port alone: then it is one of this machine.
///
/// # Errors
/// What was expected.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let mut found = text.to_socket_addrs().map_err(|e| format!("expected ADDRESS:PORT: {e}"))?;
    found.next().ok_or_else(|| "that name has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_loopback_unless_it_says_otherwise() {
        assert_eq!(address("8080").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(address("0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(address("0.0.0.0:80").unwrap().to_string(), "0.0.0.0:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        assert!(address("somewhere").is_err());
        assert!(address("70000").is_err());
    }
}
