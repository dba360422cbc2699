//! What memory comes from: jemalloc, which takes a fifth off a decision's time beside glibc's (docs/BENCHMARKS.md).

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed memory goes back to the system after half a minute: a pass over a history frees and takes it again all the time.
// SAFETY: the name is jemalloc's own for its settings, which it reads as a C string when it starts.
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: &[u8; 21] = b"dirty_decay_ms:30000\0";
