//! Sampling by probability.

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use std::num::NonZeroU32;
use tracewarden::words::Direction;

use tracewarden::headers::Headers;
use tracewarden::sampling::{
    OtState, Parent, Question, RateLimit, Sampled, Sampler, Target, Threshold, TokenBucket,
};
use tracewarden::w3c::{TraceId, TraceParent};

const END: u64 = 1 << 56;

/// The lowest randomness that is kept, found by asking.
fn boundary(threshold: Threshold) -> u64 {
    let (mut dropped, mut kept) = (0, END);
    if threshold.keeps(0) {
        return 0;
    }
    while kept - dropped > 1 {
        let middle = dropped.midpoint(kept);
        if threshold.keeps(middle) {
            kept = middle;
        } else {
            dropped = middle;
        }
    }
    kept
}

#[test]
fn thresholds_are_those_of_the_specification() {
    // The table of rules OT-06 and OT-07 at precision 4, without trailing zeros.
    let rows: &[(&str, &str)] = &[
        ("1.0", "0"),
        ("0.9", "199a"),
        ("0.75", "4"),
        ("0.5", "8"),
        ("0.33333333333333333333", "aaab"),
        ("0.25", "c"),
        ("0.2", "cccd"),
        ("0.1", "e666"),
        ("0.05", "f3333"),
        ("0.01", "fd70a"),
        ("0.001", "ffbe77"),
        ("1e-4", "fff9724"),
        ("1e-5", "ffff583a"),
        ("1e-6", "ffffef39"),
        ("0.9999999", "0"),
        ("1.3877787807814457e-17", "ffffffffffffff"),
        ("1e-300", "ffffffffffffff"),
    ];
    for (probability, threshold) in rows {
        let found = boundary(Threshold::from_probability(probability).unwrap());
        assert_eq!(format!("{found:014x}"), format!("{threshold:0<14}"), "{probability}");
    }
}

#[test]
fn zero_keeps_nothing_and_one_keeps_everything() {
    let (never, always) =
        (Threshold::from_probability("0").unwrap(), Threshold::from_probability("1.000").unwrap());
    assert_eq!(always, Threshold::ALWAYS);
    for randomness in [0, 1, END / 2, END - 1] {
        assert!(!never.keeps(randomness));
        assert!(always.keeps(randomness));
    }
}

#[test]
fn what_is_no_probability_is_refused() {
    let long = format!("0.{}", "1".repeat(500));
    for text in [
        "-0.1",
        "1.0000001",
        "2",
        "1e1",
        "1e99999",
        "NaN",
        "inf",
        "",
        ".",
        "e-1",
        "0.5.5",
        "0x1",
        "½",
        "+1",
        &long,
    ] {
        assert!(Threshold::from_probability(text).is_err(), "{text}");
    }
    for (text, same) in [
        (".5", "0.5"),
        ("5e-1", "0.5"),
        ("500E-3", "0.5"),
        ("0.05e1", "0.5"),
        ("1.", "1"),
        ("0e9", "0"),
        ("00", "0"),
    ] {
        assert_eq!(Threshold::from_probability(text), Threshold::from_probability(same), "{text}");
    }
}

#[test]
fn the_randomness_is_the_last_56_bits() {
    let id = TraceId::parse(b"0af7651916cd43dd8448eb211c80319c").unwrap();
    assert_eq!(id.randomness(), 0x48_eb21_1c80_319c, "OT-04");
}

#[test]
fn a_probability_keeps_its_share_of_new_traces() {
    let mut rng = ChaCha12Rng::from_seed([1; 32]);
    for text in ["0.5", "0.1", "0.01"] {
        const DRAWS: u32 = 100_000;
        let threshold = Threshold::from_probability(text).unwrap();
        let probability: f64 = text.parse().unwrap();
        let kept = (0..DRAWS).filter(|_| threshold.keeps(TraceId::random(&mut rng).randomness())).count();
        let expected = f64::from(DRAWS) * probability;
        // Five standard deviations: with honest ids this fails once in 1.7 million seeds, and the seed is fixed.
        let tolerance = 5.0 * (expected * (1.0 - probability)).sqrt();
        assert!((kept as f64 - expected).abs() < tolerance, "{probability}: {kept} of {DRAWS}");
    }
}

/// The trace-ids of the worked examples: the randomness of the first is 0.8069 of its range, of the second 0.2848.
const HIGH: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const LOW: &str = "0af7651916cd43dd8448eb211c80319c";

/// A decision about a request without headers.
fn decide(sampler: &Sampler, trace_id: TraceId, flag: Option<bool>, ot: Option<OtState<'_>>) -> Sampled {
    let headers = Headers::default();
    let request = &Target::new(&headers, Direction::Inbound);
    let question = Question { trace_id, flag, ot, randomness: None, request };
    sampler.decide(&question, |_| panic!("no rate is set"))
}

/// The value of `ot` next to a parent-id of this hop.
fn retold(ot: &str, sampled: Sampled) -> String {
    let mut out = Vec::new();
    OtState::parse(ot.as_bytes()).unwrap().write_with(sampled.threshold, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn traces_that_start_here_are_decided_as_in_the_worked_examples() {
    // example, trace-id, probability, the value of `th`
    let rows = [
        ("OT-05 E1", HIGH, "0.25", Some("c")),
        ("OT-02 E2", HIGH, "0.2", Some("cccd")),
        ("OT-05 E3", HIGH, "0.1", None),
        ("OT-05 E4", LOW, "0.5", None),
        ("OT-08 E5", LOW, "0.75", Some("4")),
        ("OT-02 E14", "00000000000000000000000000000001", "1", Some("0")),
        ("OT-05 E15", "00000000000000010000000000000000", "1", Some("0")),
    ];
    for (example, trace_id, probability, th) in rows {
        let sampler = Sampler::new(Parent::Respect, Threshold::from_probability(probability).unwrap());
        let trace_id = TraceId::parse(trace_id.as_bytes().try_into().unwrap()).unwrap();
        let sampled = decide(&sampler, trace_id, None, None);
        assert_eq!(sampled.decision.is_record(), th.is_some(), "{example}");
        assert_eq!(
            retold("x:1", sampled),
            th.map_or("x:1".to_owned(), |th| format!("th:{th};x:1")),
            "{example}"
        );
    }
}

#[test]
fn traces_that_came_in_are_decided_as_in_the_worked_examples() {
    let respect = (Parent::Respect, "1");
    // example, trace-id, flags, `ot` that came in, sampler, kept, `ot` that goes out
    let rows = [
        (
            "OT-03 E6",
            LOW,
            "00",
            "rv:6e6d1a75832a2f",
            (Parent::Ignore, "0.6"),
            true,
            "th:6666;rv:6e6d1a75832a2f",
        ),
        ("OT-11 E7", LOW, "01", "th:8", respect, true, ""),
        ("OT-09 E8", LOW, "00", "th:c;foo:1", respect, false, "foo:1"),
        ("OT-12 E10", HIGH, "01", "th:8", (Parent::Ignore, "0.25"), true, "th:c"),
        ("OT-04", LOW, "01", "th:6;rv:6e6d1a75832a2f", respect, true, "th:6;rv:6e6d1a75832a2f"),
        ("OT-04", HIGH, "01", "th:8;rv:6e6d1a75832a2f", respect, true, "rv:6e6d1a75832a2f"),
        ("OT-11", HIGH, "01", "th:8", respect, true, "th:8"),
        ("OT-14", HIGH, "01", "rv:6E6D1A75832A2F;th:8", respect, true, "th:8;rv:6E6D1A75832A2F"),
        ("OT-14", HIGH, "01", "th:123456789abcdef", respect, true, ""),
        ("OT-14", HIGH, "01", "th:;x:", respect, true, "x:"),
        ("raise", HIGH, "01", "th:8", (Parent::Raise, "0"), true, "th:8"),
        ("raise", HIGH, "00", "", (Parent::Raise, "0.25"), true, "th:c"),
    ];
    for (example, trace_id, flags, ot, (parent, probability), kept, out) in rows {
        let header = format!("00-{trace_id}-b7ad6b7169203331-{flags}");
        let context = TraceParent::parse(header.as_bytes()).unwrap();
        let sampler = Sampler::new(parent, Threshold::from_probability(probability).unwrap());
        let sampled = decide(
            &sampler,
            context.trace_id,
            Some(context.flags.is_sampled()),
            OtState::parse(ot.as_bytes()),
        );
        assert_eq!(sampled.decision.is_record(), kept, "{example}: {ot}");
        let ot = if ot.is_empty() { "x:1" } else { ot };
        let out = if out == "th:c" && ot == "x:1" { "th:c;x:1" } else { out };
        assert_eq!(retold(ot, sampled), out, "{example}: {ot}");
    }
}

#[test]
fn thresholds_compare_as_in_the_worked_examples() {
    let told = |th: &str| OtState::parse(format!("th:{th}").as_bytes()).unwrap().threshold().unwrap();
    // E11: at R = f0…, both the span's threshold e and the wanted c keep it.
    assert!(told("e").keeps(0xf0_0000_0000_0000) && told("c").keeps(0xf0_0000_0000_0000));
    // E12 and E13: proportions of what came in are probabilities of their own.
    assert_eq!(Threshold::from_probability("0.25").unwrap(), told("c"));
    assert_eq!(Threshold::from_probability("0.025").unwrap(), told("f999a"));
    // OT-02, E16: a zero in front counts.
    assert_eq!(boundary(told("08")), 0x08_0000_0000_0000);
}

#[test]
fn a_member_that_is_not_made_of_distinct_pairs_says_nothing() {
    for text in
        ["", ";", "th", "th:8;", ";th:8", "th:8;th:4", "TH:8", "1a:1", "a b:1", "a:1 ", "a:\u{e9}", ":1"]
    {
        assert_eq!(OtState::parse(text.as_bytes()), None, "OT-01: {text}");
    }
    for text in ["th:8", "a:", "a1:A.z_-9;b:2", "th:xyz;rv:1"] {
        assert!(OtState::parse(text.as_bytes()).is_some(), "OT-01: {text}");
    }
}

#[test]
fn a_threshold_that_would_make_the_member_too_long_is_left_out() {
    let ot = format!("x:{}", "1".repeat(250));
    let sampler = Sampler::new(Parent::Ignore, Threshold::from_probability("0.2").unwrap());
    let context = TraceParent::parse(format!("00-{HIGH}-b7ad6b7169203331-01").as_bytes()).unwrap();
    let sampled =
        decide(&sampler, context.trace_id, Some(context.flags.is_sampled()), OtState::parse(ot.as_bytes()));
    assert!(sampled.threshold.is_some());
    assert_eq!(retold(&ot, sampled), ot, "OT-01: 256 bytes at most");
}

#[test]
fn a_rate_lets_through_what_it_says_and_a_second_of_burst() {
    const SECOND: u64 = 1_000_000_000;
    let limit = RateLimit::per_second(NonZeroU32::new(5).unwrap());
    let mut bucket = TokenBucket::FULL;
    let mut burst = |now: u64| (0..100).filter(|_| bucket.take(limit, now)).count();
    assert_eq!(burst(7 * SECOND), 5);
    assert_eq!(burst(7 * SECOND + SECOND / 5 - 1), 0);
    assert_eq!(burst(7 * SECOND + SECOND / 5), 1);
    assert_eq!(burst(8 * SECOND), 4);
    assert_eq!(burst(1000 * SECOND), 5, "what was not used in time is gone");
    assert_eq!(burst(999 * SECOND), 0, "a clock that was set back gives nothing away");
    assert_eq!(burst(1000 * SECOND), 5, "and takes nothing away for long");
}
