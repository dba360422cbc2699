//! A thin safe wrapper over LightGBM's C API: data sets, boosters, prediction.
//!
//! Handles are freed when dropped and stay on the thread that made them; lengths are checked before LightGBM sees a pointer. All `unsafe` of the crate is in this folder.

mod booster;
mod dataset;
mod log;
mod names;

use std::ffi::{CStr, CString, c_int};

use lightgbm3_sys::LGBM_GetLastError;

pub use booster::{Booster, ImportanceKind};
pub use dataset::{Dataset, Matrix};
pub use names::feature_names;

use crate::LightGbmError;

/// `key=value` pairs under LightGBM's own names, kept in order, each name once: of two values LightGBM would take the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn new() -> Parameters {
        Parameters::default()
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Parameters {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(pair) => pair.1 = value.to_string(),
            None => self.0.push((name.to_owned(), value.to_string())),
        }
        self
    }

    /// Comma-separated numbers; nothing when there are none.
    pub fn with_list<T: ToString>(self, name: &str, values: &[T]) -> Parameters {
        if values.is_empty() {
            return self;
        }
        let values: Vec<String> = values.iter().map(T::to_string).collect();
        self.with(name, values.join(","))
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    fn text(&self) -> Result<CString, LightGbmError> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        c_string(&pairs.join(" "))
    }
}

fn c_string(text: &str) -> Result<CString, LightGbmError> {
    CString::new(text).map_err(|_| LightGbmError { message: format!("{text:?} holds a zero byte") })
}

fn check(code: c_int) -> Result<(), LightGbmError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: LightGBM keeps the message of this thread's last error in a zero-terminated buffer of its own.
    let message = unsafe { CStr::from_ptr(LGBM_GetLastError()) };
    let message = message.to_string_lossy();
    // A failed check ends in the place of LightGBM's source it was built from, which helps nobody.
    let message = message.split(" at /").next().unwrap_or_default();
    Err(LightGbmError { message: message.trim().to_owned() })
}

fn c_length(length: usize, what: &str) -> Result<c_int, LightGbmError> {
    c_int::try_from(length).map_err(|_| LightGbmError { message: format!("{length} {what} are more than it can take") })
}
