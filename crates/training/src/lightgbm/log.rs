//! LightGBM's own log goes to `tracing`, at debug: what matters comes back as an error.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};

use lightgbm3_sys::LGBM_RegisterLogCallback;

/// LightGBM keeps its callback per thread, so every entry that may log registers it anew.
pub(super) fn redirect() {
    // SAFETY: the callback is a plain function that lives as long as the program and does not unwind.
    let code = unsafe { LGBM_RegisterLogCallback(Some(receive)) };
    debug_assert_eq!(code, 0, "registering a callback has no way to fail");
}

thread_local! {
    /// A line comes in pieces.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

unsafe extern "C" fn receive(message: *const c_char) {
    if message.is_null() {
        return;
    }
    // SAFETY: LightGBM passes a zero-terminated string that lives for the call.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    // A panic must not cross into C++: a thread that is going away simply stops logging.
    let _ = LINE.try_with(|line| {
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.push_str(&message);
        while let Some(end) = line.find('\n') {
            let whole: String = line.drain(..=end).collect();
            let whole = whole.trim();
            if !whole.is_empty() {
                tracing::debug!(target: "lightgbm", "{whole}");
            }
        }
    });
}
