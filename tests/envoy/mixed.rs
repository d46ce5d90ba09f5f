//! Many requests of all kinds at once: every one is treated by its rule, and counted.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::support::bootstrap::{all_to, tracewarden};
use crate::support::client::Client;
use crate::support::envoy::{Counters, Envoy};
use crate::support::http1::Message;
use crate::support::upstream::Upstream;
use crate::support::{SAMPLED, assert_new_trace};

/// How many requests, and on how many connections at the same time.
const REQUESTS: usize = 100;
const CONNECTIONS: usize = 5;
const SEED: [u8; 32] = [7; 32];

const UNSAMPLED: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
/// Members whose key, and whose value, is one byte too long.
const LONG_KEY: &[u8] = &{
    let mut member = [b'k'; 259];
    member[257] = b'=';
    member
};
const LONG_VALUE: &[u8] = &{
    let mut member = [b'v'; 259];
    member[1] = b'=';
    member
};

const CONTINUED: &[&str] = &["requests inbound internal enforce continued", "sampled record parent"];
const DROPPED: &[&str] = &["requests inbound internal enforce continued", "sampled drop parent"];
const LOST: &[&str] =
    &["requests inbound internal enforce lost", "repairs inbound new", "sampled record probability"];
const CORRUPT: &[&str] =
    &["requests inbound internal enforce corrupt", "repairs inbound new", "sampled record probability"];

/// A kind of request: its trace headers, the counters that it moves, and the reason of corruption if there is one.
#[derive(Clone, Copy, Debug)]
struct Kind {
    traceparent: &'static [&'static [u8]],
    tracestate: &'static [&'static [u8]],
    counters: &'static [&'static str],
    reason: Option<&'static str>,
    /// What the upstream receives as `tracestate` if the trace is continued.
    forwarded: &'static [&'static [u8]],
}

const fn healthy(
    traceparent: &'static [&'static [u8]],
    tracestate: &'static [&'static [u8]],
    counters: &'static [&'static str],
) -> Kind {
    Kind { traceparent, tracestate, counters, reason: None, forwarded: tracestate }
}

const fn lost(tracestate: &'static [&'static [u8]]) -> Kind {
    Kind { traceparent: &[], tracestate, counters: LOST, reason: None, forwarded: &[] }
}

const fn corrupt(reason: &'static str, traceparent: &'static [&'static [u8]]) -> Kind {
    Kind { traceparent, tracestate: &[b"a=1"], counters: CORRUPT, reason: Some(reason), forwarded: &[] }
}

const fn bad_list(reason: &'static str, tracestate: &'static [&'static [u8]]) -> Kind {
    Kind { traceparent: &[SAMPLED], tracestate, counters: CONTINUED, reason: Some(reason), forwarded: &[] }
}

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    healthy(&[SAMPLED], &[], CONTINUED),
    healthy(&[UNSAMPLED], &[], DROPPED),
    healthy(&[SAMPLED], &[b"a=1,b=2"], CONTINUED),
    healthy(&[UNSAMPLED], &[b"a=1, b=2", b"c=3"], DROPPED),
    lost(&[]),
    lost(&[b"a=1"]),
    corrupt("traceparent empty", &[b""]),
    corrupt("traceparent version", &[b"0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
    corrupt("traceparent version_ff", &[b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
    corrupt("traceparent too_short", &[b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"]),
    corrupt("traceparent delimiter", &[b"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"]),
    corrupt("traceparent upper_case", &[b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"]),
    corrupt("traceparent trace_id", &[b"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01"]),
    corrupt("traceparent trace_id_zero", &[b"00-00000000000000000000000000000000-b7ad6b7169203331-01"]),
    corrupt("traceparent parent_id", &[b"00-0af7651916cd43dd8448eb211c80319c-.7ad6b7169203331-01"]),
    corrupt("traceparent parent_id_zero", &[b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"]),
    corrupt("traceparent flags", &[b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.0"]),
    corrupt("traceparent trailing", &[b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"]),
    corrupt("traceparent repeated", &[SAMPLED, SAMPLED]),
    corrupt("traceparent repeated", &[SAMPLED, UNSAMPLED, b""]),
    bad_list("tracestate no_equals", &[b"a"]),
    bad_list("tracestate key", &[b"a=1,B=2"]),
    bad_list("tracestate key_too_long", &[LONG_KEY]),
    bad_list("tracestate value", &[b"a=1", b"b=2=3"]),
    bad_list("tracestate value_empty", &[b"a="]),
    bad_list("tracestate value_too_long", &[LONG_VALUE]),
    bad_list("tracestate too_many_members", &[b"0=a,1=a,2=a,3=a,4=a,5=a,6=a,7=a,8=a,9=a,a=a,b=a,c=a,d=a,e=a,f=a,\
        g=a,h=a,i=a,j=a,k=a,l=a,m=a,n=a,o=a,p=a,q=a,r=a,s=a,t=a,u=a,v=a,w=a"]),
];

#[test]
fn a_hundred_mixed_requests_are_treated_by_rule_and_counted_exactly() {
    let upstream = Upstream::start();
    let filters = [tracewarden(r#"{"direction": "inbound"}"#)];
    let envoy = Envoy::before(&upstream, "mixed", &filters, all_to("upstream"));

    let requests = mix();
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS {
            let (requests, port) = (&requests, envoy.port("mesh"));
            scope.spawn(move || send(port, requests.iter().enumerate().skip(first).step_by(CONNECTIONS)));
        }
    });

    let received: BTreeMap<String, Message> =
        upstream.take().into_iter().map(|message| (message.second_word().to_owned(), message)).collect();
    assert_eq!(received.len(), REQUESTS);
    for (number, kind) in requests.iter().enumerate() {
        check(kind, &received[&path(number)]);
    }
    assert_eq!(envoy.counters(), expected(&requests));
}

/// Every kind at least once, in no order.
fn mix() -> Vec<Kind> {
    let mut rng = ChaCha12Rng::from_seed(SEED);
    let more = (KINDS.len()..REQUESTS).filter_map(|_| KINDS.choose(&mut rng)).copied();
    let mut requests: Vec<Kind> = KINDS.iter().copied().chain(more).collect();
    requests.shuffle(&mut rng);
    requests
}

/// Sends them on one connection, one after the other.
fn send<'a>(port: u16, requests: impl Iterator<Item = (usize, &'a Kind)>) {
    let mut client = Client::connect(port);
    for (number, kind) in requests {
        let traceparent = kind.traceparent.iter().map(|value| ("traceparent", *value));
        let tracestate = kind.tracestate.iter().map(|value| ("tracestate", *value));
        let lines: Vec<(&str, &[u8])> = tracestate.chain(traceparent).collect();
        let answer = client.get(&path(number), &lines);
        assert_eq!(answer.status(), 200, "{kind:?}");
    }
}

fn path(number: usize) -> String {
    format!("/{number}")
}

fn check(kind: &Kind, received: &Message) {
    match kind.counters {
        CONTINUED | DROPPED => {
            assert_eq!(received.all("traceparent"), kind.traceparent, "{kind:?}");
            assert_eq!(received.all("tracestate"), kind.forwarded, "{kind:?}");
        }
        _ => assert_new_trace(&format!("{kind:?}"), received),
    }
}

fn expected(requests: &[Kind]) -> Counters {
    let mut counters = Counters::from([("responses absent".to_owned(), REQUESTS as u64)]);
    for kind in requests {
        let reason = kind.reason.map(|reason| format!("corrupt inbound {reason}"));
        for name in kind.counters.iter().map(|name| (*name).to_owned()).chain(reason) {
            *counters.entry(name).or_default() += 1;
        }
    }
    counters
}
