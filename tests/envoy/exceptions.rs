//! One proxy as an exception among those that share a configuration, by the environment of its own process.

use serde_json::json;

use crate::support::Scratch;
use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, merge, tracewarden};
use crate::support::client::get;
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;

/// What the manifests let a Pod say.
const OF_THE_POD: [&str; 6] = [
    "ENABLE_DISTRIBUTED_TRACING",
    "TRACE_SAMPLING_RATE",
    "TRACEWARDEN_MODE",
    "TRACEWARDEN_ROLE",
    "TRACEWARDEN_EXCLUDE",
    "TRACEWARDEN_CORRELATION",
];

#[test]
fn a_proxy_overrides_what_its_plugin_says() {
    // A variable of the proxy; what is counted of a request for `/` without a context; whether a trace starts.
    let rows: &[(&[(&str, &str)], Option<&str>, bool)] = &[
        (&[], Some("requests inbound internal enforce lost"), true),
        (&[("TRACEWARDEN_MODE", "observe")], Some("requests inbound internal observe lost"), false),
        (&[("TRACEWARDEN_ROLE", "edge")], Some("requests inbound edge enforce started"), true),
        (
            &[("TRACEWARDEN_EXCLUDE", r#"[{"path": "/"}]"#)],
            Some("requests inbound internal enforce excluded"),
            false,
        ),
        (&[("TRACEWARDEN_CORRELATION", "{}")], Some("correlation remembered"), true),
        (&[("TRACE_SAMPLING_RATE", "0")], Some("sampled drop probability"), true),
        (&[("ENABLE_DISTRIBUTED_TRACING", "false")], None, false),
        (&[("TRACEWARDEN_MODE", "")], Some("requests inbound internal enforce lost"), true),
        // What the manifests do with a mistake.
        (&[("TRACEWARDEN_MODE", "look")], Some("bypassed"), false),
    ];
    let upstream = Upstream::start();
    let stated = r#"{"environment": "override", "direction": "inbound", "mode": "enforce", "role": "internal",
        "exclude": [{"path": "/healthz"}], "sampling": {"probability": 1}}"#;
    let mut plugin = tracewarden(stated);
    let vm = plugin.pointer_mut("/typed_config/config/vm_config").expect("a plugin has a VM");
    let variables =
        json!({"key_values": {"TRACEWARDEN_ON_BAD_CONFIG": "bypass"}, "host_env_keys": OF_THE_POD});
    merge(vm, json!({"environment_variables": variables}));
    let listener = listener("mesh", &[plugin], all_to("upstream"));
    let bootstrap = bootstrap(&[listener], &[cluster("upstream", upstream.port)]);
    for (environment, counted, starts) in rows {
        let envoy = Envoy::start_as(Scratch::new("exceptions"), &bootstrap, environment);
        assert_eq!(get(envoy.port("mesh"), "/", &[]).status(), 200, "{environment:?}");
        let sent = upstream.take_one();
        assert_eq!(!sent.all("traceparent").is_empty(), *starts, "{environment:?}");
        let counters = envoy.counters();
        match counted {
            Some(counter) => assert_eq!(counters.get(*counter), Some(&1), "{environment:?}: {counters:?}"),
            None => assert!(counters.is_empty(), "{environment:?}: {counters:?}"),
        }
        let enabled = envoy.stats("tracewarden_enabled");
        let expected: &[u64] = match counted {
            Some("bypassed") => &[],
            Some(_) => &[1],
            None => &[0],
        };
        assert_eq!(enabled.into_values().collect::<Vec<_>>(), expected, "{environment:?}");
    }
}
