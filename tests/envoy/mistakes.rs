//! A bad configuration with `TRACEWARDEN_ON_BAD_CONFIG=bypass`: no request fails, and what works is not switched off.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::reload::{configure, count, watching};
use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, merge, tracewarden_in};
use crate::support::client::{Client, get, request};
use crate::support::envoy::Envoy;
use crate::support::upstream::Upstream;
use crate::support::wait_for;

const GOOD: &str = r#"{"direction": "inbound"}"#;
const MISTAKE: &str = r#"{"direction": "sideways"}"#;
const LOST: &str = "requests inbound internal enforce lost";
/// Longer than a beat of the workers counts.
const BEATS: Duration = Duration::from_millis(4_500);

/// A plugin of this name that bypasses a bad configuration.
fn plugin(name: &str, configuration: &str) -> Value {
    let mut plugin = tracewarden_in("mistakes", configuration);
    let config = plugin.pointer_mut("/typed_config/config").expect("a plugin");
    merge(config, json!({"name": name}));
    let vm = config.pointer_mut("/vm_config").expect("a plugin has a VM");
    merge(vm, json!({"environment_variables": {"key_values": {"TRACEWARDEN_ON_BAD_CONFIG": "bypass"}}}));
    plugin
}

fn passes(port: u16) {
    assert_eq!(Client::connect(port).send(&request("/", &[])).status(), 200);
}

fn updates(envoy: &Envoy, result: &str) -> u64 {
    envoy.stats(&format!("^listener_manager.lds.update_{result}$")).values().sum()
}

#[test]
fn a_live_mistake_leaves_what_works_as_it_is() {
    let upstream = Upstream::start();
    let envoy = watching("mistakes-live", &upstream, plugin("shop", GOOD), "1");
    sleep(Duration::from_millis(2_000));
    configure(envoy.scratch(), plugin("shop", MISTAKE));
    wait_for("the refusal", || (updates(&envoy, "rejected") == 1).then_some(()));
    for _ in 0..10 {
        passes(envoy.port("mesh"));
    }
    assert_eq!((count(&envoy, LOST), count(&envoy, "bypassed")), (10, 0), "the good one works");
    assert!(envoy.log().contains("a good configuration of this plugin runs, and Envoy keeps it"));
}

/// Envoy remembers that it took the mistake at the start, and does not ask again. The workers may not refuse it then.
#[test]
fn a_mistake_that_envoy_knows_fails_no_request() {
    let upstream = Upstream::start();
    let mut envoy = watching("mistakes-known", &upstream, plugin("shop", MISTAKE), "1");
    passes(envoy.port("mesh"));
    configure(envoy.scratch(), plugin("shop", GOOD));
    let port = envoy.find_port("mesh");
    wait_for("the fix", || {
        passes(port);
        (count(&envoy, LOST) > 0).then_some(())
    });
    // What was decided at the start is followed for ten seconds.
    sleep(Duration::from_secs(11));
    configure(envoy.scratch(), plugin("shop", MISTAKE));
    wait_for("the answer", || (updates(&envoy, "success") + updates(&envoy, "rejected") == 3).then_some(()));
    let port = envoy.find_port("mesh");
    for _ in 0..20 {
        passes(port);
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_plugin_that_was_deleted_and_comes_back_with_a_mistake_is_bypassed() {
    let upstream = Upstream::start();
    let mut envoy = watching("mistakes-deleted", &upstream, plugin("shop", GOOD), "1");
    sleep(Duration::from_millis(2_000));
    configure(envoy.scratch(), None);
    wait_for("the listener's end", || Client::try_connect(envoy.port("mesh")).is_err().then_some(()));
    // The listener drains for a second, and the last beat counts for three.
    sleep(BEATS);
    configure(envoy.scratch(), plugin("shop", MISTAKE));
    let port = envoy.find_port("mesh");
    passes(port);
    assert_eq!(count(&envoy, "bypassed"), 1, "200, and counted");
}

#[test]
fn a_mistake_of_a_plugin_without_a_name_is_bypassed() {
    let upstream = Upstream::start();
    let mut envoy = watching("mistakes-unnamed", &upstream, plugin("", GOOD), "1");
    sleep(Duration::from_millis(2_000));
    configure(envoy.scratch(), plugin("", MISTAKE));
    wait_for("the update", || (updates(&envoy, "success") == 2).then_some(()));
    let port = envoy.find_port("mesh");
    wait_for("the bypass", || {
        passes(port);
        (count(&envoy, "bypassed") > 0).then_some(())
    });
    assert_eq!(updates(&envoy, "rejected"), 0);
}

#[test]
fn a_start_with_a_mistake_serves_every_request() {
    let upstream = Upstream::start();
    let plugins = [("first", plugin("shop", GOOD)), ("second", plugin("shop", MISTAKE))];
    let listeners = plugins.map(|(name, plugin)| listener(name, &[plugin], all_to("upstream")));
    let clusters = [cluster("upstream", upstream.port)];
    for round in 0..2 {
        // The second round is a restart.
        let envoy = Envoy::start(&format!("mistakes-start-{round}"), &bootstrap(&listeners, &clusters));
        for _ in 0..8 {
            assert_eq!(get(envoy.port("first"), "/", &[]).status(), 200);
            assert_eq!(get(envoy.port("second"), "/", &[]).status(), 200);
        }
        assert_eq!((count(&envoy, LOST), count(&envoy, "bypassed")), (8, 8));
    }
}
