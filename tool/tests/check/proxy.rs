//! Parts of Envoy's configuration, and an Envoy that runs one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::envoy;
use crate::support::Directory;

pub(crate) fn any(kind: &str, mut value: Value) -> Value {
    let fields = value.as_object_mut().expect("an object");
    fields.insert("@type".to_owned(), format!("type.googleapis.com/{kind}").into());
    value
}

/// A filter of this name, whose plugin has this configuration and this module.
pub(crate) fn wasm(name: &str, configuration: &Value, module: &str) -> Value {
    let vm = json!({"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}});
    let config = json!({"name": name, "configuration": configuration, "vm_config": vm});
    json!({"name": name, "typed_config": any("envoy.extensions.filters.http.wasm.v3.Wasm", json!({"config": config}))})
}

pub(crate) fn text(value: &str) -> Value {
    any("google.protobuf.StringValue", json!({"value": value}))
}

pub(crate) fn ours(configuration: &str) -> Value {
    wasm("tracewarden", &text(configuration), "/etc/filter.wasm")
}

pub(crate) fn router(upstream: &[Value]) -> Value {
    let router =
        any("envoy.extensions.filters.http.router.v3.Router", json!({"upstream_http_filters": upstream}));
    json!({"name": "envoy.filters.http.router", "typed_config": router})
}

/// The same with another name and another policy.
pub(crate) fn named(name: &str, configuration: &str, policy: &str) -> Value {
    let mut filter = ours(configuration);
    filter["name"] = name.into();
    filter["typed_config"]["config"]["failure_policy"] = policy.into();
    filter
}

/// A filter that a resource of its name configures.
pub(crate) fn discovered(name: &str, file: &str) -> Value {
    json!({"name": name, "config_discovery": {
        "config_source": {"resource_api_version": "V3", "path_config_source": {"path": file}},
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }})
}

/// A listener on any free port, with these HTTP filters before the router, and these fields of its connection manager.
pub(crate) fn listener(name: &str, filters: &[Value], more: &Value) -> Value {
    let mut manager = json!({"stat_prefix": name, "http_filters": ([filters, &[router(&[])]].concat())});
    merge(&mut manager, more);
    let manager =
        any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager);
    json!({
        "name": name,
        "traffic_direction": "INBOUND",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    })
}

/// A virtual host of the host of its name, with these routes.
pub(crate) fn host(name: &str, routes: &[Value], more: &Value) -> Value {
    let mut host = json!({"name": name, "domains": [name], "routes": routes});
    merge(&mut host, more);
    host
}

/// A route to an upstream.
pub(crate) fn route(prefix: &str, more: &Value) -> Value {
    let mut route = json!({"match": {"prefix": prefix}, "route": {"cluster": "shop"}});
    merge(&mut route, more);
    route
}

/// What switches filters, each by its name, on or off.
pub(crate) fn switches(all: &[(&str, bool)]) -> Value {
    let each = all.iter().map(|(name, is_on)| {
        let fields = if *is_on { json!({"config": {}}) } else { json!({"disabled": true}) };
        ((*name).to_owned(), any("envoy.config.route.v3.FilterConfig", fields))
    });
    json!({"typed_per_filter_config": each.collect::<serde_json::Map<_, _>>()})
}

pub(crate) fn merge(into: &mut Value, more: &Value) {
    let more = more.as_object().expect("an object").clone();
    into.as_object_mut().expect("an object").extend(more);
}

/// An Envoy that runs until the test ends, in a directory of its own.
pub(crate) struct Proxy {
    child: Child,
    admin: u16,
    log: PathBuf,
}

impl Proxy {
    /// Starts it with this configuration, to which an admin port is added.
    pub(crate) fn start(directory: &Directory, bootstrap: &Value, variables: &[(&str, &str)]) -> Self {
        let mut bootstrap = bootstrap.clone();
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        merge(&mut bootstrap, &json!({"admin": {"address": address}}));
        let path = |name: &str| directory.0.join(name);
        fs::write(path("envoy.yaml"), bootstrap.to_string()).expect("a file");
        let child = Command::new(envoy())
            .args([Path::new("-c"), &path("envoy.yaml"), Path::new("--admin-address-path"), &path("admin")])
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("envoy.log")).expect("a file"))
            .spawn()
            .expect("Envoy starts");
        let mut proxy = Self { child, admin: 0, log: path("envoy.log") };
        let port = |text: String| text.trim().rsplit_once(':')?.1.parse().ok();
        proxy.admin = proxy.wait("its admin port", |_| port(fs::read_to_string(path("admin")).ok()?));
        proxy.wait("its readiness", |proxy| proxy.page("/ready").starts_with("LIVE").then_some(()));
        proxy
    }

    /// Waits until something is there.
    pub(crate) fn wait<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(
                self.child.try_wait().expect("a state").is_none(),
                "Envoy ended before {what}: {}",
                log()
            );
            assert!(Instant::now() < end, "no {what}: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A page of its admin port.
    pub(crate) fn page(&self, path: &str) -> String {
        ask(self.admin, "localhost", path).map_or_else(String::new, |(_, body)| body)
    }

    /// The head of what a listener answers.
    pub(crate) fn head(&self, listener: &str, host: &str, path: &str) -> String {
        let page: Value = serde_json::from_str(&self.page("/listeners?format=json")).expect("JSON");
        let all = page["listener_statuses"].as_array().expect("a list");
        let status = all.iter().find(|status| status["name"] == listener).expect(listener);
        let port = &status["local_address"]["socket_address"]["port_value"];
        let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
        ask(port, host, path).expect("an answer").0.to_ascii_lowercase()
    }
}

/// The head and the body of the answer of a server on this machine.
fn ask(port: u16, host: &str, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    // Such an answer is in one piece.
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((head.to_owned(), if is_chunked { joined(body) } else { body.to_owned() }))
}

/// A body without the lengths of its chunks.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
