//! Header maps.

use wasmtime::{Caller, Linker};

use crate::guest::{Guest, Slot};
use crate::{Call, HeaderMap, Host, Status};

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    import!(linker, GetHeaders(map) -> (data, size), |guest| {
        // A closed map and an empty one look the same: null.
        let headers = guest.host().context().headers(map)?.filter(|headers| !headers.is_empty());
        Ok(headers.map(HeaderMap::to_bytes).unwrap_or_default())
    });
    import!(linker, GetHeader(map, name, name_size) -> (data, size), |guest| {
        let name = guest.read(name, name_size)?;
        Ok(guest.host().context().header(map, &name)?)
    });
    import!(linker, GetHeadersSize(map: u32, size: u32), |guest| {
        let headers = guest.host().context().headers(map)?.ok_or(Status::BadArgument)?;
        let bytes = u32::try_from(headers.byte_size()).unwrap_or(u32::MAX);
        guest.write_u32(size, bytes)
    });
    import!(linker, SetHeaders(map: u32, data: u32, size: u32), |guest| {
        let bytes = guest.read(data, size)?;
        *guest.host().context().headers_mut(map)? = HeaderMap::from_bytes(&bytes);
        Ok(())
    });
    import!(linker, AddHeader(map: u32, name: u32, name_size: u32, value: u32, value_size: u32), |guest| {
        let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
        guest.host().context().headers_mut(map)?.add(name, value);
        Ok(())
    });
    import!(linker, ReplaceHeader(map: u32, name: u32, name_size: u32, value: u32, value_size: u32), |guest| {
        let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
        guest.host().context().headers_mut(map)?.replace(name, value);
        Ok(())
    });
    import!(linker, RemoveHeader(map: u32, name: u32, name_size: u32), |guest| {
        let name = guest.read(name, name_size)?;
        guest.host().context().headers_mut(map)?.remove(name);
        Ok(())
    });
    Ok(())
}
