//! Headers that prove who sent a request.

use core::fmt;

use subtle::ConstantTimeEq;

use crate::headers::{has, scan};

/// A header whose value must be a secret. It is never logged, and never goes on to the upstream.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretHeader {
    pub(crate) name: String,
    secret: Vec<u8>,
}

impl SecretHeader {
    pub(crate) fn new(name: String, secret: &str) -> Self {
        Self { name, secret: secret.as_bytes().to_vec() }
    }

    /// Whether the request has the header once, with the secret in it; the time that takes does not tell how much of
    /// a wrong value was right.
    pub(crate) fn is_in(&self, headers: &[u8]) -> bool {
        let Ok([lines]) = scan(headers, [&self.name]) else { return false };
        !lines.is_repeated() && lines.first().is_some_and(|value| self.secret.ct_eq(value).into())
    }

    /// Whether the request has the header, whatever is in it.
    pub(crate) fn is_tried_in(&self, headers: &[u8]) -> bool {
        has(headers, &self.name)
    }
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHeader").field("name", &self.name).finish_non_exhaustive()
    }
}
