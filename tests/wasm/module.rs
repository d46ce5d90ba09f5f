//! The built module itself: what it exports and needs, and how it stands in its host.

use crate::edge::{MODULE, module_path};
use crate::scenarios::support::{SAMPLED, counters};
use proxy_wasm_test_framework::{Call, Host, LogLevel, Status, Vm};

#[test]
fn exports_and_imports_exactly_what_the_list_says() {
    let list = include_str!("../../edges/proxy-wasm/exports.txt");
    let lines =
        list.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains("::"));
    let names = lines.map(|line| line.split(" = ").next().unwrap_or_default());
    let (mut imports, mut exports): (Vec<&str>, Vec<&str>) = names.partition(|name| name.contains('.'));
    imports.sort_unstable();
    exports.sort_unstable();
    assert_eq!(MODULE.exports(), exports);
    assert_eq!(MODULE.imports(), imports);
}

#[test]
fn has_no_path_of_the_machine_that_built_it() {
    let bytes = std::fs::read(module_path()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let home = std::env::var("HOME").unwrap();
    let root = module_path().canonicalize().unwrap();
    let root = root.ancestors().nth(2).unwrap().to_str().unwrap();
    for place in [root, ".cargo/registry", home.as_str()] {
        assert!(!text.contains(place), "{place}");
    }
}

#[test]
fn a_refused_configuration_is_one_clear_line() {
    let mut vm = Vm::start(&MODULE).unwrap();
    assert!(vm.root(br#"{"sampling": {"probability": 2}}"#).unwrap().is_none());
    let lines = vm.host().logged(LogLevel::Error);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "tracewarden: configuration refused: sampling.probability: ",
        "expected a number from 0 to 1",
        "found 2",
    ] {
        assert!(lines[0].contains(part), "{}", lines[0]);
    }
}

#[test]
fn an_empty_configuration_is_all_defaults() {
    let mut vm = Vm::start(&MODULE).unwrap();
    assert!(vm.root(b"").unwrap().is_some());
}

#[test]
fn two_plugins_share_a_vm() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let edge = vm.root(br#"{"role": "edge", "direction": "inbound"}"#).unwrap().unwrap();
    let internal = vm.root(br#"{"direction": "outbound", "start": "never"}"#).unwrap().unwrap();
    for root in [edge, internal, edge] {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [(":path", "/")]).unwrap();
        assert_eq!(vm.request_headers(stream).get("traceparent").is_some(), root == edge);
        vm.finish(stream).unwrap();
    }
    let counters = counters(&vm);
    assert!(counters.contains(&"requests inbound edge enforce started 2".to_owned()), "{counters:?}");
    assert!(counters.contains(&"requests outbound internal enforce lost".to_owned()), "{counters:?}");
}

#[test]
fn ids_differ_between_requests_and_between_vms() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..3 {
        let mut host = Host::new();
        host.seed(seed);
        let mut vm = Vm::with(&MODULE, host).unwrap();
        let root = vm.root(b"").unwrap().unwrap();
        for _ in 0..100 {
            let stream = vm.stream(root).unwrap();
            vm.request(stream, [(":path", "/")]).unwrap();
            assert!(seen.insert(vm.request_headers(stream).get("traceparent").unwrap().to_vec()));
            vm.finish(stream).unwrap();
        }
        assert_eq!(vm.host().calls(Call::RandomGet), 1, "seeded once for the VM");
    }
}

#[test]
fn a_valid_context_costs_one_read_and_its_counters() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let root = vm.root(br#"{"direction": "inbound"}"#).unwrap().unwrap();
    let stream = vm.stream(root).unwrap();
    vm.host_mut().reset_calls();
    vm.request(stream, [("traceparent", SAMPLED)]).unwrap();
    let calls: Vec<_> = vm.host().calls_by_name().into_iter().collect();
    assert_eq!(calls, [("proxy_get_header_map_pairs", 1), ("proxy_increment_metric", 2)]);
    vm.host_mut().reset_calls();
    vm.response(stream, [("traceparent", SAMPLED)]).unwrap();
    let calls: Vec<_> = vm.host().calls_by_name().into_iter().collect();
    // Only all headers tell whether there is another line.
    let expected =
        [("proxy_get_header_map_pairs", 1), ("proxy_get_header_map_value", 1), ("proxy_increment_metric", 1)];
    assert_eq!(calls, expected);
}

#[test]
fn a_refused_host_call_is_counted_logged_once_and_survived() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let root = vm.root(br#"{"direction": "inbound", "parent_id": "new"}"#).unwrap().unwrap();
    vm.host_mut().fault(Call::ReplaceHeader, Status::InternalFailure);
    for _ in 0..3 {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [("traceparent", SAMPLED)]).unwrap();
        assert_eq!(vm.request_headers(stream).lines("traceparent"), [SAMPLED]);
        vm.finish(stream).unwrap();
    }
    let counters = counters(&vm);
    assert!(counters.contains(&"host_errors replace_header_map_value 3".to_owned()), "{counters:?}");
    assert!(counters.contains(&"requests inbound internal enforce continued 3".to_owned()), "{counters:?}");
    let lines = vm.host().logged(LogLevel::Warn);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("replace_header_map_value answered status 10"), "{}", lines[0]);
}

#[test]
fn each_plugin_counts_under_the_listener_that_its_configuration_names() {
    let mut vm = Vm::start(&MODULE).unwrap();
    let plugin =
        |listener: &str| format!(r#"{{"direction": "inbound", "metrics": {{"listener": {listener}}}}}"#);
    let roots = [r#""a_b-c.1""#, "null", r#""other""#, r#""other""#].map(plugin);
    let roots = roots.map(|config| vm.root(config.as_bytes()).unwrap().unwrap());
    let defined = vm.host().metrics().definitions();
    assert!(vm.root(plugin(r#""other""#).as_bytes()).unwrap().is_some());
    assert_eq!(vm.host().metrics().definitions(), defined, "each of a listener's counters is defined once");
    for root in roots {
        let stream = vm.stream(root).unwrap();
        vm.request(stream, [("traceparent", SAMPLED)]).unwrap();
        vm.response(stream, [("traceparent", SAMPLED)]).unwrap();
        vm.finish(stream).unwrap();
    }
    let expected = [
        "requests a_b-c.1 inbound internal enforce continued",
        "requests inbound internal enforce continued",
        "requests other inbound internal enforce continued 2",
        "responses a_b-c.1 match",
        "responses other match 2",
    ];
    let counters = counters(&vm);
    for counter in expected {
        assert!(counters.contains(&counter.to_owned()), "{counter}: {counters:?}");
    }
}

#[test]
fn the_module_says_which_build_it_is() {
    let mut vm = Vm::start(&MODULE).unwrap();
    assert!(vm.root(b"").unwrap().is_some() && vm.root(b"").unwrap().is_some());
    let version = env!("CARGO_PKG_VERSION");
    let mut gauges = vm.host().metrics().iter().filter_map(|(name, value)| {
        let labels = name.strip_suffix(";.;tracewarden_build_info")?;
        Some((labels.strip_prefix(&format!("version=.={version};.;revision=.="))?, value))
    });
    let Some((revision, 1)) = gauges.next() else { panic!("no gauge of {version}") };
    let hash = revision.trim_end_matches("-dirty");
    let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || revision == "unknown", "{revision}");

    let line = format!("tracewarden: version {version}, revision {revision}");
    assert_eq!(vm.host().logged(LogLevel::Trace), [line.as_str()], "once, however many plugins there are");
    let section = format!(r#"tracewarden.build{{"version":"{version}","revision":"{revision}"}}"#);
    let bytes = std::fs::read(module_path()).unwrap();
    assert!(bytes.windows(section.len()).any(|bytes| bytes == section.as_bytes()), "{section}");
}

/// The budget is 440,000. A module that is much larger than now was pruned in another way, and takes more of Envoy's memory.
#[test]
fn the_module_stays_under_475_kilobytes() {
    let size = std::fs::metadata(module_path()).expect("the module").len();
    assert!(size < 475_000, "{size} bytes");
}

#[test]
fn the_restricted_example_allows_what_the_module_needs_and_nothing_else() {
    let example = include_str!("../../envoy/restricted.yaml");
    let allowed = example.lines().filter_map(|line| line.trim().strip_suffix(": {}")).map(str::to_owned);
    let mut allowed: Vec<String> = allowed.collect();
    // Envoy asks for no leave to start a module, and these two are for panics.
    let of_panics = ["fd_write", "proc_exit"];
    let imports = MODULE.imports().into_iter().filter_map(|name| Some(name.split_once('.')?.1.to_owned()));
    let callbacks = MODULE
        .exports()
        .into_iter()
        .filter(|name| name.starts_with("proxy_on_") && name != "proxy_on_memory_allocate");
    let mut needed: Vec<String> =
        imports.filter(|name| !of_panics.contains(&name.as_str())).chain(callbacks).collect();
    allowed.sort_unstable();
    needed.sort_unstable();
    assert_eq!(allowed, needed);
}
