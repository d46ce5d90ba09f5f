//! The edge that the scenarios run on: plugins and streams of the core, called as the module's host calls those of the
//! module.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use proxy_wasm_test_framework::{Action, HeaderMap, Host, HttpAnswer, LogLevel};
use tracewarden::config::{Config, Loaded};
use tracewarden::export::{Answer, Exporter, Exporters, Outlet};
use tracewarden::filter::{Filter, StreamContext};
use tracewarden::headers::Headers;

use crate::host::{Callback, Messages, Pass, Worker};

/// A plugin of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RootId(u32);

/// A stream of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(u32);

/// A worker with its plugins and streams. It cannot trap, but its callers are written for one that can.
pub(crate) struct Vm {
    worker: Worker,
    exporters: Exporters,
    plugins: BTreeMap<RootId, Plugin>,
    streams: BTreeMap<StreamId, Stream>,
    next: u32,
}

/// What comes of a call; there is no trap.
type Called<T> = Result<T, Infallible>;

#[derive(Default)]
struct Plugin {
    filter: Option<Rc<Filter>>,
    spans: Option<Outlet>,
    tick_period_ms: u32,
}

struct Stream {
    root: RootId,
    filter: Option<Rc<Filter>>,
    spans: Option<Outlet>,
    context: StreamContext,
    is_answered: bool,
    messages: Messages,
}

static NO_HEADERS: HeaderMap = HeaderMap::new();

/// A VM in that host.
pub(crate) fn start(host: Host) -> Vm {
    let (plugins, streams) = (BTreeMap::new(), BTreeMap::new());
    Vm { worker: Worker::new(host), exporters: Exporters::new(), plugins, streams, next: 1 }
}

impl Vm {
    /// Adds a plugin with that configuration, or answers `None` if it is refused.
    pub(crate) fn root(&mut self, configuration: &[u8]) -> Called<Option<RootId>> {
        let root = RootId(self.next);
        self.next += 1;
        self.plugins.insert(root, Plugin::default());
        Ok(self.reconfigure(root, configuration)?.then_some(root))
    }

    /// Gives a plugin a new configuration, unless that is refused.
    pub(crate) fn reconfigure(&mut self, root: RootId, configuration: &[u8]) -> Called<bool> {
        let environment = self.worker.host.environment.clone();
        let loaded = Config::load(configuration, |name| environment.get(name).cloned());
        let Loaded { config, notices } = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => {
                let line = format!("tracewarden: configuration refused: {problem}");
                self.worker.host.logs.push((LogLevel::Error, line));
                return Ok(false);
            }
        };
        let lines = notices.into_iter().map(|notice| (LogLevel::Warn, format!("tracewarden: {notice}")));
        self.worker.host.logs.extend(lines);
        let plugin = self.plugins.get_mut(&root).expect("a plugin");
        let mut callback = Callback { worker: &mut self.worker, messages: &mut Messages::default() };
        let export = config.export.as_ref().filter(|_| config.enabled);
        plugin.spans =
            export.map(|export| self.exporters.outlet(export, config.service.resource(&mut callback)));
        plugin.filter = config.enabled.then(|| Rc::new(Filter::new(config, "")));
        self.set_ticks(root);
        Ok(true)
    }

    fn set_ticks(&mut self, root: RootId) {
        let plugin = self.plugins.get_mut(&root).expect("a plugin");
        if plugin.spans.is_some() || self.exporters.is_needed() {
            self.exporters.join(root.0);
            plugin.tick_period_ms = Exporter::TICK_MS;
        } else {
            let mut callback = Callback { worker: &mut self.worker, messages: &mut Messages::default() };
            self.exporters.leave(root.0, &mut callback);
            plugin.tick_period_ms = 0;
        }
    }

    /// Looks whether a batch is to be sent.
    pub(crate) fn tick(&mut self, root: RootId) -> Called<()> {
        let mut callback = Callback { worker: &mut self.worker, messages: &mut Messages::default() };
        self.exporters.tick(root.0, &mut callback);
        self.set_ticks(root);
        Ok(())
    }

    /// The tick period that a plugin needs, in milliseconds; 0 is none.
    pub(crate) fn tick_period_ms(&self, root: RootId) -> u32 {
        self.plugins.get(&root).map_or(0, |plugin| plugin.tick_period_ms)
    }

    /// Answers an HTTP call of the plugin.
    pub(crate) fn answer_http(&mut self, root: RootId, token: u32, answer: HttpAnswer) -> Called<()> {
        let [headers, trailers] =
            [&answer.headers, &answer.trailers].map(|map| map.iter().collect::<Headers>());
        let came = !answer.headers.is_empty();
        let answer = came.then_some(Answer { headers: &headers, body: &answer.body, trailers: &trailers });
        let mut callback = Callback { worker: &mut self.worker, messages: &mut Messages::default() };
        self.exporters.answered(token, root.0, answer, &mut callback);
        Ok(())
    }

    /// Ends a plugin; what its open streams bring is dropped.
    pub(crate) fn delete_root(&mut self, root: RootId) -> Called<()> {
        let mut callback = Callback { worker: &mut self.worker, messages: &mut Messages::default() };
        self.plugins.remove(&root).expect("a plugin");
        self.exporters.leave(root.0, &mut callback);
        Ok(())
    }

    /// Opens a stream.
    pub(crate) fn stream(&mut self, root: RootId) -> Called<StreamId> {
        let id = StreamId(self.next);
        self.next += 1;
        let Plugin { filter, spans, .. } = self.plugins.get(&root).expect("a plugin");
        let stream = Stream {
            root,
            filter: filter.clone(),
            spans: spans.clone(),
            context: StreamContext::default(),
            is_answered: false,
            messages: Messages::default(),
        };
        self.streams.insert(id, stream);
        Ok(id)
    }

    /// Passes the headers of a request.
    pub(crate) fn request(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        self.set_request_headers(id, headers);
        let Stream { filter, context, messages, .. } = self.streams.get_mut(&id).expect("a stream");
        if let Some(filter) = filter {
            let headers: Headers = messages.request.iter().flat_map(HeaderMap::iter).collect();
            let callback = Callback { worker: &mut self.worker, messages };
            *context = filter.audited_request(&headers, &mut Pass::<false>(callback));
        }
        Ok(Action::Continue)
    }

    /// Passes the headers of a response.
    pub(crate) fn response(&mut self, id: StreamId, headers: impl Into<HeaderMap>) -> Called<Action> {
        self.set_response_headers(id, headers);
        let stream = self.streams.get_mut(&id).expect("a stream");
        stream.is_answered = true;
        let Stream { filter, context, messages, .. } = stream;
        if let Some(filter) = filter {
            let callback = Callback { worker: &mut self.worker, messages };
            filter.response(context, &mut Pass::<true>(callback));
        }
        Ok(Action::Continue)
    }

    /// Has the plugin look at a stream as it ended.
    pub(crate) fn log(&mut self, id: StreamId) -> Called<()> {
        let stream = self.streams.get_mut(&id).expect("a stream");
        let Some(filter) = &stream.filter else { return Ok(()) };
        let mut callback = Callback { worker: &mut self.worker, messages: &mut stream.messages };
        filter.ended(&stream.context, &mut callback);
        if !stream.is_answered {
            filter.unanswered(&stream.context, &mut callback);
        }
        let Some(outlet) = &stream.spans else { return Ok(()) };
        let mut is_due = false;
        filter.finish(std::mem::take(&mut stream.context), &mut callback, |span, host| {
            let mut exporter = outlet.exporter();
            exporter.take(span, host);
            is_due |= exporter.is_due(span.ended);
        });
        if let (Some(plugin), true) = (self.plugins.get_mut(&stream.root), is_due) {
            plugin.tick_period_ms = 1;
        }
        Ok(())
    }

    /// Whether the filter lets go of the stream: it always does.
    pub(crate) fn done(&mut self, id: StreamId) -> Called<bool> {
        assert!(self.streams.contains_key(&id));
        Ok(true)
    }

    /// Forgets the stream.
    pub(crate) fn delete(&mut self, id: StreamId) -> Called<()> {
        self.streams.remove(&id);
        Ok(())
    }

    /// Ends a stream.
    pub(crate) fn finish(&mut self, id: StreamId) -> Called<()> {
        self.log(id)?;
        self.delete(id)
    }

    /// The request's headers as the filter left them.
    pub(crate) fn request_headers(&self, id: StreamId) -> &HeaderMap {
        self.messages(id).and_then(|messages| messages.request.as_ref()).unwrap_or(&NO_HEADERS)
    }

    /// The response's headers as the filter left them.
    pub(crate) fn response_headers(&self, id: StreamId) -> &HeaderMap {
        self.messages(id).and_then(|messages| messages.response.as_ref()).unwrap_or(&NO_HEADERS)
    }

    /// Changes the request's headers between callbacks.
    pub(crate) fn set_request_headers(&mut self, id: StreamId, headers: impl Into<HeaderMap>) {
        self.streams.get_mut(&id).expect("a stream").messages.request = Some(headers.into());
    }

    /// Changes the response's headers between callbacks.
    pub(crate) fn set_response_headers(&mut self, id: StreamId, headers: impl Into<HeaderMap>) {
        self.streams.get_mut(&id).expect("a stream").messages.response = Some(headers.into());
    }

    /// Sets the trailers of the response.
    pub(crate) fn set_response_trailers(&mut self, id: StreamId, trailers: impl Into<HeaderMap>) {
        self.streams.get_mut(&id).expect("a stream").messages.response_trailers = Some(trailers.into());
    }

    /// What the filter put into the stream's filter state under that key, such as `wasm.trace_id`.
    pub(crate) fn filter_state(&self, id: StreamId, key: &str) -> Option<&[u8]> {
        self.messages(id)?.filter_state.get(key).map(Vec::as_slice)
    }

    /// The host.
    pub(crate) fn host(&self) -> &Host {
        &self.worker.host
    }

    /// The host, for changing it between callbacks.
    pub(crate) fn host_mut(&mut self) -> &mut Host {
        &mut self.worker.host
    }

    fn messages(&self, id: StreamId) -> Option<&Messages> {
        self.streams.get(&id).map(|stream| &stream.messages)
    }
}
