//! What the host asks of its embedder for a whole VM, answered from the framework's [`Host`].

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};

use proxy_wasm_host::abi::v0_2_1::types::{LogLevel, MetricType, Status};
use proxy_wasm_host::abi::v0_2_1::{
    CalloutId, Callouts, Clock, HttpCall, HttpCallRefusal, Invocation, LogContext, LogSink, MetricId,
    SharedServices, SharedValue,
};
use proxy_wasm_test_framework as framework;
use proxy_wasm_test_framework::{Call, Fault, Host};

/// The services of a VM. They hold the host while a callback runs.
#[derive(Default)]
pub(crate) struct Services {
    host: Mutex<Host>,
    /// The metrics, whose ids are their places, counted from 1.
    metrics: Mutex<Vec<(MetricType, String)>>,
}

impl Services {
    pub(crate) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().expect("no callback panicked")
    }

    /// Counts a call of the guest. Returns the bytes that a fault puts in place of its answer.
    pub(crate) fn enter(&self, call: Call) -> Result<Option<Vec<u8>>, Status> {
        match self.host().enter(call) {
            None => Ok(None),
            Some(Fault::Buffer(bytes)) => Ok(Some(bytes)),
            Some(Fault::Status(number)) => {
                let number = i32::try_from(number).expect("a status");
                Err(Status::try_from(number).expect("a status that this host knows"))
            }
            Some(fault) => panic!("{fault:?}: this host cannot answer that"),
        }
    }

    fn metric(&self, id: MetricId) -> Result<(MetricType, String), Status> {
        let metrics = self.metrics.lock().expect("no callback panicked");
        metrics.get(id.get() as usize - 1).cloned().ok_or(Status::NotFound)
    }
}

impl LogSink for Services {
    fn log(&self, _: LogContext<'_>, level: LogLevel, message: &[u8]) {
        let level = match level {
            LogLevel::Trace => framework::LogLevel::Trace,
            LogLevel::Debug => framework::LogLevel::Debug,
            LogLevel::Info => framework::LogLevel::Info,
            LogLevel::Warn => framework::LogLevel::Warn,
            LogLevel::Error => framework::LogLevel::Error,
            LogLevel::Critical => framework::LogLevel::Critical,
        };
        self.host().logs.push((level, String::from_utf8_lossy(message).into_owned()));
    }
}

impl Clock for Services {
    fn realtime_nanos(&self) -> u64 {
        self.enter(Call::GetCurrentTime).expect("this host's clock cannot fail");
        self.host().now_ns
    }

    fn monotonic_nanos(&self) -> u64 {
        self.host().now_ns
    }
}

impl Callouts for Services {
    fn http_call(
        &self,
        _: Invocation,
        callout: CalloutId,
        request: HttpCall<'_>,
    ) -> Result<(), HttpCallRefusal> {
        self.enter(Call::HttpCall).map_err(|status| match status {
            Status::BadArgument => HttpCallRefusal::UnknownUpstream,
            Status::InternalFailure => HttpCallRefusal::Failed,
            _ => panic!("{status:?}: this host cannot answer that"),
        })?;
        self.host().http_calls.push(framework::HttpCall {
            token: callout.get(),
            upstream: String::from_utf8(request.upstream.into_owned()).expect("a cluster"),
            headers: request.headers.into_iter().collect(),
            body: request.body.into_owned(),
            trailers: request.trailers.into_iter().collect(),
            timeout_ms: u32::try_from(request.timeout.as_millis()).expect("a short time"),
        });
        Ok(())
    }
}

impl SharedServices for Services {
    fn get_shared_data(&self, _: Invocation, _: &[u8], key: &[u8]) -> Result<SharedValue, Status> {
        if let Some(bytes) = self.enter(Call::GetSharedData)? {
            return Ok(SharedValue::new(bytes, NonZeroU32::MIN));
        }
        let host = self.host();
        let (value, cas) = host.shared_data.get(key).ok_or(Status::NotFound)?;
        Ok(SharedValue::new(value.clone(), NonZeroU32::new(*cas).ok_or(Status::InternalFailure)?))
    }

    fn set_shared_data(
        &self,
        _: Invocation,
        _: &[u8],
        key: &[u8],
        value: &[u8],
        cas: Option<u32>,
    ) -> Result<(), Status> {
        self.enter(Call::SetSharedData)?;
        let mut host = self.host();
        let own = host.shared_data.get(key).map(|(_, own)| *own);
        if own.is_some() && cas.is_some() && cas != own {
            return Err(Status::CasMismatch);
        }
        host.shared_data.insert(key.to_vec(), (value.to_vec(), own.unwrap_or_default() + 1));
        Ok(())
    }

    fn define_metric(
        &self,
        _: Invocation,
        _: &[u8],
        kind: MetricType,
        name: &[u8],
    ) -> Result<MetricId, Status> {
        self.enter(Call::DefineMetric)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| Status::BadArgument)?;
        let mut host = self.host();
        match kind {
            MetricType::Counter => host.metrics_mut().count(&name, 0),
            MetricType::Gauge => host.metrics_mut().adjust(&name, 0),
            MetricType::Histogram => {}
        }
        let mut metrics = self.metrics.lock().expect("no callback panicked");
        let place = metrics.iter().position(|(_, known)| *known == name).unwrap_or_else(|| {
            metrics.push((kind, name));
            metrics.len() - 1
        });
        if metrics[place].0 != kind {
            return Err(Status::BadArgument);
        }
        let id = u32::try_from(place + 1).map_err(|_| Status::InternalFailure)?;
        MetricId::try_from(id).map_err(|_| Status::InternalFailure)
    }

    fn record_metric(&self, _: Invocation, metric: MetricId, value: u64) -> Result<(), Status> {
        self.enter(Call::RecordMetric)?;
        let (kind, name) = self.metric(metric)?;
        let mut host = self.host();
        match kind {
            MetricType::Counter => return Err(Status::BadArgument),
            MetricType::Gauge => {
                let old = host.metric(&name).unwrap_or_default();
                host.metrics_mut().adjust(&name, value.wrapping_sub(old).cast_signed());
            }
            MetricType::Histogram => host.metrics_mut().observe(&name, value),
        }
        Ok(())
    }

    fn increment_metric(&self, _: Invocation, metric: MetricId, delta: i64) -> Result<(), Status> {
        self.enter(Call::IncrementMetric)?;
        let (kind, name) = self.metric(metric)?;
        let mut host = self.host();
        match (kind, u64::try_from(delta)) {
            (MetricType::Counter, Ok(number)) if number > 0 => host.metrics_mut().count(&name, number),
            (MetricType::Gauge, _) => host.metrics_mut().adjust(&name, delta),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn get_metric(&self, _: Invocation, metric: MetricId) -> Result<u64, Status> {
        self.enter(Call::GetMetric)?;
        let (_, name) = self.metric(metric)?;
        self.host().metric(&name).ok_or(Status::NotFound)
    }
}

/// The framework's lines as the host takes them.
pub(crate) fn pairs(lines: &framework::HeaderMap) -> Vec<(Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    lines.iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect()
}
