//! Tries Tracewarden's policy. A case is a random configuration for each of two hops and a random request that passes
//! them; the rules of `docs/security.md` and `docs/formats.md` are invariants.
//!
//! - [`configuration`] draws a configuration, and keeps what the invariants must know of it.
//! - [`traffic`] draws requests and responses, in any spelling; [`wire`] reads what goes on, without the core's help.
//! - [`hop`] is a host and a filter; [`invariants`] is what must hold; [`case`] puts them together.
#![expect(clippy::expect_used, clippy::panic, reason = "this is a test")]

mod case;
mod configuration;
mod hop;
mod invariants;
mod traffic;
mod wire;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;

use crate::case::Case;

/// Tries random configurations and requests against the rules of the border.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// How many cases are tried.
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// For how many seconds cases are tried, instead of a number of them.
    #[arg(long)]
    seconds: Option<u64>,
    /// What all cases follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads try them.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Tries this case alone, and shows it.
    #[arg(long)]
    case: Option<u64>,
}

/// What all threads share.
#[derive(Default)]
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    has_failed: AtomicBool,
}

/// How many cases a thread takes at a time.
const BATCH: u64 = 1_000;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(number) = options.case {
        let case = draw(options.seed, number);
        println!("{case}");
        case.check();
        return ExitCode::SUCCESS;
    }
    let (progress, began) = (Progress::default(), Instant::now());
    panic::set_hook(Box::new(|_| {}));
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| work(&options, &progress, began));
        }
        report(&options, &progress, began);
    });
    let (done, seconds) = (progress.done.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    println!("policy: {done} cases in {seconds:.0} s, {:.0} a second", done as f64 / seconds.max(0.001));
    if progress.has_failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn work(options: &Options, progress: &Progress, began: Instant) {
    let limit = options.seconds.map(Duration::from_secs);
    while !progress.has_failed.load(Ordering::Relaxed) {
        let first = progress.next.fetch_add(BATCH, Ordering::Relaxed);
        let is_over = limit.map_or(first >= options.cases, |limit| began.elapsed() >= limit);
        if is_over {
            return;
        }
        let last = if limit.is_none() { options.cases.min(first + BATCH) } else { first + BATCH };
        for number in first..last {
            let case = draw(options.seed, number);
            if let Err(problem) = panic::catch_unwind(AssertUnwindSafe(|| case.check())) {
                if !progress.has_failed.swap(true, Ordering::Relaxed) {
                    let text = problem.downcast_ref::<&str>().copied();
                    let problem =
                        problem.downcast_ref::<String>().map(String::as_str).or(text).unwrap_or("a panic");
                    println!("{case}\n{problem}\nAgain: --seed {} --case {number}", options.seed);
                }
                return;
            }
        }
        progress.done.fetch_add(last - first, Ordering::Relaxed);
    }
}

/// Says every ten seconds how far it is.
fn report(options: &Options, progress: &Progress, began: Instant) {
    let mut next = Duration::from_secs(10);
    loop {
        thread::sleep(Duration::from_millis(50));
        let (done, elapsed) = (progress.done.load(Ordering::Relaxed), began.elapsed());
        let is_over = options.seconds.map_or(done >= options.cases, |limit| elapsed.as_secs() >= limit);
        if is_over || progress.has_failed.load(Ordering::Relaxed) {
            return;
        }
        if elapsed >= next {
            println!("policy: {done} cases, {} s", elapsed.as_secs());
            next += Duration::from_secs(10);
        }
    }
}

fn draw(seed: u64, number: u64) -> Case {
    let mut source = ChaCha12Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    Case::draw(&mut source)
}
