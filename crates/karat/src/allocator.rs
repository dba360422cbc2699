//! What memory comes from: jemalloc, which takes a fifth off a decision's time beside glibc's (docs/BENCHMARKS.md).

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed memory goes back to the system after half a minute: a pass over a history frees and takes it again all the time. It comes
/// in huge pages, of which such a pass touches a five-hundredth as many.
// SAFETY: the name is jemalloc's own for its settings, which it reads as a C string when it starts.
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: &[u8; 32] = b"thp:always,dirty_decay_ms:30000\0";

/// For a process that lives long and holds little: its memory comes in small pages from now on, as what it touches of a huge one
/// would count as a whole.
#[cfg(target_os = "linux")]
pub fn in_small_pages() {
    // SAFETY: of this process's memory it changes only how the kernel maps what is touched from here on.
    #[expect(unsafe_code, reason = "the kernel is told in no other way")]
    let refused = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    if refused != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "memory may come in huge pages");
    }
}

#[cfg(not(target_os = "linux"))]
pub fn in_small_pages() {}
