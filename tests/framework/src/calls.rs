//! Every host call this host implements, by name.

const PROXY: &str = "env";
const WASI: &str = "wasi_snapshot_preview1";

/// Declares [`Call`], its import names and its list from one table.
macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident = $module:ident $name:literal,)*) => {
        /// A host call, proxy-wasm or WASI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($(#[$doc])* $call,)*
        }

        impl Call {
            /// Every host call.
            pub const ALL: &[Self] = &[$(Self::$call,)*];

            /// The import name, such as `proxy_log`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$call => $name,)*
                }
            }

            /// The module it is imported from, `env` or `wasi_snapshot_preview1`.
            pub const fn module(self) -> &'static str {
                match self {
                    $(Self::$call => $module,)*
                }
            }
        }
    };
}

calls! {
    /// Writes a line to the proxy's log.
    Log = PROXY "proxy_log",
    /// Tells the level of the proxy's log.
    GetLogLevel = PROXY "proxy_get_log_level",
    /// Tells the time.
    GetCurrentTime = PROXY "proxy_get_current_time_nanoseconds",
    /// Sets the period of `proxy_on_tick`.
    SetTickPeriod = PROXY "proxy_set_tick_period_milliseconds",
    /// Reads a buffer: the VM's or the plugin's configuration.
    GetBuffer = PROXY "proxy_get_buffer_bytes",
    /// Reads a whole header map.
    GetHeaders = PROXY "proxy_get_header_map_pairs",
    /// Overwrites a whole header map.
    SetHeaders = PROXY "proxy_set_header_map_pairs",
    /// Tells the bytes in a header map.
    GetHeadersSize = PROXY "proxy_get_header_map_size",
    /// Reads the first line of a name.
    GetHeader = PROXY "proxy_get_header_map_value",
    /// Appends a line.
    AddHeader = PROXY "proxy_add_header_map_value",
    /// Leaves one line of a name.
    ReplaceHeader = PROXY "proxy_replace_header_map_value",
    /// Removes all lines of a name.
    RemoveHeader = PROXY "proxy_remove_header_map_value",
    /// Reads a property.
    GetProperty = PROXY "proxy_get_property",
    /// Writes a property to the stream's filter state.
    SetProperty = PROXY "proxy_set_property",
    /// Defines a metric.
    DefineMetric = PROXY "proxy_define_metric",
    /// Adds to a counter or a gauge.
    IncrementMetric = PROXY "proxy_increment_metric",
    /// Sets a gauge, adds to a counter, or records into a histogram.
    RecordMetric = PROXY "proxy_record_metric",
    /// Reads a counter or a gauge.
    GetMetric = PROXY "proxy_get_metric",
    /// Reads shared data and its CAS number.
    GetSharedData = PROXY "proxy_get_shared_data",
    /// Writes shared data.
    SetSharedData = PROXY "proxy_set_shared_data",
    /// Sends an HTTP request.
    HttpCall = PROXY "proxy_http_call",
    /// Sends a gRPC request.
    GrpcCall = PROXY "proxy_grpc_call",
    /// Acts for another context until the callback returns.
    SetEffectiveContext = PROXY "proxy_set_effective_context",
    /// Ends a context that asked for time in `proxy_on_done`.
    Done = PROXY "proxy_done",
    /// Calls a function of the proxy's own; this host has none.
    CallForeignFunction = PROXY "proxy_call_foreign_function",
    /// Fills a buffer with random bytes.
    RandomGet = WASI "random_get",
    /// Tells the time.
    ClockTimeGet = WASI "clock_time_get",
    /// Tells how many environment variables there are.
    EnvironSizesGet = WASI "environ_sizes_get",
    /// Reads the environment variables.
    EnvironGet = WASI "environ_get",
    /// Writes to standard output or standard error.
    FdWrite = WASI "fd_write",
    /// Ends the program, which is a trap here.
    ProcExit = WASI "proc_exit",
}

impl Call {
    pub(crate) fn is_wasi(self) -> bool {
        self.module() == WASI
    }

    /// Whether the call answers bytes that a fault can put others in place of.
    pub(crate) fn gives_bytes(self) -> bool {
        matches!(
            self,
            Self::GetBuffer
                | Self::GetHeaders
                | Self::GetHeader
                | Self::GetProperty
                | Self::GetSharedData
                | Self::CallForeignFunction
        )
    }
}
