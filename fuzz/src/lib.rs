//! What the fuzz targets compare Tracewarden with: slow readings of the specifications that share no code with it.
//!
//! - [`reading`] reads each format again, straight from its rules.
//! - [`scenario`] is a whole stream: the input of the targets `request` and `spans`.
//! - [`host`] is a host that records every call, and refuses those that it is told to refuse.
//! - [`request`] and [`response`] run a pass, and hold what it did against what the rules say.
//! - [`formats`] has what holds of a request under any configuration.
//! - `spans` ends a stream, whose spans `collected` gets; `uploads` takes them to a collector.
//! - [`setup`] is a configuration with its JSON.
//! - [`generate`] makes and mutates configurations and scenarios; [`work`] counts what a pass allocates.
//!
//! In `corpus`, inputs named `v…` are the W3C vectors of the tests, `hand-…` and `drawn-…` what the vectors do not reach,
//! and `found-…` what once failed.

mod collected;
pub mod formats;
pub mod generate;
pub mod host;
#[path = "../../tests/data/otlp.rs"]
mod otlp;
pub mod reading;
pub mod request;
pub mod response;
pub mod scenario;
pub mod setup;
mod spans;
mod uploads;
pub mod work;
