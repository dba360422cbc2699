//! What memory comes from: jemalloc, which takes a fifth off a decision's time beside glibc's (docs/BENCHMARKS.md).

use std::alloc::{GlobalAlloc, Layout};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Zeroing = Zeroing;

/// Jemalloc, but that memory is zeroed by writing. Jemalloc itself gives the pages of all that is larger than 16 KiB back to the
/// system, for the system to clear them when they are touched next, which costs ten times what it takes to write zeros.
struct Zeroing;

/// Above this, zeros may be asked for that nobody will look at.
const MOST_WRITTEN: usize = 64 << 20;

// SAFETY: all is jemalloc's; zeros are written to memory that it just gave, in the size it was asked for.
#[expect(unsafe_code, reason = "an allocator is")]
unsafe impl GlobalAlloc for Zeroing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_WRITTEN {
            return unsafe { Jemalloc.alloc_zeroed(layout) };
        }
        let memory = unsafe { Jemalloc.alloc(layout) };
        if !memory.is_null() {
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { Jemalloc.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { Jemalloc.realloc(memory, layout, size) }
    }
}

/// Freed memory goes back to the system after half a minute: a pass over a history frees and takes it again all the time.
// SAFETY: the name is jemalloc's own for its settings, which it reads as a C string when it starts.
#[expect(unsafe_code, reason = "jemalloc looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: &[u8; 21] = b"dirty_decay_ms:30000\0";
