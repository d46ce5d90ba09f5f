//! The numbers of proxy-wasm's interface, version 0.2.1
//! ([its description](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1)), that the filter uses.

/// A header map.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum MapType {
    RequestHeaders = 0,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    AnswerHeaders = 6,
}

/// A buffer.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum BufferType {
    AnswerBody = 4,
    GrpcAnswer = 5,
    PluginConfiguration = 7,
}

/// What a metric is.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}
