//! Planned misbehaviour of the host.

use std::collections::BTreeMap;

use crate::{Call, Status};

/// What a host call does in place of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing and answers this number: a [`Status`], or for a WASI call its `errno`. `0` claims success.
    Status(u32),
    /// Answers `Ok` with a null pointer and size 0.
    Null,
    /// Answers `Ok` with a null pointer and this size.
    NullWithSize(u32),
    /// Answers `Ok` with these bytes; [`Call::RandomGet`] repeats them over the whole buffer.
    Buffer(Vec<u8>),
}

impl Fault {
    /// Whether this fault changes anything about that call.
    fn suits(&self, call: Call) -> bool {
        match self {
            Self::Status(_) => call != Call::ProcExit,
            Self::Null | Self::NullWithSize(_) => call.gives_bytes(),
            Self::Buffer(bytes) => call.gives_bytes() || call == Call::RandomGet && !bytes.is_empty(),
        }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status as u32)
    }
}

/// The faults planned.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    always: BTreeMap<Call, Fault>,
    /// With each fault, how many more calls it takes until it strikes.
    nth: Vec<(Call, u64, Fault)>,
}

impl Faults {
    /// # Panics
    ///
    /// If the fault would change nothing: a test that plans it proves nothing.
    pub(crate) fn always(&mut self, call: Call, fault: Fault) {
        assert!(fault.suits(call), "{fault:?} has no effect on {}", call.name());
        self.always.insert(call, fault);
    }

    /// # Panics
    ///
    /// As [`Faults::always`], and on the call before the first.
    pub(crate) fn nth(&mut self, call: Call, nth: u64, fault: Fault) {
        assert!(fault.suits(call), "{fault:?} has no effect on {}", call.name());
        assert_ne!(nth, 0, "calls are counted from 1");
        self.nth.push((call, nth, fault));
    }

    pub(crate) fn are_planned(&self) -> bool {
        !self.always.is_empty() || !self.nth.is_empty()
    }

    /// The fault that strikes this call, a counted one before a constant one.
    pub(crate) fn strike(&mut self, call: Call) -> Option<Fault> {
        let mut due = None;
        self.nth.retain_mut(|(planned, left, fault)| {
            *left -= u64::from(*planned == call);
            if *left == 0 {
                due = Some(fault.clone());
            }
            *left != 0
        });
        due.or_else(|| self.always.get(&call).cloned())
    }
}
