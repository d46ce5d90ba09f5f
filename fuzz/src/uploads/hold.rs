//! For how long a collector is left alone, as far as that can be known without the random part of a wait.

use tracewarden::words::Protocol;

use super::Reply;
use crate::host::of_core;

/// Between which times the collector is left alone no longer.
#[derive(Default)]
pub(super) struct Hold {
    /// When it was last found out that it is busy.
    asked: u64,
    least: u64,
    most: u64,
}

const SECOND: u64 = 1_000_000_000;
const LONGEST: u64 = 60 * SECOND;

impl Hold {
    /// Whether nothing may be sent at this time. Before it was asked, which is a clock that was set back, that is not known.
    pub(super) const fn is_held(&self, now: u64) -> bool {
        now >= self.asked && now < self.least
    }

    /// Whether nothing hinders sending at this time, also if the clock was set back.
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now >= self.most || now.saturating_add(LONGEST) < self.asked
    }

    /// The collector is busy, after so many attempts, and perhaps said for how many seconds.
    pub(super) fn ask(&mut self, now: u64, attempts: u32, seconds: Option<u64>) {
        let whole = SECOND << (attempts - 1);
        let asked = seconds.unwrap_or(0).saturating_mul(SECOND);
        let until = |wait: u64| now.saturating_add(asked.max(wait).min(LONGEST));
        let (least, most) = (until(whole / 2), until(whole));
        self.least = if self.is_held(now) { self.least.max(least) } else { least };
        self.most = if self.is_over(now) { most } else { self.most.max(most) };
        self.asked = now;
    }
}

/// What an answer over HTTP means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Taken,
    Busy(Option<u64>),
    Refused,
}

/// What an answer means, if that is known; of gRPC's, only that there is none.
pub(super) fn meaning(reply: Option<&Reply>, protocol: Protocol) -> Option<Meaning> {
    let Some(reply) = reply else { return Some(Meaning::Busy(None)) };
    let headers = of_core(&reply.headers);
    let number =
        |name: &str| -> Option<u32> { core::str::from_utf8(headers.first(name)?).ok()?.trim().parse().ok() };
    (protocol != Protocol::OtlpGrpc).then(|| match number(":status") {
        Some(200..=299) => Meaning::Taken,
        Some(429 | 502 | 503 | 504) => Meaning::Busy(number("retry-after").map(u64::from)),
        _ => Meaning::Refused,
    })
}
