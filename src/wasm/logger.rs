//! The log crate's output; the SDK's own logger panics when the host refuses a line.

use super::host;

struct Logger;

static LOGGER: Logger = Logger;

/// Sends what is logged from here on to Envoy's log, which filters by its own level.
pub(super) fn start() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        host::log(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}
