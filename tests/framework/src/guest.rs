//! The guest's memory, and the frame around every host call: count it, misbehave if planned, turn the outcome into
//! the number the guest gets.

use std::ops::Range;

use wasmtime::{Caller, Extern, Memory};

use crate::abi::Errno;
use crate::{Call, Fault, Host, Status};

/// The guest during a host call.
pub(crate) struct Guest<'a> {
    caller: Caller<'a, Host>,
    /// Random bytes to give in place of better ones.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Why a host call stopped before its end.
pub(crate) enum Stop {
    /// With this status or errno.
    Answer(u32),
    /// At a pointer that leads nowhere.
    OutOfBounds,
    /// With a trap, of the guest's allocator.
    Trap(wasmtime::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Answer(status as u32)
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Answer(errno as u32)
    }
}

/// Where a call puts the address and the size of its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) data: u32,
    pub(crate) size: u32,
}

impl<'a> Guest<'a> {
    /// Runs a host call that answers a status or an errno.
    pub(crate) fn run(
        caller: Caller<'a, Host>,
        call: Call,
        body: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> wasmtime::Result<u32> {
        let mut guest = Self { caller, bytes: None };
        match guest.host().enter(call) {
            Some(Fault::Status(status)) => return Ok(status),
            Some(Fault::Buffer(bytes)) => guest.bytes = Some(bytes),
            Some(Fault::Null | Fault::NullWithSize(_)) | None => {}
        }
        answer(call, body(&mut guest))
    }

    /// Runs a host call that answers bytes as well, in memory it asks the guest for.
    pub(crate) fn give(
        caller: Caller<'a, Host>,
        call: Call,
        slot: Slot,
        body: impl FnOnce(&mut Self) -> Result<Vec<u8>, Stop>,
    ) -> wasmtime::Result<u32> {
        let mut guest = Self { caller, bytes: None };
        let outcome = match guest.host().enter(call) {
            Some(Fault::Status(status)) => return Ok(status),
            Some(Fault::Null) => guest.point(slot, 0, 0),
            Some(Fault::NullWithSize(size)) => guest.point(slot, 0, size),
            Some(Fault::Buffer(bytes)) => guest.hand_over(slot, &bytes),
            None => body(&mut guest).and_then(|bytes| guest.hand_over(slot, &bytes)),
        };
        answer(call, outcome)
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Copies bytes out of the guest's memory.
    pub(crate) fn read(&mut self, address: u32, size: u32) -> Result<Vec<u8>, Stop> {
        let memory = self.memory()?;
        let bytes = memory.data(&self.caller).get(range(address, size)).ok_or(Stop::OutOfBounds)?.to_vec();
        self.host().bytes_from_guest += u64::from(size);
        Ok(bytes)
    }

    /// Copies text out of the guest's memory; what is not UTF-8 is replaced.
    pub(crate) fn read_text(&mut self, address: u32, size: u32) -> Result<String, Stop> {
        Ok(String::from_utf8_lossy(&self.read(address, size)?).into_owned())
    }

    /// Copies bytes into the guest's memory.
    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Stop> {
        let memory = self.memory()?;
        memory.write(&mut self.caller, address as usize, bytes).map_err(|_| Stop::OutOfBounds)?;
        self.host().bytes_to_guest += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, address: u32, number: u32) -> Result<(), Stop> {
        self.write(address, &number.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, address: u32, number: u64) -> Result<(), Stop> {
        self.write(address, &number.to_le_bytes())
    }

    /// Puts bytes into memory the guest allocates for them; no bytes are a null pointer, as in Envoy.
    fn hand_over(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), Stop> {
        let size = u32::try_from(bytes.len()).map_err(|_| Stop::OutOfBounds)?;
        let address = if bytes.is_empty() { 0 } else { self.allocate(size)? };
        self.write(address, bytes)?;
        self.point(slot, address, size)
    }

    fn point(&mut self, slot: Slot, address: u32, size: u32) -> Result<(), Stop> {
        self.write_u32(slot.data, address)?;
        self.write_u32(slot.size, size)
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Stop> {
        let export =
            ["proxy_on_memory_allocate", "malloc"].into_iter().find_map(|name| self.caller.get_export(name));
        let allocate = export.and_then(Extern::into_func).ok_or(Stop::OutOfBounds)?;
        let allocate = allocate.typed::<u32, u32>(&self.caller).map_err(Stop::Trap)?;
        match allocate.call(&mut self.caller, size).map_err(Stop::Trap)? {
            0 => Err(Stop::OutOfBounds),
            address => Ok(address),
        }
    }

    fn memory(&mut self) -> Result<Memory, Stop> {
        self.caller.get_export("memory").and_then(Extern::into_memory).ok_or(Stop::OutOfBounds)
    }
}

fn range(address: u32, size: u32) -> Range<usize> {
    let start = address as usize;
    start..start + size as usize
}

/// What the guest gets to see of an outcome.
fn answer(call: Call, outcome: Result<(), Stop>) -> wasmtime::Result<u32> {
    match outcome {
        Ok(()) => Ok(0),
        Err(Stop::Answer(number)) => Ok(number),
        Err(Stop::OutOfBounds) if call.is_wasi() => Ok(Errno::Fault as u32),
        Err(Stop::OutOfBounds) => Ok(Status::InvalidMemoryAccess as u32),
        Err(Stop::Trap(error)) => Err(error),
    }
}
