//! Headers that prove who sent a request.

use crate::formats::is_taken;
use crate::headers::Headers;
use crate::settings::{HeaderName, Reader, Rules, Secret, Setting, settings};

settings! {
    /// A header whose value must be a secret. It is compared in constant time, never logged, and never sent on, unless `enabled`
    /// is `false`. Such as `{"header": "x-trace-force", "value_env": "TRACE_FORCE_SECRET"}`.
    pub(crate) struct SecretHeader "Secret header", checked {
        /// The header's name.
        pub(crate) name as "header": HeaderName,
        /// The environment variable that holds the secret.
        secret as "value_env": Secret,
    }
}

impl Rules for SecretHeader {
    fn check(&self, reader: &mut Reader<'_>) {
        if is_taken(&self.name) {
            let expected = "a header of its own, without a meaning in HTTP or for the filter";
            reader.conflict("header", expected, &self.name.value());
        }
    }
}

impl SecretHeader {
    /// Whether the request has the header once, with the secret in it; how long that takes does not depend on how much of
    /// a wrong value was right.
    pub(crate) fn is_in(&self, headers: &Headers) -> bool {
        let lines = headers.lines(&self.name);
        !lines.is_repeated() && lines.first().is_some_and(|value| self.secret.is(value))
    }
}
