//! What a demo mesh of a test's own needs.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// How many ports the mesh has from its first one on; Envoy's admin port is the one after them.
pub(crate) const PORTS: u16 = 13;

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// The Envoy that runs it.
pub(crate) fn envoy() -> PathBuf {
    let path = std::env::var_os("ENVOY")
        .map_or_else(|| repository().join(".venv/envoy-1.40.0/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not there: run `make test`, or set ENVOY to an Envoy that you have",
        path.display()
    );
    path
}

/// The first of its ports, all of them free and below those that the system hands out by itself.
pub(crate) fn free_ports() -> u16 {
    let is_free = |port| {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    let mut firsts = (0..600).map(|_| 20_000 + free_port() % 10_000);
    firsts.find(|first| (*first..=*first + PORTS).all(is_free)).expect("free ports in a row")
}

/// A free port that the system hands out.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
