//! What follows from conditions alone: that one takes all requests of another, or that none can be met. Only what is certain
//! is said.

use std::net::IpAddr;

use tracewarden::exclude::{KNOWN, Sign};
use tracewarden::settings::Value;
use tracewarden::words::Direction;

/// Whether every request that meets some conditions meets these ones too. The direction is that of all requests, if it is known.
pub(super) fn covers(general: &Value, special: &Value, direction: Option<Direction>) -> bool {
    let Value::Object(conditions) = general else { return covers_known(general, special) };
    let stated = conditions.iter().filter(|(_, value)| *value != Value::Null);
    matches!(special, Value::Object(_))
        && stated.into_iter().all(|(name, value)| match name.as_str() {
            "direction" => is_any(value, direction) || special.field(name) == Some(value),
            "host" => texts(value, special.field(name)).is_some_and(|(host, other)| covers_host(host, other)),
            "path_prefix" => ["path_prefix", "path"].iter().any(|of| {
                texts(value, special.field(of)).is_some_and(|(prefix, path)| path.starts_with(prefix))
            }),
            "user_agent_prefix" => {
                texts(value, special.field(name)).is_some_and(|(prefix, other)| other.starts_with(prefix))
            }
            "header" => special.field(name).is_some_and(|other| covers_header(value, other)),
            _ => special.field(name) == Some(value),
        })
}

/// Whether a condition on the direction holds for all requests.
fn is_any(value: &Value, direction: Option<Direction>) -> bool {
    let Value::Text(word) = value else { return false };
    word == "auto" || direction.is_some_and(|direction| direction.label() == word)
}

/// Whether the word for the known requests stands for these ones as well.
fn covers_known(word: &Value, special: &Value) -> bool {
    let Some((_, agent)) = texts(word, special.field("user_agent_prefix")) else { return false };
    KNOWN.iter().any(|known| matches!(known.sign, Sign::UserAgent(begin) if agent.starts_with(begin)))
}

fn texts<'v>(one: &'v Value, other: Option<&'v Value>) -> Option<(&'v str, &'v str)> {
    match (one, other?) {
        (Value::Text(one), Value::Text(other)) => Some((one, other)),
        _ => None,
    }
}

/// Hosts are compared without regard to case and to a dot at the end. A `*` at the start is at least one character.
fn covers_host(general: &str, special: &str) -> bool {
    let [general, special] = [general, special].map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    match (general.strip_prefix('*'), special.strip_prefix('*')) {
        (Some(suffix), Some(other)) => other.ends_with(suffix),
        (Some(suffix), None) => special.len() > suffix.len() && special.ends_with(suffix),
        (None, Some(_)) => false,
        (None, None) => general == special,
    }
}

fn covers_header(general: &Value, special: &Value) -> bool {
    let name = |header: &Value| match header.field("name") {
        Some(Value::Text(name)) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let value = |header: &Value| header.field("value").filter(|value| **value != Value::Null).cloned();
    name(general) == name(special) && value(general).is_none_or(|wanted| value(special) == Some(wanted))
}

/// Whether everyone who is trusted by one entry is trusted by another one too.
pub(super) fn covers_sender(general: &Value, special: &Value) -> bool {
    let both = |name| texts(general.field(name)?, special.field(name));
    if let Some((pattern, other)) = both("san") {
        return match pattern.strip_suffix('*') {
            Some(prefix) => other.strip_suffix('*').unwrap_or(other).starts_with(prefix),
            None => pattern == other,
        };
    }
    match both("cidr") {
        Some((range, other)) => match (range_of(range), range_of(other)) {
            (Some(range), Some(other)) => covers_range(range, other),
            _ => false,
        },
        None => general == special,
    }
}

/// The number of the first address of a range, the bits that count, and those that an address has.
fn range_of(text: &str) -> Option<(u128, u32, u32)> {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let (number, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    Some((number, length.map_or(Some(width), |length| length.parse().ok())?, width))
}

fn covers_range((number, length, width): (u128, u32, u32), other: (u128, u32, u32)) -> bool {
    let begin = |number: u128| number.checked_shr(width.saturating_sub(length)).unwrap_or(0);
    width == other.2 && length <= other.1 && begin(number) == begin(other.0)
}

/// Why no request meets some conditions. With `holds_unknown`, a condition on the direction holds if none is stated.
pub(super) fn unmet(entry: &Value, direction: Option<Direction>, holds_unknown: bool) -> Option<String> {
    let text = |name: &str| match entry.field(name) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let of_direction = || unmet_direction(text("direction")?, direction?, holds_unknown);
    of_direction()
        .or_else(|| unmet_host(text("host")?))
        .or_else(|| unmet_path(text("path"), text("path_prefix")))
}

fn unmet_direction(wanted: &str, direction: Direction, holds_unknown: bool) -> Option<String> {
    match direction {
        _ if wanted == "auto" || wanted == direction.label() => None,
        Direction::Unspecified if holds_unknown => None,
        Direction::Unspecified => Some(format!(
            "its direction is {wanted:?}, and neither the configuration nor the listener states one"
        )),
        known => Some(format!("its direction is {wanted:?}, and every request here is {}", known.label())),
    }
}

fn unmet_host(host: &str) -> Option<String> {
    let has_port = !host.starts_with(['*', '[']) && host.matches(':').count() == 1;
    has_port.then(|| "its host has a port, and hosts are compared without".to_owned())
}

fn unmet_path(path: Option<&str>, prefix: Option<&str>) -> Option<String> {
    if path.is_some_and(|path| path.contains('?')) {
        return Some("its path has a query, and paths are compared without".to_owned());
    }
    let has_no_slash = |text: &str| !text.is_empty() && !text.starts_with(['/', '*']);
    if path.is_some_and(has_no_slash) || prefix.is_some_and(has_no_slash) {
        return Some("every path begins with a slash".to_owned());
    }
    let (path, prefix) = (path?, prefix?);
    let is_possible =
        path.starts_with(prefix) || prefix.strip_prefix(path).is_some_and(|rest| rest.starts_with('?'));
    (!is_possible).then(|| "its path does not begin with its path_prefix".to_owned())
}
