//! Sampling by probability.

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use tracewarden::sampling::Threshold;
use tracewarden::w3c::TraceId;

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
    let rows: &[(f64, &str)] = &[
        (1.0, "0"),
        (0.9, "199a"),
        (0.75, "4"),
        (0.5, "8"),
        (1.0 / 3.0, "aaab"),
        (0.25, "c"),
        (0.2, "cccd"),
        (0.1, "e666"),
        (0.05, "f3333"),
        (0.01, "fd70a"),
        (0.001, "ffbe77"),
        (1e-4, "fff9724"),
        (1e-5, "ffff583a"),
        (1e-6, "ffffef39"),
        (0.999_999_9, "0"),
        (2f64.powi(-56), "ffffffffffffff"),
        (1e-300, "ffffffffffffff"),
    ];
    for (probability, threshold) in rows {
        let found = boundary(Threshold::from_probability(*probability).unwrap());
        assert_eq!(format!("{found:014x}"), format!("{threshold:0<14}"), "{probability}");
    }
}

#[test]
fn zero_keeps_nothing_and_one_keeps_everything() {
    let (never, always) =
        (Threshold::from_probability(0.0).unwrap(), Threshold::from_probability(1.0).unwrap());
    assert_eq!(always, Threshold::ALWAYS);
    for randomness in [0, 1, END / 2, END - 1] {
        assert!(!never.keeps(randomness));
        assert!(always.keeps(randomness));
    }
}

#[test]
fn what_is_no_probability_is_refused() {
    for value in [-0.1, 1.000_000_1, f64::NAN, f64::INFINITY, -f64::INFINITY] {
        assert!(Threshold::from_probability(value).is_err(), "{value}");
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
    for probability in [0.5, 0.1, 0.01] {
        const DRAWS: u32 = 100_000;
        let threshold = Threshold::from_probability(probability).unwrap();
        let kept = (0..DRAWS).filter(|_| threshold.keeps(TraceId::random(&mut rng).randomness())).count();
        let expected = f64::from(DRAWS) * probability;
        // Five standard deviations: with honest ids this fails once in 1.7 million seeds, and the seed is fixed.
        let tolerance = 5.0 * (expected * (1.0 - probability)).sqrt();
        assert!((kept as f64 - expected).abs() < tolerance, "{probability}: {kept} of {DRAWS}");
    }
}
