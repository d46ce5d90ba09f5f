//! The part of WASI preview 1 that Envoy's host implements and Rust's standard library uses.

use wasmtime::{Caller, Linker, format_err};

use crate::abi::Errno;
use crate::guest::{Guest, Stop};
use crate::{Call, Host};

/// The most random bytes Envoy gives in one call.
const MAX_RANDOM: u32 = 64 * 1024;

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    import!(linker, RandomGet(data: u32, size: u32), |guest| {
        if size > MAX_RANDOM {
            return Err(Errno::Invalid.into());
        }
        let bytes = match guest.bytes.take() {
            Some(pattern) => pattern.into_iter().cycle().take(size as usize).collect(),
            None => guest.host().random.bytes(size as usize),
        };
        guest.write(data, &bytes)
    });
    import!(linker, ClockTimeGet(clock: u32, _precision: u64, time: u32), |guest| {
        // 0 is the wall clock and 1 the monotonic one.
        if clock > 1 {
            return Err(Errno::NotSupported.into());
        }
        let now = guest.host().now_ns;
        guest.write_u64(time, now)
    });
    import!(linker, EnvironSizesGet(count: u32, size: u32), |guest| {
        let variables = variables(guest);
        guest.write_u32(count, length(&variables)?)?;
        guest.write_u32(size, length(&variables.concat())?)
    });
    import!(linker, EnvironGet(pointers: u32, texts: u32), |guest| {
        let (mut pointer, mut text) = (pointers, texts);
        for variable in variables(guest) {
            guest.write_u32(pointer, text)?;
            guest.write(text, &variable)?;
            pointer = pointer.checked_add(4).ok_or(Stop::OutOfBounds)?;
            text = text.checked_add(length(&variable)?).ok_or(Stop::OutOfBounds)?;
        }
        Ok(())
    });
    import!(linker, FdWrite(file: u32, parts: u32, count: u32, written: u32), |guest| {
        let bytes = gather(guest, parts, count)?;
        match file {
            1 => guest.host().stdout.extend(&bytes),
            2 => guest.host().stderr.extend(&bytes),
            _ => return Err(Errno::BadFile.into()),
        }
        guest.write_u32(written, length(&bytes)?)
    });
    linker.func_wrap(
        Call::ProcExit.module(),
        Call::ProcExit.name(),
        |mut caller: Caller<'_, Host>, code: u32| {
            caller.data_mut().enter(Call::ProcExit);
            wasmtime::Result::<()>::Err(format_err!("proc_exit({code})"))
        },
    )?;
    Ok(())
}

/// The environment variables, each as `name=value` and a NUL.
fn variables(guest: &mut Guest<'_>) -> Vec<Vec<u8>> {
    guest.host().environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

/// Joins the parts of a scattered write, each an address and a size.
fn gather(guest: &mut Guest<'_>, parts: u32, count: u32) -> Result<Vec<u8>, Stop> {
    let table = guest.read(parts, count.checked_mul(8).ok_or(Stop::OutOfBounds)?)?;
    let (numbers, _) = table.as_chunks::<4>();
    let (pairs, _) = numbers.as_chunks::<2>();
    let mut bytes = Vec::new();
    for [address, size] in pairs {
        bytes.extend(guest.read(u32::from_le_bytes(*address), u32::from_le_bytes(*size))?);
    }
    Ok(bytes)
}

fn length<T>(items: &[T]) -> Result<u32, Stop> {
    u32::try_from(items.len()).map_err(|_| Stop::OutOfBounds)
}
