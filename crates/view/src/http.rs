//! As much of HTTP/1.1 as one page needs: GET, three paths, no keep-alive.

use std::net::{IpAddr, SocketAddr};

/// Longest request that is read, bytes.
pub(crate) const MAX_REQUEST: usize = 8 << 10;

/// The page: no outside assets, no framework.
const PAGE: &str = include_str!("page.html");

/// Nothing may be loaded or sent elsewhere, whatever the page holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// More bytes are needed.
    More,
    /// `/`.
    Page,
    /// `/map.svg`.
    Map,
    /// `/events`.
    Events,
    /// Nothing that we have: status line and a word on it.
    Wrong(&'static str, &'static str),
}

/// Reads a request's head. `at` is where we listen: at a loopback address, only a request that
/// names this machine is answered, or any web page could have the user's browser read ours under
/// the name of its own host.
pub(crate) fn asked(head: &[u8], at: &SocketAddr) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < MAX_REQUEST => return Asked::More,
        Ok(httparse::Status::Partial) => {
            return Asked::Wrong("431 Request Header Fields Too Large", "too long");
        }
        Err(_) => return Asked::Wrong("400 Bad Request", "this is not HTTP"),
        Ok(httparse::Status::Complete(_)) => {}
    }
    if request.method != Some("GET") {
        return Asked::Wrong("405 Method Not Allowed", "there is nothing to do here but look");
    }
    let host = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("host"));
    let host = host.and_then(|h| std::str::from_utf8(h.value).ok()).unwrap_or("");
    if at.ip().is_loopback() && !is_this_machine(host) {
        return Asked::Wrong("421 Misdirected Request", "this view is for this machine only");
    }
    match request.path.unwrap_or("").split('?').next() {
        Some("/") => Asked::Page,
        Some("/map.svg") => Asked::Map,
        Some("/events") => Asked::Events,
        _ => Asked::Wrong("404 Not Found", "there is only /"),
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A whole answer, after which the connection ends.
pub(crate) fn answer(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// The page.
pub(crate) fn page() -> Vec<u8> {
    answer("200 OK", "text/html; charset=utf-8", PAGE.as_bytes())
}

/// The head of a stream of events.
pub(crate) const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-store\r\nConnection: close\r\n\r\nretry: 1000\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("address")
    }

    #[test]
    fn requests_are_told_apart() {
        let here = at("127.0.0.1:8080");
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", Asked::Page),
            ("GET /?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", Asked::Page),
            ("GET /events HTTP/1.1\r\nHOST: [::1]:8080\r\n\r\n", Asked::Events),
            ("GET /map.svg HTTP/1.1\r\nhost: localhost\r\n\r\n", Asked::Map),
            ("GET / HTTP/1.1\r\nHost: local", Asked::More),
        ] {
            assert_eq!(asked(head.as_bytes(), &here), expected, "{head}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let here = at("127.0.0.1:8080");
        let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "y".repeat(MAX_REQUEST));
        for (head, status) in [
            ("GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
            ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n", "421"),
            ("GET / HTTP/1.1\r\n\r\n", "421"),
            ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "400"),
            (long.as_str(), "431"),
        ] {
            let Asked::Wrong(line, _) = asked(head.as_bytes(), &here) else {
                panic!("answered: {head}")
            };
            assert!(line.starts_with(status), "{line}: {head}");
        }
    }

    #[test]
    fn beyond_loopback_any_name_may_be_ours() {
        let head = b"GET / HTTP/1.1\r\nHost: car.example:8080\r\n\r\n";
        assert_eq!(asked(head, &at("0.0.0.0:8080")), Asked::Page);
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        assert!(PAGE.starts_with("<!doctype html>"));
        for outside in ["http://", "https://", "src=\"//", "@import", "stylesheet"] {
            // The namespace of SVG is a name, not an address that is fetched.
            let text = PAGE.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(outside), "{outside}");
        }
    }
}
