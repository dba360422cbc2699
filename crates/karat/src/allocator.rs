//! What memory comes from: jemalloc, which takes a fifth off a decision's time beside glibc's (docs/BENCHMARKS.md).

use tikv_jemallocator::Jemalloc;

use crate::args::Cli;
#[cfg(target_os = "linux")]
use crate::args::Command;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed memory goes back to the system after half a minute: a pass over a history frees and takes it again all the time. It comes
/// in huge pages, of which such a pass touches a five-hundredth as many.
// SAFETY: the name is jemalloc's own for its settings, which it reads as a C string when it starts.
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(target_os = "linux")]
static SETTINGS: &[u8; 32] = b"thp:always,dirty_decay_ms:30000\0";

/// Where there are no huge pages to ask for, jemalloc would say so on stderr.
// SAFETY: as above.
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(not(target_os = "linux"))]
static SETTINGS: &[u8; 21] = b"dirty_decay_ms:30000\0";

/// A server lives long and holds little: its memory comes in small pages from now on, as what it touches of a huge one would count
/// as a whole. What it starts to pass over data inherits that, and goes back.
#[cfg(target_os = "linux")]
pub fn choose_pages(cli: &Cli) {
    const NONE: libc::c_ulong = 0;
    let small: libc::c_ulong = match cli.command {
        Command::Serve(_) => 1,
        Command::RegisterLogged => 0,
        _ => return,
    };
    // SAFETY: of this process's memory it changes only how the kernel maps what is touched from here on.
    #[expect(unsafe_code, reason = "the kernel is told in no other way")]
    let refused = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, small, NONE, NONE, NONE) };
    if refused != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "the kernel chooses the size of pages");
    }
}

#[cfg(not(target_os = "linux"))]
pub fn choose_pages(_: &Cli) {}
