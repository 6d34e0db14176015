//! How much memory the decoding of an input takes.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs `decode`, which must not allocate more than `most` bytes at any moment beyond what there was before.
///
/// # Panics
/// When it does.
pub fn at_most<T>(most: usize, decode: impl FnOnce() -> T) -> T {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let decoded = decode();
    let took = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(took <= most, "took {took} bytes of memory, may take {most}");
    decoded
}
