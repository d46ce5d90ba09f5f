//! The environment that Envoy gives the VM: `vm_config.environment_variables`, in Istio `vmConfig.env`.

use super::{host, vm};

/// The variables as the host hands them over: each `NAME=value` and a NUL.
pub(super) struct Environment(Vec<u8>);

impl Environment {
    /// Asks the host; one that answers an error gives no variables.
    pub(super) fn read() -> Self {
        Self(host::environment().unwrap_or_else(|failed| {
            vm::report(failed);
            Vec::new()
        }))
    }

    /// The value of a variable; octets that are not UTF-8 are replaced.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.0.split(|octet| *octet == 0).find_map(|entry| {
            let rest = entry.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}
