//! Metrics and shared data.

use wasmtime::{Caller, Linker};

use crate::guest::{Guest, Slot};
use crate::{Call, Host, Status};

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    import!(linker, DefineMetric(kind: u32, name: u32, name_size: u32, id: u32), |guest| {
        let name = guest.read_text(name, name_size)?;
        let given = guest.host().metrics.define(kind, name)?;
        guest.write_u32(id, given)
    });
    import!(linker, IncrementMetric(id: u32, offset: i64), |guest| {
        Ok(guest.host().metrics.increment(id, offset)?)
    });
    import!(linker, RecordMetric(id: u32, value: u64), |guest| {
        Ok(guest.host().metrics.record(id, value)?)
    });
    import!(linker, GetMetric(id: u32, value: u32), |guest| {
        let found = guest.host().metrics.value(id)?;
        guest.write_u64(value, found)
    });
    import!(linker, GetSharedData(key, key_size) -> (data, size, cas), |guest| {
        let key = guest.read(key, key_size)?;
        let (value, number) = guest.host().shared_data.get(&key).cloned().ok_or(Status::NotFound)?;
        guest.write_u32(cas, number)?;
        Ok(value)
    });
    import!(linker, SetSharedData(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32), |guest| {
        let (key, value) = (guest.read(key, key_size)?, guest.read(value, value_size)?);
        Ok(guest.host().share(key, value, cas)?)
    });
    Ok(())
}
