//! Counts the octets that are allocated, as a measure of work that does not depend on the machine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

/// What a regular expression counts for among the octets of an input: it may take 64 KiB, and as much again to run.
pub const OF_PATTERN: usize = 32 << 10;

/// Runs `pass` on an input of so many octets, and fails if it allocates more than a small multiple of them.
///
/// # Panics
/// It does.
pub fn bounded<T>(input: usize, pass: impl FnOnce() -> T) -> T {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let result = pass();
    let allocated = ALLOCATED.load(Ordering::Relaxed) - before;
    let bound = 16 * input + (16 << 10);
    assert!(allocated <= bound, "{allocated} octets were allocated for an input of {input}");
    result
}
