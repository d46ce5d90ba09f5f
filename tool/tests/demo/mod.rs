//! What a demo mesh of a test's own needs.

#[path = "../envoy/mod.rs"]
mod program;

use std::net::{Ipv4Addr, TcpListener, TcpStream};

pub(crate) use program::{envoy, repository};

/// How many ports the mesh has from its first one on; Envoy's admin port is the one after them.
pub(crate) const PORTS: u16 = 13;

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
