use core::net::{IpAddr, SocketAddr};

use crate::settings::{Form, Reader, Setting, Shape, Value};

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Reads a range; one address alone is a range as well.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let width = width(network);
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { network, bits })
    }

    /// Whether an address, with or without a port, lies in the range.
    pub(crate) fn contains(&self, address: &[u8]) -> bool {
        core::str::from_utf8(address).ok().and_then(read).is_some_and(|address| {
            let dropped = width(address) - self.bits.min(width(address));
            let same_kind = address.is_ipv4() == self.network.is_ipv4();
            let start = |address: IpAddr| number(address).checked_shr(dropped).unwrap_or(0);
            same_kind && start(address) == start(self.network)
        })
    }
}

impl Setting for Cidr {
    fn make(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(value, CIDR.expected, Self::parse)
    }

    fn shape() -> Shape {
        Shape::Text(CIDR)
    }
}

const CIDR: Form = Form {
    title: "Range of addresses",
    meaning: "Addresses of IPv4 or IPv6. The bits after the length do not count, and a single address needs no length. Such as \
        `\"10.0.0.0/8\"`, `\"fd00::/8\"` or `\"192.0.2.7\"`.",
    expected: "a range of addresses, such as \"10.0.0.0/8\"",
    ..Form::ANY
};

fn read(text: &str) -> Option<IpAddr> {
    let address = text.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| text.parse()).ok()?;
    // Envoy writes an IPv4 address that came in through an IPv6 socket as ::ffff:a.b.c.d.
    Some(address.to_canonical())
}

const fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_the_range_says() {
        let rows = [
            ("10.0.0.0/8", "10.255.0.1:80", true),
            ("10.0.0.0/8", "11.0.0.1:80", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3/0", "192.168.0.1:1", true),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]:80", true),
            ("fd00::/8", "[fd12::1]:443", true),
            ("fd00::/8", "[fe80::1]:443", false),
            ("::/0", "10.0.0.1:80", false),
            ("0.0.0.0/0", "[fd12::1]:443", false),
            ("10.0.0.0/8", "", false),
            ("10.0.0.0/8", "10.0.0.1:x", false),
            ("10.0.0.0/8", "/run/envoy.sock", false),
        ];
        for (range, address, inside) in rows {
            assert_eq!(Cidr::parse(range).unwrap().contains(address.as_bytes()), inside, "{range} {address}");
        }
        assert!(!Cidr::parse("10.0.0.0/8").unwrap().contains(b"\xff"));
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/129", "10.0.0.0/", "example.org"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
