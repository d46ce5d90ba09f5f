//! The numbers of the proxy-wasm ABI.

/// What a proxy-wasm host call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Status {
    /// The call did what it says.
    Ok = 0,
    /// There is no such header, property, metric, buffer or function.
    NotFound = 1,
    /// An argument is out of its range, or its object is not available in this callback.
    BadArgument = 2,
    /// A value could not be written as bytes.
    SerializationFailure = 3,
    /// Bytes could not be read as a value.
    ParseFailure = 4,
    /// An expression is malformed.
    BadExpression = 5,
    /// A pointer leads outside the guest's memory, or the guest did not allocate.
    InvalidMemoryAccess = 6,
    /// A queue is empty.
    Empty = 7,
    /// Shared data changed since it was read.
    CasMismatch = 8,
    /// A result is not what was expected.
    ResultMismatch = 9,
    /// The host is at fault.
    InternalFailure = 10,
    /// The connection is gone.
    BrokenConnection = 11,
    /// The host does not have this function.
    Unimplemented = 12,
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::NotFound,
        Self::BadArgument,
        Self::SerializationFailure,
        Self::ParseFailure,
        Self::BadExpression,
        Self::InvalidMemoryAccess,
        Self::Empty,
        Self::CasMismatch,
        Self::ResultMismatch,
        Self::InternalFailure,
        Self::BrokenConnection,
        Self::Unimplemented,
    ];
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// For following every step.
    Trace = 0,
    /// For finding a fault.
    Debug = 1,
    /// For knowing what goes on.
    #[default]
    Info = 2,
    /// Something is off, and was coped with.
    Warn = 3,
    /// Something failed.
    Error = 4,
    /// Nothing works any more; a panic of the Rust SDK arrives as this.
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn from_number(number: u32) -> Result<Self, Status> {
        match number {
            0 => Ok(Self::Trace),
            1 => Ok(Self::Debug),
            2 => Ok(Self::Info),
            3 => Ok(Self::Warn),
            4 => Ok(Self::Error),
            5 => Ok(Self::Critical),
            _ => Err(Status::BadArgument),
        }
    }
}

/// What the filter wants done with the stream after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pass the headers on.
    Continue,
    /// Hold the stream.
    Pause,
}

/// `errno` of WASI preview 1, as far as this host answers it.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Errno {
    BadFile = 8,
    Fault = 21,
    Invalid = 28,
    NotSupported = 58,
}
