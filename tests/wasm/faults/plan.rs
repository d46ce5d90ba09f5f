//! What the host does wrong, and what must be counted for it.

use std::fmt;

use proxy_wasm_test_framework::{Call, Fault, HeaderMap, Host, Status};

use super::cases::Case;

/// Every host call that the module makes, with its label in `tracewarden_host_errors_total`.
pub(super) const USED: &[(Call, Option<&str>)] = &[
    // A log that is refused can be told to nobody; the calls that count cannot count themselves while they fail.
    (Call::Log, None),
    (Call::GetCurrentTime, Some("get_current_time_nanoseconds")),
    (Call::GetBuffer, Some("get_buffer_bytes")),
    (Call::GetHeaders, Some("get_header_map_pairs")),
    (Call::GetHeader, Some("get_header_map_value")),
    (Call::AddHeader, Some("add_header_map_value")),
    (Call::ReplaceHeader, Some("replace_header_map_value")),
    (Call::RemoveHeader, Some("remove_header_map_value")),
    (Call::GetProperty, Some("get_property")),
    (Call::SetProperty, Some("set_property")),
    (Call::GetSharedData, Some("get_shared_data")),
    (Call::SetSharedData, Some("set_shared_data")),
    (Call::DefineMetric, Some("define_metric")),
    (Call::IncrementMetric, Some("increment_metric")),
    (Call::GetMetric, Some("get_metric")),
    (Call::RandomGet, Some("random_get")),
    (Call::EnvironSizesGet, Some("environ_get")),
    (Call::EnvironGet, Some("environ_get")),
];

/// The calls that only a plugin with export makes, which `tests/wasm/export.rs` strikes, and what the standard library
/// imports for panics.
pub(super) const ELSEWHERE: &[&str] = &[
    "env.proxy_call_foreign_function",
    "env.proxy_http_call",
    "env.proxy_record_metric",
    "env.proxy_set_effective_context",
    "env.proxy_set_tick_period_milliseconds",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.proc_exit",
];

/// Faults that strike together.
#[derive(Clone)]
pub(super) struct Strike {
    name: String,
    faults: Vec<(Call, Option<u64>, Fault)>,
}

/// How often an error must be counted.
#[derive(Debug, PartialEq)]
pub(super) enum Counts {
    /// So often.
    Times(u64),
    /// The host lies in a way that nobody can see.
    Unknown,
}

/// The label of a call.
pub(super) fn label(call: Call) -> Option<&'static str> {
    USED.iter().find(|(used, _)| *used == call)?.1
}

/// Everything that a call is made to answer: each status, numbers that are none, and whatever buffers it can hand out.
pub(super) fn answers(call: Call, case: &Case) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Status::ALL.into_iter().map(Fault::from).collect();
    faults.extend([13, 0x8000_0000, u32::MAX].map(Fault::Status));
    if gives_bytes(call) {
        faults.extend([Fault::Null, Fault::NullWithSize(1), Fault::NullWithSize(u32::MAX)]);
        faults.extend(malformed(case).into_iter().map(Fault::Buffer));
    }
    if call == Call::RandomGet {
        faults.extend([0, 0xff].map(|byte| Fault::Buffer(vec![byte])));
    }
    faults
}

pub(super) fn gives_bytes(call: Call) -> bool {
    matches!(
        call,
        Call::GetBuffer | Call::GetHeaders | Call::GetHeader | Call::GetProperty | Call::GetSharedData
    )
}

/// Bytes that are no header map, no direction and no configuration.
fn malformed(case: &Case) -> Vec<Vec<u8>> {
    let number = u32::to_le_bytes;
    let whole: HeaderMap = case.request.iter().chain([&(":path", &b"/"[..])]).copied().collect();
    let whole = whole.to_bytes();
    let mut buffers = vec![
        vec![0xff],
        vec![0xff; 3],
        vec![1, 0, 0, 0, 0xff],
        number(1).to_vec(),
        number(u32::MAX).to_vec(),
        // Times the 8 bytes of an entry's lengths, these are 0 and 8 in 32 bits.
        [number(0x2000_0000), number(0)].concat(),
        [&number(0x2000_0001)[..], &[0; 8], &[0; 2]].concat(),
        [&number(1)[..], &number(u32::MAX), &number(u32::MAX), b"x\0y\0"].concat(),
        [&number(1)[..], &number(1), &number(u32::MAX - 1), b"x\0y\0"].concat(),
        [&number(1)[..], &number(4), &number(0), b"x\0y\0"].concat(),
        [&number(1)[..], &number(1), &number(1), b"x\0y"].concat(),
        vec![0xff; 1 << 20],
    ];
    buffers.extend(
        [5, 9, whole.len() / 2, whole.len() - 1].map(|end| whole.get(..end).unwrap_or_default().to_vec()),
    );
    buffers
}

impl Strike {
    /// The call answers this whenever it is made.
    pub(super) fn always(call: Call, fault: Fault) -> Self {
        Self {
            name: format!("{} answers {}", call.name(), worded(&fault)),
            faults: vec![(call, None, fault)],
        }
    }

    /// The call fails this one time.
    pub(super) fn nth(call: Call, nth: u64) -> Self {
        let name = format!("{} fails, call {nth}", call.name());
        Self { name, faults: vec![(call, Some(nth), Status::InternalFailure.into())] }
    }

    /// Two calls fail whenever they are made.
    pub(super) fn pair(first: Call, second: Call) -> Self {
        let fault = Fault::from(Status::InternalFailure);
        let name = format!("{} and {} fail", first.name(), second.name());
        Self { name, faults: vec![(first, None, fault.clone()), (second, None, fault)] }
    }

    /// Makes the host misbehave.
    pub(super) fn plan(&self, host: &mut Host) {
        for (call, nth, fault) in &self.faults {
            match nth {
                Some(nth) => host.fault_nth(*call, *nth, fault.clone()),
                None => host.fault(*call, fault.clone()),
            }
        }
    }

    pub(super) fn is_of(&self, call: Call) -> bool {
        self.faults.iter().any(|(struck, ..)| *struck == call)
    }

    /// The call, if it is one alone.
    pub(super) fn call(&self) -> Option<Call> {
        match self.faults.as_slice() {
            [(call, ..)] => Some(*call),
            _ => None,
        }
    }

    /// Whether an edit is claimed to be done, and is not.
    pub(super) fn pretends(&self) -> bool {
        let edits = [Call::AddHeader, Call::ReplaceHeader, Call::RemoveHeader, Call::SetProperty];
        self.faults.iter().any(|(call, _, fault)| edits.contains(call) && *fault == Status::Ok.into())
    }

    /// Whether the call gives nothing that could be read.
    pub(super) fn hides(&self, call: Call) -> bool {
        self.faults.iter().any(|(struck, _, fault)| *struck == call && is_error(call, fault, false))
    }

    /// Whether a configuration must be refused that is read with this strike, so many times: the last time decides.
    pub(super) fn spoils_configuration(&self, reads: u64) -> bool {
        self.faults.iter().any(|(call, nth, fault)| {
            *call == Call::GetBuffer
                && nth.is_none_or(|nth| nth == reads)
                && (is_error(*call, fault, false) || matches!(fault, Fault::Buffer(_)))
        })
    }

    /// Whether the host has nothing to show, and says no more about it.
    pub(super) fn shows_nothing(&self) -> bool {
        let nothing = [Status::Ok.into(), Status::NotFound.into(), Fault::Null];
        self.faults.iter().any(|(call, _, fault)| *call == Call::GetBuffer && nothing.contains(fault))
    }

    /// What must be counted for a call that was made so often.
    pub(super) fn counts(&self, call: Call, made: u64, asks_direction: bool) -> Counts {
        let Some((_, nth, fault)) = self.faults.iter().find(|(struck, ..)| *struck == call) else {
            return Counts::Times(0);
        };
        // A configuration is judged by what it says, if its length is not what was announced.
        let configuration = call == Call::GetBuffer && matches!(fault, Fault::Buffer(_));
        if configuration || self.faults.len() > 1 {
            return Counts::Unknown;
        }
        let cannot = call == Call::Log || counts_itself(call) && nth.is_none();
        let failed = if nth.is_some() { made.min(1) } else { made };
        Counts::Times(if cannot || !is_error(call, fault, asks_direction) { 0 } else { failed })
    }

    /// Whether the module can see that something is wrong with a call that was made so often.
    pub(super) fn is_seen(&self, call: Call, made: u64, asks_direction: bool) -> bool {
        let error =
            |(struck, _, fault): &(Call, _, Fault)| *struck == call && is_error(call, fault, asks_direction);
        made > 0 && call != Call::Log && self.faults.iter().any(error)
    }
}

/// The calls that cannot count their own errors.
fn counts_itself(call: Call) -> bool {
    matches!(call, Call::DefineMetric | Call::IncrementMetric)
}

/// Whether the answer is an error that can be seen to be one.
fn is_error(call: Call, fault: &Fault, asks_direction: bool) -> bool {
    match (fault, call) {
        // The module reads what the host has not written: null, the id 0, no bytes.
        (Fault::Status(0), Call::DefineMetric | Call::RandomGet) => true,
        (Fault::Buffer(bytes), Call::RandomGet) => bytes.iter().all(|byte| *byte == 0),
        (Fault::Status(0) | Fault::Null | Fault::Buffer(_), Call::GetHeaders) => true,
        (Fault::Status(0) | Fault::Null, Call::GetBuffer) => true,
        (Fault::Status(0) | Fault::Null | Fault::Buffer(_), Call::GetProperty) => asks_direction,
        // The bytes of a header are any, and those of a configuration are judged by what they say.
        (Fault::Status(0) | Fault::Null | Fault::Buffer(_), _) => false,
        (Fault::Status(1), Call::GetProperty | Call::GetHeader | Call::GetSharedData) => false,
        // Another VM wrote meanwhile.
        (Fault::Status(8), Call::SetSharedData) => false,
        (Fault::Status(_) | Fault::NullWithSize(_), _) => true,
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn worded(fault: &Fault) -> String {
    match fault {
        Fault::Status(status) => format!("{status}"),
        Fault::Null => "null".to_owned(),
        Fault::NullWithSize(size) => format!("null of {size} bytes"),
        Fault::Buffer(bytes) => {
            format!("{} bytes {}", bytes.len(), bytes.get(..24).unwrap_or(bytes).escape_ascii())
        }
    }
}
