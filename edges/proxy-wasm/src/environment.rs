//! The environment that Envoy gives the VM: `vm_config.environment_variables`, in Istio `vmConfig.env`.

/// The variables as the host hands them over: each `NAME=value` and a NUL.
pub(crate) struct Environment(pub(crate) Vec<u8>);

impl Environment {
    /// The value of a variable. Bytes that are not UTF-8 are replaced.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = self.0.split(|byte| *byte == 0).find_map(|entry| {
            let rest = entry.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_variable_of_exactly_that_name() {
        let environment = Environment(b"=x\0NAMES=no\0NAME\0NAME=a=b\0NAME=later\0EMPTY=\0BAD=\xff".to_vec());
        assert_eq!(environment.get("NAME").as_deref(), Some("a=b"));
        assert_eq!(environment.get("EMPTY").as_deref(), Some(""));
        assert_eq!(environment.get("BAD").as_deref(), Some("\u{fffd}"));
        assert_eq!(environment.get("AME"), None);
        assert_eq!(Environment(Vec::new()).get("NAME"), None);
    }
}
