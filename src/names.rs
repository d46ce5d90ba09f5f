//! The names of clusters and virtual hosts, as values of a label: in a form that every sink takes, and so many at most.

use crate::host::{Property, SharedMemory};
use crate::words::CountBy;

/// How many names have a label of their own.
pub const MAX_NAMES: usize = 100;

/// The label of names that came later.
const OTHER: &str = "other";

/// The label of a request that has no such name, such as one without a route.
const NONE: &str = "none";

/// The longest label.
const MAX_LEN: usize = 128;

/// What follows each name in the list.
const END: u8 = b'\n';

/// How often workers that write the list at the same time try again.
const ATTEMPTS: usize = 8;

impl CountBy {
    /// The name of the label.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Cluster => "upstream_cluster",
            Self::VirtualHost => "virtual_host",
        }
    }

    /// Where the host has the name.
    #[must_use]
    pub const fn property(self) -> Property<'static> {
        match self {
            Self::Cluster => Property::ClusterName,
            Self::VirtualHost => Property::VirtualHostName,
        }
    }

    /// The label of a name: letters, digits, `-`, `_` and `.` are kept, and what is between them becomes one `_`. Statsd
    /// separates by `|` and `:`, which are in the names of Istio.
    #[must_use]
    pub fn label_of(self, name: &[u8]) -> String {
        let mut label = String::new();
        for &byte in name.iter().take(MAX_LEN) {
            let is_kept = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let letter = if is_kept { char::from(byte) } else { '_' };
            if letter != '_' || !label.ends_with('_') {
                label.push(letter);
            }
        }
        if label.is_empty() { NONE.to_owned() } else { label }
    }

    /// The label if it is among the first of the process, else `other`. All workers share the list, so that a name has its own
    /// label in all of them or in none. `known` is the list as this worker saw it last. Once it is full it does not change.
    pub fn admitted(self, label: String, known: &mut Vec<u8>, host: &mut impl SharedMemory) -> String {
        let key = format!("tracewarden_names.{}", self.tag());
        for _ in 0..ATTEMPTS {
            let mut names = known.split(|byte| *byte == END);
            let is_listed = names.any(|name| name == label.as_bytes());
            if is_listed || is_full(known) {
                return if is_listed { label } else { OTHER.to_owned() };
            }
            // What is written counts when it is read again: the first writes of two workers know no version.
            let read = host.recall(&key);
            let (list, version) = read.map_or((Vec::new(), None), |(list, version)| (list, Some(version)));
            if list == *known {
                host.remember(&key, &[&list, label.as_bytes(), &[END]].concat(), version);
            }
            *known = list;
        }
        OTHER.to_owned()
    }
}

fn is_full(list: &[u8]) -> bool {
    list.iter().filter(|byte| **byte == END).count() >= MAX_NAMES
}
