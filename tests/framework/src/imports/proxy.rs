//! Logs, time, buffers, properties, contexts and calls to other services.

use wasmtime::{Caller, Linker};

use crate::guest::{Guest, Slot};
use crate::{Call, GrpcCall, HeaderMap, Host, HttpCall, LogLevel, Status};

const HTTP_ANSWER: u32 = 4;
const GRPC_ANSWER: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    import!(linker, Log(level: u32, text: u32, size: u32), |guest| {
        let line = (LogLevel::from_number(level)?, guest.read_text(text, size)?);
        guest.host().logs.push(line);
        Ok(())
    });
    import!(linker, GetLogLevel(level: u32), |guest| {
        let own = guest.host().log_level as u32;
        guest.write_u32(level, own)
    });
    import!(linker, GetCurrentTime(time: u32), |guest| {
        let now = guest.host().now_ns;
        guest.write_u64(time, now)
    });
    import!(linker, SetTickPeriod(milliseconds: u32), |guest| {
        guest.host().root().tick_period_ms = milliseconds;
        Ok(())
    });
    import!(linker, GetBuffer(buffer, start, limit) -> (data, size), |guest| {
        let bytes = match buffer {
            VM_CONFIGURATION => guest.host().vm_configuration.clone(),
            PLUGIN_CONFIGURATION => guest.host().root().configuration.clone(),
            HTTP_ANSWER | GRPC_ANSWER => guest.host().context().answer_body.clone(),
            _ => return Err(Status::NotFound.into()),
        };
        start.checked_add(limit).ok_or(Status::BadArgument)?;
        Ok(bytes.into_iter().skip(start as usize).take(limit as usize).collect())
    });
    import!(linker, GetProperty(path, path_size) -> (data, size), |guest| {
        let path = guest.read(path, path_size)?;
        Ok(guest.host().property(&path)?)
    });
    import!(linker, SetProperty(path: u32, path_size: u32, value: u32, value_size: u32), |guest| {
        let (path, value) = (guest.read(path, path_size)?, guest.read(value, value_size)?);
        Ok(guest.host().store_property(&path, value)?)
    });
    import!(linker, SetEffectiveContext(context: u32), |guest| {
        Ok(guest.host().set_effective(context)?)
    });
    import!(linker, Done(), |guest| {
        match std::mem::take(&mut guest.host().context().lingers) {
            true => Ok(()),
            false => Err(Status::NotFound.into()),
        }
    });
    Ok(())
}

pub(super) fn link_calls(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    import!(
        linker,
        HttpCall(
            upstream: u32, upstream_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32,
            trailers: u32, trailers_size: u32, timeout_ms: u32, token: u32
        ),
        |guest| {
            let call = HttpCall {
                token: guest.host().next_token(),
                upstream: guest.read_text(upstream, upstream_size)?,
                headers: HeaderMap::from_bytes(&guest.read(headers, headers_size)?),
                body: guest.read(body, body_size)?,
                trailers: HeaderMap::from_bytes(&guest.read(trailers, trailers_size)?),
                timeout_ms,
            };
            if [":method", ":path", ":authority"].iter().any(|name| call.headers.get(name).is_none()) {
                return Err(Status::BadArgument.into());
            }
            guest.write_u32(token, call.token)?;
            guest.host().http_calls.push(call);
            Ok(())
        }
    );
    import!(
        linker,
        GrpcCall(
            upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32, method_size: u32,
            metadata: u32, metadata_size: u32, message: u32, message_size: u32, timeout_ms: u32, token: u32
        ),
        |guest| {
            let call = GrpcCall {
                token: guest.host().next_token(),
                upstream: guest.read(upstream, upstream_size)?,
                service: guest.read_text(service, service_size)?,
                method: guest.read_text(method, method_size)?,
                metadata: HeaderMap::from_bytes(&guest.read(metadata, metadata_size)?),
                message: guest.read(message, message_size)?,
                timeout_ms,
            };
            guest.write_u32(token, call.token)?;
            guest.host().grpc_calls.push(call);
            Ok(())
        }
    );
    import!(linker, CallForeignFunction(name, name_size, arguments, arguments_size) -> (data, size), |guest| {
        let (name, arguments) = (guest.read_text(name, name_size)?, guest.read(arguments, arguments_size)?);
        Ok(guest.host().call_foreign(&name, &arguments)?)
    });
    Ok(())
}
