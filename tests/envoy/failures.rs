//! What Envoy does when the module fails, by its failure policy and the cause: the table in `docs/envoy.md`.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::reload::{configure, count, discover, discovered, start_watching};
use crate::support::bootstrap::{all_to, bootstrap, cluster, listener, merge, tracewarden};
use crate::support::client::{Client, get, request};
use crate::support::envoy::{Envoy, run_to_the_end};
use crate::support::trap::{trap, trapping};
use crate::support::upstream::{Upstream, ok_with};
use crate::support::{Scratch, free_port, module, wait_for};

const EDGE: &str = r#"{"direction": "inbound", "role": "edge"}"#;
const OTHER: &str = r#"{"direction": "inbound", "role": "edge", "sampling": {"probability": 0.5}}"#;
const REFUSED: &str = r#"{"direction": "sideways"}"#;
const STARTED: &str = "requests inbound edge enforce started";
const POLICIES: [&str; 3] = ["FAIL_OPEN", "FAIL_CLOSED", "FAIL_RELOAD"];
/// Longer than `FAIL_RELOAD` takes, so that what has not changed until then stays.
const A_WHILE: Duration = Duration::from_secs(4);

/// The filter with this policy, configuration and code.
fn plugin(policy: &str, configuration: &str, code: Value) -> Value {
    let mut plugin = tracewarden(configuration);
    let config = plugin.pointer_mut("/typed_config/config").expect("a plugin");
    merge(config, json!({"failure_policy": policy}));
    merge(config.pointer_mut("/vm_config").expect("a VM"), json!({"code": code}));
    plugin
}

fn local(path: &Path) -> Value {
    json!({"local": {"filename": path}})
}

/// The module as a web server would give it, that is the cluster `modules`.
fn remote(sha256: &str) -> Value {
    json!({"remote": {
        "http_uri": {"uri": "http://modules/tracewarden.wasm", "cluster": "modules", "timeout": "5s"},
        "sha256": sha256,
        "retry_policy": {"num_retries": 1},
    }})
}

fn digest() -> String {
    let bytes = Sha256::digest(std::fs::read(module()).expect("the module"));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn statuses(port: u16) -> [u16; 4] {
    [(); 4].map(|()| get(port, "/", &[]).status())
}

fn stat(envoy: &Envoy, name: &str) -> u64 {
    envoy.stats(&format!("^{name}$")).values().sum()
}

#[test]
fn a_trap_in_one_of_four_workers() {
    for policy in POLICIES {
        let upstream = Upstream::start();
        let scratch = Scratch::new(&format!("failures-trap-{policy}"));
        let module = trapping(&scratch);
        discover(&scratch, &plugin(policy, EDGE, local(&module)));
        let envoy = start_discovering(scratch, &upstream, &[], &["--concurrency", "4"]);
        // The workers take turns, so each has one of these.
        let mut clients = [(); 4].map(|()| Client::connect(envoy.port("mesh")));
        let mut ask = || clients.each_mut().map(|client| client.send(&request("/", &[])).status());
        assert_eq!(ask(), [200; 4], "{policy}");
        let mut first = Client::connect(envoy.port("mesh"));
        assert_eq!(first.send(&request("/", &[])).status(), 200, "{policy}");
        assert_eq!(first.send(&trap()).status(), 503, "{policy}: the request that traps");
        // Only the worker of this connection has trapped. What its requests get is what the policy says.
        let mut after = || first.send(&request("/", &[])).status();
        if policy == "FAIL_RELOAD" {
            wait_for("a new VM", || (after() == 200).then_some(()));
            assert_eq!(stat(&envoy, "wasm.tracewarden.vm_reload_success"), 1);
            let series = "envoy_wasm_tracewarden_vm_reload_success{} 1";
            assert!(envoy.admin_page("/stats/prometheus").contains(series));
        } else {
            sleep(A_WHILE);
        }
        let before = count(&envoy, STARTED);
        let expected = if policy == "FAIL_CLOSED" { 503 } else { 200 };
        assert_eq!([(); 10].map(|()| after()), [expected; 10], "{policy}");
        let counted = if policy == "FAIL_RELOAD" { 10 } else { 0 };
        assert_eq!(count(&envoy, STARTED) - before, counted, "{policy}");
        // One of the four shares the worker that trapped. `/ready` says nothing of it.
        let mut others = ask();
        others.sort_unstable();
        assert_eq!(others, [200, 200, 200, expected], "{policy}");
        let seen = if policy == "FAIL_RELOAD" { 4 } else { 3 };
        assert_eq!(count(&envoy, STARTED) - before - counted, seen, "{policy}");
        assert_eq!(envoy.admin_page("/ready"), "LIVE\n", "{policy}");
        // Another configuration has new VMs.
        discover(envoy.scratch(), &plugin(policy, OTHER, local(&module)));
        wait_for("another configuration", || (updates(&envoy, "success") == 2).then_some(()));
        wait_for("a new VM", || {
            let before = count(&envoy, STARTED);
            (first.send(&request("/", &[])).status() == 200 && count(&envoy, STARTED) > before).then_some(())
        });
    }
}

/// A way in which a plugin can not be created, and what Envoy says of it.
struct Unusable {
    name: &'static str,
    configuration: &'static str,
    /// Whether the module's file is there, a part of it, or all.
    module: fn(&Scratch) -> std::path::PathBuf,
    says: &'static str,
}

const UNUSABLE: [Unusable; 3] = [
    Unusable {
        name: "no-file",
        configuration: EDGE,
        module: |scratch| scratch.path("nowhere.wasm"),
        says: "Invalid path: ",
    },
    Unusable {
        name: "half-a-file",
        configuration: EDGE,
        module: |scratch| {
            let bytes = std::fs::read(module()).expect("the module");
            let (half, _) = bytes.split_at(bytes.len() / 2);
            std::fs::write(scratch.path("half.wasm"), half).expect("half a module");
            scratch.path("half.wasm")
        },
        says: "Unable to create Wasm plugin tracewarden",
    },
    Unusable {
        name: "refused",
        configuration: REFUSED,
        module: |_| module(),
        says: "Unable to create Wasm plugin tracewarden",
    },
];

impl Unusable {
    fn plugin(&self, policy: &str, scratch: &Scratch) -> Value {
        plugin(policy, self.configuration, local(&(self.module)(scratch)))
    }
}

#[test]
fn a_plugin_that_can_not_be_created_ends_a_static_envoy() {
    for policy in POLICIES {
        for unusable in &UNUSABLE {
            let name = format!("failures-static-{policy}-{}", unusable.name);
            let files = Scratch::new(&format!("{name}-files"));
            let listener = listener("mesh", &[unusable.plugin(policy, &files)], all_to("upstream"));
            let (status, log) = run_to_the_end(&name, &bootstrap(&[listener], &[cluster("upstream", 9)]));
            assert_eq!(status.code(), Some(1), "{name}");
            assert!(log.contains(unusable.says), "{name}: {log}");
        }
    }
}

#[test]
fn a_plugin_that_can_not_be_created_by_lds() {
    for policy in POLICIES {
        for unusable in &UNUSABLE {
            let name = format!("failures-lds-{policy}-{}", unusable.name);
            let upstream = Upstream::start();
            let scratch = Scratch::new(&name);
            configure(&scratch, unusable.plugin(policy, &scratch));
            let mut envoy = start_watching(scratch, &[cluster("upstream", upstream.port)], "1");
            // Envoy is ready and has no listener: nothing listens on the edge's port.
            assert_eq!(envoy.admin_page("/listeners"), "", "{name}");
            assert!(envoy.log().contains(unusable.says), "{name}: {}", envoy.log());

            configure(envoy.scratch(), plugin(policy, EDGE, local(&module())));
            let port = envoy.find_port("mesh");
            assert_eq!(statuses(port), [200; 4], "{name}");
            let rejected = stat(&envoy, "listener_manager.lds.update_rejected");
            configure(envoy.scratch(), unusable.plugin(policy, envoy.scratch()));
            wait_for("the refusal", || {
                (stat(&envoy, "listener_manager.lds.update_rejected") > rejected).then_some(())
            });
            assert_eq!(
                (statuses(port), count(&envoy, STARTED)),
                ([200; 4], 8),
                "{name}: the old one goes on"
            );
        }
    }
}

#[test]
fn a_plugin_that_can_not_be_created_by_ecds() {
    for policy in POLICIES {
        for unusable in &UNUSABLE {
            let name = format!("failures-ecds-{policy}-{}", unusable.name);
            let upstream = Upstream::start();
            let scratch = Scratch::new(&name);
            discover(&scratch, &unusable.plugin(policy, &scratch));
            let envoy = start_discovering(scratch, &upstream, &[], &[]);
            let port = envoy.port("mesh");
            assert_eq!((statuses(port), count(&envoy, STARTED)), ([500; 4], 0), "{name}");
            assert!(envoy.log().contains(unusable.says), "{name}: {}", envoy.log());

            discover(envoy.scratch(), &plugin(policy, EDGE, local(&module())));
            wait_for("the fix", || (updates(&envoy, "success") == 1).then_some(()));
            assert_eq!((statuses(port), count(&envoy, STARTED)), ([200; 4], 4), "{name}");
            let rejected = updates(&envoy, "rejected");
            discover(envoy.scratch(), &unusable.plugin(policy, envoy.scratch()));
            wait_for("the refusal", || (updates(&envoy, "rejected") > rejected).then_some(()));
            assert_eq!(
                (statuses(port), count(&envoy, STARTED)),
                ([200; 4], 8),
                "{name}: the old one goes on"
            );
        }
    }
}

/// An Envoy whose only filter is the one that [`discover`] writes.
fn start_discovering(scratch: Scratch, upstream: &Upstream, more: &[Value], arguments: &[&str]) -> Envoy {
    let listener = listener("mesh", &[discovered(&scratch)], all_to("upstream"));
    let clusters = [&[cluster("upstream", upstream.port)], more].concat();
    let mut config = bootstrap(&[listener], &clusters);
    merge(&mut config, json!({"node": {"id": "test", "cluster": "test"}}));
    Envoy::start_in(scratch, &config, arguments)
}

fn updates(envoy: &Envoy, result: &str) -> u64 {
    stat(envoy, &format!("extension_config_discovery.http_filter.tracewarden.update_{result}"))
}

/// A server that has the module, at this port.
fn serve_module(port: u16) -> Upstream {
    let bytes = std::fs::read(module()).expect("the module");
    Upstream::answering_at(port, move |_| ok_with("application/wasm", &bytes))
}

#[test]
fn a_module_server_that_is_down_at_the_start() {
    for policy in POLICIES {
        let (upstream, server) = (Upstream::start(), free_port());
        let listener = listener("mesh", &[plugin(policy, EDGE, remote(&digest()))], all_to("upstream"));
        let clusters = [cluster("upstream", upstream.port), cluster("modules", server)];
        let envoy = Envoy::start(&format!("failures-remote-{policy}"), &bootstrap(&[listener], &clusters));
        let expected = if policy == "FAIL_OPEN" { 200 } else { 503 };
        let port = envoy.port("mesh");
        assert_eq!((statuses(port), count(&envoy, STARTED)), ([expected; 4], 0), "{policy}");
        // The alert TracewardenModuleNotFetched reads these.
        let page = envoy.admin_page("/stats/prometheus");
        for series in ["failures{} 1", "successes{} 0"] {
            assert!(page.contains(&format!("\nenvoy_wasm_remote_load_fetch_{series}\n")), "{policy}: {page}");
        }
        let server = serve_module(server);
        sleep(A_WHILE);
        assert_eq!((statuses(port), count(&envoy, STARTED)), ([expected; 4], 0), "{policy}");
        assert_eq!(server.take().len(), 0, "{policy}: Envoy does not ask again");
        assert_eq!(envoy.admin_page("/ready"), "LIVE\n", "{policy}");
    }
}

#[test]
fn a_change_by_lds_fetches_again() {
    for policy in POLICIES {
        let (upstream, server) = (Upstream::start(), free_port());
        let scratch = Scratch::new(&format!("failures-remote-lds-{policy}"));
        configure(&scratch, plugin(policy, EDGE, remote(&digest())));
        let clusters = [cluster("upstream", upstream.port), cluster("modules", server)];
        let mut envoy = start_watching(scratch, &clusters, "1");
        let port = envoy.find_port("mesh");
        assert_eq!((get(port, "/", &[]).status() == 200, count(&envoy, STARTED)), (policy == "FAIL_OPEN", 0));
        let server = serve_module(server);
        configure(envoy.scratch(), plugin(policy, OTHER, remote(&digest())));
        wait_for("the module", || {
            let _ = Client::try_connect(envoy.find_port("mesh"))
                .map(|mut client| client.try_send(&request("/", &[])));
            (count(&envoy, STARTED) > 0).then_some(())
        });
        assert!(!server.take().is_empty(), "{policy}");
    }
}

/// The policy protects no edge here: Envoy takes the update, fetches nothing, and all requests pass without a filter.
#[test]
fn a_remote_module_that_comes_by_ecds_is_never_fetched() {
    for policy in POLICIES {
        let (upstream, server) = (Upstream::start(), serve_module(0));
        let scratch = Scratch::new(&format!("failures-remote-ecds-{policy}"));
        discover(&scratch, &plugin(policy, EDGE, local(&module())));
        let envoy = start_discovering(scratch, &upstream, &[cluster("modules", server.port)], &[]);
        let port = envoy.port("mesh");
        assert_eq!((statuses(port), count(&envoy, STARTED)), ([200; 4], 4), "{policy}");
        discover(envoy.scratch(), &plugin(policy, EDGE, remote(&digest())));
        wait_for("the update", || (updates(&envoy, "success") == 2).then_some(()));
        sleep(A_WHILE);
        // The counters went with the last plugin that had them.
        let outsider = get(port, "/", &[("traceparent", b"not judged")]);
        assert_eq!((outsider.status(), count(&envoy, STARTED)), (200, 0), "{policy}");
        let requests = upstream.take();
        let last = requests.last().expect("the outsider's");
        assert_eq!(last.all("traceparent"), [&b"not judged"[..]], "{policy}: it passes as it came");
        assert_eq!(server.take().len(), 0, "{policy}: Envoy does not ask for the module");
    }
}

/// Why a module's file has its version in its name.
#[test]
fn a_module_whose_file_is_overwritten_runs_from_the_next_change_of_the_configuration_on() {
    let upstream = Upstream::start();
    let scratch = Scratch::new("failures-overwritten");
    let file = scratch.path("tracewarden.wasm");
    std::fs::copy(module(), &file).expect("a copy");
    discover(&scratch, &plugin("FAIL_RELOAD", EDGE, local(&file)));
    let envoy = start_discovering(scratch, &upstream, &[], &[]);
    let port = envoy.port("mesh");
    // The other version shows itself by a trap.
    let is_new = || Client::connect(port).send(&trap()).status() == 503;
    assert!(!is_new());
    std::fs::copy(trapping(envoy.scratch()), &file).expect("a copy");
    discover(envoy.scratch(), &plugin("FAIL_RELOAD", EDGE, local(&file)));
    wait_for("the same once more", || (updates(&envoy, "success") == 2).then_some(()));
    assert!(!is_new(), "the same configuration reads no file");
    discover(envoy.scratch(), &plugin("FAIL_RELOAD", OTHER, local(&file)));
    wait_for("another probability", || (updates(&envoy, "success") == 3).then_some(()));
    wait_for("the other version", || is_new().then_some(()));

    // A new VM after the trap comes from memory.
    std::fs::remove_file(&file).expect("the file");
    let reloaded = || stat(&envoy, "wasm.tracewarden.vm_reload_success");
    let before = reloaded();
    wait_for("a new VM without the file", || {
        assert!(is_new());
        (statuses(port) == [200; 4] && reloaded() > before).then_some(())
    });
}
