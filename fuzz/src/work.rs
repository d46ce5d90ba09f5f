//! Counts the bytes that are allocated, as a measure of work that does not depend on the machine.

/// What a regular expression counts for among the bytes of an input: it may take 64 KiB, and as much again to run.
pub const OF_PATTERN: usize = 32 << 10;

/// Runs `pass` on an input of so many bytes, and fails if it allocates more than a small multiple of them.
pub fn bounded<T>(input: usize, pass: impl FnOnce() -> T) -> T {
    let mut result = None;
    let allocated = allocation_counter::measure(|| result = Some(pass())).bytes_total;
    let bound = 16 * input + (16 << 10);
    assert!(allocated <= bound as u64, "{allocated} bytes were allocated for an input of {input}");
    result.expect("the pass has run")
}

/// Does what is no part of the pass within which it is done.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let mut result = None;
    allocation_counter::opt_out(|| result = Some(work()));
    result.expect("it has been done")
}
