//! Where the filter runs, in files and in dumps that no Envoy need have.

use std::process::Command;

use serde_json::{Value, json};

use crate::command;
use crate::proxy::{any, discovered, host, listener, merge, named, ours, route, router, switches};
use crate::support::{Directory, judged, messages, run};

const TRUST: &str =
    r#"{"role": "edge", "start": "never", "trust": {"default": "untrusted", "untrusted": "strip"}}"#;
const PLAIN: &str = r#"{"role": "internal"}"#;

fn codes(input: &Value) -> Vec<String> {
    let (_, value) = judged(&input.to_string());
    messages(&value).into_iter().map(|(code, ..)| code).collect()
}

/// Resources as a file of Envoy's has them.
fn listeners(all: &[Value]) -> Value {
    let typed = all.iter().map(|one| any("envoy.config.listener.v3.Listener", one.clone()));
    json!({"resources": typed.collect::<Vec<_>>()})
}

fn extension(name: &str, configuration: &str) -> Value {
    any("envoy.config.core.v3.TypedExtensionConfig", named(name, configuration, "FAIL_RELOAD"))
}

fn with(table: Value) -> Value {
    json!({"route_config": table})
}

fn table(hosts: &[Value]) -> Value {
    json!({"name": "table", "virtual_hosts": hosts})
}

#[test]
fn resources_are_read_in_each_of_their_forms() {
    let bad = r#"{"role": "gate"}"#;
    let bare = listener("x", &[ours(bad)], &json!({}));
    let typed = any("envoy.config.listener.v3.Listener", bare.clone());
    let resource = extension("tracewarden", bad);
    let untyped = ours(bad);
    let response = json!({"version_info": "1", "type_url": typed["@type"], "resources": [typed]});
    let rows = [
        ("a bare listener", bare),
        ("a list of resources", json!({"resources": [typed.clone()]})),
        ("a DiscoveryResponse", response.clone()),
        ("the same with its type", any("envoy.service.discovery.v3.DiscoveryResponse", response)),
        ("wrapped resources", json!({"resources": [{"name": "x", "resource": typed.clone()}]})),
        ("a discovered filter", json!({"resources": [resource.clone()]})),
        ("the same alone", resource),
        ("the same without its type", untyped),
        (
            "a part of a dump",
            json!({"configs": [{"dynamic_listeners": [{"active_state": {"listener": typed}}]}]}),
        ),
    ];
    for (name, input) in rows {
        assert_eq!(codes(&input), ["TW0106"], "{name}: {input}");
    }
    let yaml = "resources:\n- '@type': type.googleapis.com/envoy.config.listener.v3.Listener\n  name: x\n  filter_chains:\n  \
                - filters:\n    - typed_config:\n        '@type': type.googleapis.com/envoy.extensions.filters.network.\
                http_connection_manager.v3.HttpConnectionManager\n        http_filters:\n        - name: tracewarden\n          \
                typed_config:\n            '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n            \
                config: {configuration: {'@type': type.googleapis.com/google.protobuf.StringValue, value: '{\"role\": 1}'}}\n";
    assert_eq!(
        messages(&judged(yaml).1).first().map(|(code, line, _)| (code.as_str(), *line)),
        Some(("TW0105", 12))
    );
}

#[test]
fn what_has_no_filter_in_it_is_no_configuration() {
    let routes = table(&[host("a", &[route("/", &json!({}))], &json!({}))]);
    for input in
        [routes.clone(), json!({"resources": [any("envoy.config.route.v3.RouteConfiguration", routes)]})]
    {
        assert_eq!(codes(&input), ["TW0002"], "{input}");
    }
}

#[test]
fn a_listener_without_the_filter_is_one_next_to_a_listener_that_has_it() {
    let has = |filter: Value| listener("has", &[filter], &json!({}));
    let bare = || listener("bare", &[], &json!({}));
    let tcp =
        json!({"name": "tcp", "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy"}]}]});
    let after = json!({"http_filters": [router(&[ours(PLAIN)])]});
    let composite = json!({"name": "chosen", "typed_config": any("envoy.extensions.filters.http.composite.v3.Composite", json!({"inner": ours(PLAIN)}))});
    let rows = [
        ("both have it", vec![has(ours(PLAIN)), has(ours(PLAIN))], vec![]),
        ("one has it", vec![has(ours(PLAIN)), bare()], vec!["TW0211"]),
        ("none has it", vec![bare(), bare()], vec!["TW0002"]),
        ("after the router", vec![has(ours(PLAIN)), listener("after", &[], &after)], vec![]),
        ("inside of another filter", vec![has(ours(PLAIN)), has(composite)], vec![]),
        ("no HTTP", vec![has(ours(PLAIN)), tcp], vec![]),
        (
            "a discovered filter of its name",
            vec![has(discovered("tracewarden", "x")), bare()],
            vec!["TW0211", "TW0302"],
        ),
        ("an unknown discovered filter", vec![has(ours(PLAIN)), has(discovered("x", "x"))], vec![]),
    ];
    for (name, all, expected) in rows {
        assert_eq!(codes(&listeners(&all)), expected, "{name}");
    }
    let mut cluster = json!({"static_resources": {"listeners": [bare()], "clusters": [{"name": "a"}]}});
    let options =
        any("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", json!({"http_filters": [ours(PLAIN)]}));
    cluster["static_resources"]["clusters"][0]["typed_extension_protocol_options"] =
        json!({"options": options});
    assert_eq!(codes(&cluster), [""; 0], "a cluster has it");
}

#[test]
fn the_message_names_the_listener_and_its_chain_and_says_if_trust_is_missing() {
    for (configuration, rest) in [(PLAIN, ""), (TRUST, ", and an outsider's context passes")] {
        let mut bare = listener("bare", &[], &json!({}));
        bare["filter_chains"][0]["name"] = "tls".into();
        let has = listener("has", &[named("tracewarden", configuration, "FAIL_RELOAD")], &json!({}));
        let (_, said, _) = run(&["check"], &listeners(&[has, bare]).to_string());
        let expected = format!(
            "<stdin>:1: warning TW0211: resources[1].filter_chains[0].filters[0].typed_config: listener \"bare\", filter chain \
             \"tls\" runs without the filter, which others here have: its requests are not counted{rest}; add the filter, or \
             allow this: --allow TW0211\n"
        );
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn the_formats_and_the_options_hold_for_it() {
    let input = listeners(&[listener("has", &[ours(PLAIN)], &json!({})), listener("bare", &[], &json!({}))])
        .to_string();
    assert!(
        run(&["check", "--format", "github"], &input)
            .1
            .starts_with("::warning file=<stdin>,line=1,title=TW0211::")
    );
    assert_eq!(run(&["check", "--strict"], &input).0, Some(1));
    assert_eq!(run(&["check", "--strict", "--allow", "TW0211"], &input).1, "valid: 1 plugin in 1 file\n");
}

#[test]
fn files_are_joined_by_the_names_of_resources() {
    let off = switches(&[("tracewarden", false)]);
    let rds = json!({"rds": {"route_config_name": "table"}});
    let edge = listeners(&[listener("edge", &[discovered("tracewarden", "x")], &rds)]).to_string();
    let plain =
        listeners(&[listener("edge", &[discovered("mine", "x")], &rds), listener("bare", &[], &json!({}))])
            .to_string();
    let routes =
        any("envoy.config.route.v3.RouteConfiguration", table(&[host("a", &[route("/", &json!({}))], &off)]));
    let routes = json!({"resources": [routes]}).to_string();
    let [ecds, mine, other] = [("tracewarden", TRUST), ("mine", PLAIN), ("tracewarden", PLAIN)]
        .map(|(name, configuration)| json!({"resources": [extension(name, configuration)]}).to_string());
    let rows: [(&str, Vec<(&str, &str)>, &[&str]); 6] = [
        ("the listeners alone", vec![("lds.json", &edge)], &["TW0302"]),
        ("with the filter", vec![("lds.json", &edge), ("ecds.json", &ecds)], &[]),
        ("with all", vec![("lds.json", &edge), ("ecds.json", &ecds), ("rds.json", &routes)], &["TW0212"]),
        (
            "without trust",
            vec![("lds.json", &edge), ("ecds.json", &other), ("rds.json", &routes)],
            &["TW0213"],
        ),
        (
            "two tables of a name",
            vec![("lds.json", &edge), ("ecds.json", &ecds), ("a.json", &routes), ("b.json", &routes)],
            &[],
        ),
        ("by what the resource is", vec![("lds.json", &plain), ("ecds.json", &mine)], &["TW0211"]),
    ];
    for (name, files, expected) in rows {
        let directory = Directory::new("joined", &files);
        let value: Value =
            serde_json::from_str(&run(&["check", "--json", directory.text()], "").1).expect("JSON");
        let codes: Vec<String> = messages(&value).into_iter().map(|(code, ..)| code).collect();
        assert_eq!(codes, expected, "{name}: {value}");
    }
}

#[test]
fn a_discovered_filter_is_what_its_resource_is() {
    let of = |name: &str| listener("x", &[discovered(name, "x")], &json!({}));
    let has = || listener("has", &[ours(PLAIN)], &json!({}));
    let other = |name: &str| {
        let deny = any("envoy.extensions.filters.http.rbac.v3.RBAC", json!({"rules": {}}));
        any("envoy.config.core.v3.TypedExtensionConfig", json!({"name": name, "typed_config": deny}))
    };
    let rows: [(&str, Vec<Value>, &[&str]); 4] = [
        ("mine", vec![of("mine"), has()], &["TW0211"]),
        ("shop.tracewarden", vec![of("shop.tracewarden"), has()], &["TW0223", "TW0211"]),
        ("shop.tracewarden", vec![of("shop.tracewarden"), of("shop.tracewarden")], &["TW0223"]),
        ("unused", vec![of("mine"), has()], &[]),
    ];
    for (resource, all, expected) in rows {
        let mut input = listeners(&all);
        input["resources"].as_array_mut().expect("a list").push(other(resource));
        assert_eq!(codes(&input), expected, "{input}");
    }
}

#[test]
fn routes_switch_filters_from_the_table_down() {
    let [on, off] = [true, false].map(|is_on| switches(&[("tracewarden", is_on)]));
    let all = || vec![route("/", &json!({}))];
    let of = |hosts: &[Value], more: &Value| {
        let mut table = table(hosts);
        merge(&mut table, more);
        with(table)
    };
    let none = json!({});
    let matcher =
        json!({"matcher": {"matcher_tree": {}}, "typed_per_filter_config": off["typed_per_filter_config"]});
    let redirect = json!({"match": {"prefix": "/"}, "redirect": {"https_redirect": true}});
    let rows = [
        ("nothing is said", of(&[host("a", &all(), &none)], &none), vec![]),
        (
            "the table is off",
            of(&[host("a", &all(), &none), host("b", &all(), &none)], &off),
            vec!["TW0212", "TW0212"],
        ),
        ("a host is back on", of(&[host("a", &all(), &on)], &off), vec![]),
        ("a host is off", of(&[host("a", &all(), &off), host("b", &all(), &none)], &none), vec!["TW0212"]),
        (
            "all routes of a host are off",
            of(&[host("a", &[route("/a", &off), route("/b", &off)], &none)], &none),
            vec!["TW0212"],
        ),
        (
            "one route is off",
            of(&[host("a", &[route("/a", &off), route("/b", &none)], &none)], &none),
            vec!["TW0212"],
        ),
        ("a host without routes", of(&[host("a", &[], &off)], &none), vec!["TW0213"]),
        ("nothing goes on", of(&[host("a", std::slice::from_ref(&redirect), &off)], &none), vec!["TW0213"]),
        ("a tree of matchers", of(&[host("a", &[], &matcher)], &none), vec![]),
        ("another filter is off", of(&[host("a", &all(), &switches(&[("cors", false)]))], &none), vec![]),
    ];
    for (name, more, expected) in rows {
        let filter = named("tracewarden", TRUST, "FAIL_RELOAD");
        assert_eq!(codes(&listeners(&[listener("x", &[filter], &more)])), expected, "{name}");
    }
    let scope = json!({"scoped_routes": {"scoped_route_configurations_list": {"scoped_route_configurations": [
        {"name": "s", "route_configuration": table(&[host("a", &all(), &off)])},
    ]}}});
    assert_eq!(codes(&listeners(&[listener("x", &[ours(PLAIN)], &scope)])), ["TW0213"], "in a scope");
    let after =
        json!({"http_filters": [router(&[ours(PLAIN)])], "route_config": table(&[host("a", &all(), &off)])});
    assert_eq!(codes(&listeners(&[listener("x", &[], &after)])), [""; 0], "no route switches it there");
}

#[test]
fn two_filters_of_which_each_virtual_host_enables_one_are_in_order() {
    let mut strict = named("tracewarden-strict", TRUST, "FAIL_RELOAD");
    strict["disabled"] = true.into();
    let filters = [named("tracewarden", PLAIN, "FAIL_RELOAD"), strict];
    let other = switches(&[("tracewarden", false), ("tracewarden-strict", true)]);
    let none = switches(&[("tracewarden", false)]);
    let all = [route("/", &json!({}))];
    let hosts = |more: &[(&str, &Value)]| -> Value {
        with(table(&more.iter().map(|(name, more)| host(name, &all, more)).collect::<Vec<_>>()))
    };
    let nothing = json!({});
    let rows = [
        (hosts(&[("a", &nothing), ("b", &other)]), vec![]),
        (hosts(&[("a", &nothing), ("b", &other), ("c", &none)]), vec!["TW0212"]),
        (hosts(&[("a", &nothing)]), vec!["TW0214"]),
        (json!({"rds": {"route_config_name": "elsewhere"}}), vec![]),
    ];
    for (more, expected) in rows {
        assert_eq!(codes(&listeners(&[listener("x", &filters, &more)])), expected, "{more}");
    }
}

/// A dump with these listeners, each in this state.
fn dump(all: &[(&str, Value)]) -> Value {
    let dynamic = all.iter().map(|(state, listener)| {
        let listener = any("envoy.config.listener.v3.Listener", listener.clone());
        json!({"name": listener["name"], *state: {"listener": listener}})
    });
    let kind = |name: &str, value: Value| any(&format!("envoy.admin.v3.{name}"), value);
    json!({"configs": [
        kind("BootstrapConfigDump", json!({"bootstrap": {"static_resources": {"listeners": [listener("again", &[ours(PLAIN)], &json!({}))]}}})),
        kind("ListenersConfigDump", json!({"dynamic_listeners": dynamic.collect::<Vec<_>>()})),
    ]})
}

#[test]
fn what_runs_in_a_dump_depends_on_its_state() {
    let has = || listener("has", &[ours(PLAIN)], &json!({}));
    let bare = || listener("bare", &[], &json!({}));
    let rows = [
        ("both run", dump(&[("active_state", has()), ("active_state", bare())]), vec!["TW0211"]),
        ("one is on its way out", dump(&[("active_state", has()), ("draining_state", bare())]), vec![]),
        ("one is not ready", dump(&[("active_state", has()), ("warming_state", bare())]), vec!["TW0211"]),
        (
            "the one with the filter is on its way out",
            dump(&[("draining_state", has()), ("active_state", bare())]),
            vec!["TW0002"],
        ),
        ("nothing", json!({"configs": []}), vec!["TW0002"]),
        (
            "a part of a dump",
            json!({"configs": [any("envoy.admin.v3.ListenersConfigDump.DynamicListener", json!({
                "name": "x", "error_state": {"details": "no"}, "active_state": {"listener": has()},
            }))]}),
            vec!["TW0114"],
        ),
    ];
    for (name, input, expected) in rows {
        assert_eq!(codes(&input), expected, "{name}: {input}");
    }
    let both = json!({"configs": [any("envoy.admin.v3.ListenersConfigDump", json!({"dynamic_listeners": [
        {"name": "x", "active_state": {"listener": has()}, "warming_state": {"listener": bare()}},
    ]}))]});
    assert_eq!(codes(&both), [""; 0], "the version that runs has it");
}

#[test]
fn a_refusal_that_a_dump_lists_twice_is_said_once() {
    let has = any("envoy.config.listener.v3.Listener", listener("x", &[ours(PLAIN)], &json!({})));
    let error = json!({"details": "no", "failed_configuration": {"name": "x"}});
    let runs = json!({"name": "x", "active_state": {"listener": has}, "error_state": error});
    let alone = json!({"error_state": error});
    for all in [json!([runs, alone]), json!([alone, runs])] {
        let dump = any("envoy.admin.v3.ListenersConfigDump", json!({"dynamic_listeners": all}));
        let (_, value) = judged(&json!({"configs": [dump]}).to_string());
        let texts: Vec<String> = messages(&value).into_iter().map(|(.., text)| text).collect();
        assert_eq!(texts, ["Envoy refused listener \"x\": no; an earlier version of it runs"], "{value}");
    }
}

#[test]
fn a_secret_that_only_the_proxy_knows_is_no_fault_of_a_dump() {
    let configuration =
        r#"{"sampling": {"force": {"header": "x-force", "value_env": "SECRET_OF_THE_PROXY"}}}"#;
    let mut filter = ours(configuration);
    let with_keys = |filter: &Value| {
        [
            dump(&[("active_state", listener("x", std::slice::from_ref(filter), &json!({})))]),
            listeners(&[listener("x", std::slice::from_ref(filter), &json!({}))]),
        ]
    };
    assert_eq!(with_keys(&filter).map(|input| codes(&input)), [["TW0110"]; 2], "the VM is not given it");
    filter["typed_config"]["config"]["vm_config"]["environment_variables"] =
        json!({"host_env_keys": ["SECRET_OF_THE_PROXY"]});
    let [dumped, file] = with_keys(&filter).map(|input| codes(&input));
    assert_eq!((dumped.as_slice(), file.as_slice()), (&[][..], &["TW0110".to_owned()][..]));
}

/// Runs the command with a limit of its memory, and of the seconds of a processor.
fn limited(input: &str) -> (Option<i32>, String) {
    let directory = Directory::new("limited", &[("dump.json", input)]);
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        "ulimit -v 1500000; ulimit -t 120; exec \"$0\" check dump.json",
        env!("CARGO_BIN_EXE_tracewarden"),
    ]);
    let (status, said, complaint) = command::end(shell.current_dir(&directory.0), "");
    assert_eq!(complaint, "", "{said:.1000}");
    (status, said)
}

#[test]
fn a_dump_of_20_megabytes_with_600_listeners_is_judged() {
    let (off, nothing) = (switches(&[("tracewarden", false)]), json!({}));
    let hosts: Vec<Value> = (0..50)
        .map(|number| {
            host(
                &format!("host-{number}"),
                &[route("/", &nothing)],
                if number == 7 { &off } else { &nothing },
            )
        })
        .collect();
    let all: Vec<(&str, Value)> = (0..600)
        .map(|number| {
            let filters = if number == 300 { vec![] } else { vec![ours(PLAIN)] };
            ("active_state", listener(&format!("listener-{number}"), &filters, &with(table(&hosts))))
        })
        .collect();
    let text = serde_json::to_string_pretty(&dump(&all)).expect("JSON");
    assert!(text.len() > 20_000_000, "{}", text.len());
    let (status, said) = limited(&text);
    let count = |code: &str| said.matches(&format!("warning {code}")).count();
    assert_eq!((status, count("TW0211"), count("TW0213")), (Some(0), 1, 599), "{said:.1000}");
    assert!(said.ends_with(
        "valid: 599 plugins in 1 file, 600 warnings\n`tracewarden reference codes` explains each code.\n"
    ));
}

#[test]
fn many_messages_about_a_long_configuration_end() {
    let same = json!({"exclude": vec![json!({"path": "/a"}); 20_000]}).to_string();
    let (status, said) = limited(&same);
    assert_eq!((status, said.matches("warning TW0216").count()), (Some(0), 999), "{said:.1000}");
}

#[test]
fn hostile_dumps_end() {
    // Each listener knows the filter by another name, so that the one table has to be tried with all of them.
    let tried: Vec<(&str, Value)> = (0..3_000)
        .map(|number| {
            let filter = named(&format!("tracewarden-{number}"), PLAIN, "FAIL_RELOAD");
            ("active_state", listener("x", &[filter], &json!({"rds": {"route_config_name": "table"}})))
        })
        .collect();
    let names: Vec<String> = (0..3_000).map(|number| format!("tracewarden-{number}")).collect();
    let off = switches(&names.iter().map(|name| (name.as_str(), false)).collect::<Vec<_>>());
    let hosts: Vec<Value> = (0..3_000).map(|number| host(&format!("h{number}"), &[], &json!({}))).collect();
    let mut shared = table(&hosts);
    merge(&mut shared, &off);
    let mut many = dump(&tried);
    let routes = json!({"dynamic_route_configs": [{"route_config": any("envoy.config.route.v3.RouteConfiguration", shared)}]});
    many["configs"].as_array_mut().expect("a list").push(any("envoy.admin.v3.RoutesConfigDump", routes));
    let (status, said) = limited(&many.to_string());
    assert_eq!((status, said.matches("warning TW0213").count()), (Some(0), 100 * 3_000), "{said:.1000}");
    let refused: Vec<Value> = (0..50_000)
        .map(|number| json!({"name": format!("l{number}"), "error_state": {"details": "no"}}))
        .collect();
    let refused = json!({"configs": [any("envoy.admin.v3.ListenersConfigDump", json!({"dynamic_listeners": refused}))]});
    let (status, said) = limited(&refused.to_string());
    assert_eq!((status, said.matches("TW0114").count()), (Some(2), 50_000), "{said:.1000}");
    let deep = format!("{{\"configs\": {}", "[".repeat(1_000_000));
    let (status, said) = limited(&deep);
    assert!(status == Some(1) && said.contains("TW0101"), "{said:.1000}");
}
