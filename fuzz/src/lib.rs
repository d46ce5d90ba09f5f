//! What the fuzz targets compare Tracewarden with: slow readings of the specifications that share no code with it.
//!
//! - [`reading`] reads each format again, straight from its rules.
//! - [`host`] is a host that records every call, and refuses those that it is told to refuse.
//! - [`request`] and [`response`] run a pass, and hold what it did against what the rules say.
//! - [`formats`] has what holds of a request where other formats and distrust come into play.
//! - [`spans`] and [`uploads`] end a stream, and take its spans to a collector.
//! - [`setup`] is a configuration with its JSON.
//! - [`scenario`] is the text that a request's input is written in, so that a reproducer can be read.
//! - [`generate`] makes and mutates such texts; [`work`] counts what a pass allocates.

pub mod formats;
pub mod generate;
pub mod host;
pub mod reading;
pub mod request;
pub mod response;
pub mod scenario;
pub mod setup;
pub mod spans;
pub mod uploads;
pub mod work;
