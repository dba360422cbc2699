//! The oracle: LightGBM's C API, as little of it as the tests need.

use std::ffi::{CStr, CString, c_void};
use std::ptr::null_mut;

use lightgbm3_sys as sys;

pub struct Booster(sys::BoosterHandle);

impl Booster {
    pub fn load(text: &str) -> Booster {
        let text = CString::new(text).unwrap();
        let (mut handle, mut rounds) = (null_mut(), 0);
        // SAFETY: the text ends in NUL; LightGBM copies what it keeps.
        check(unsafe { sys::LGBM_BoosterLoadModelFromString(text.as_ptr(), &mut rounds, &mut handle) });
        Booster(handle)
    }

    /// Trains on row-major data and gives the model's text.
    pub fn train(rows: &[f64], columns: usize, labels: &[f32], rounds: usize, parameters: &str) -> String {
        assert_eq!(rows.len(), labels.len() * columns);
        let parameters =
            format!("verbosity=-1 deterministic=true force_col_wise=true seed=3 num_threads=2 {parameters}");
        let parameters = CString::new(parameters).unwrap();
        let (mut data, mut booster) = (null_mut(), null_mut());
        // SAFETY: the pointers cover as many values as are announced, and outlive the calls that read them.
        unsafe {
            check(sys::LGBM_DatasetCreateFromMat(
                rows.as_ptr().cast::<c_void>(),
                sys::C_API_DTYPE_FLOAT64 as i32,
                labels.len() as i32,
                columns as i32,
                1,
                parameters.as_ptr(),
                null_mut(),
                &mut data,
            ));
            let labels_at = labels.as_ptr().cast::<c_void>();
            let float = sys::C_API_DTYPE_FLOAT32 as i32;
            check(sys::LGBM_DatasetSetField(data, c"label".as_ptr(), labels_at, labels.len() as i32, float));
            check(sys::LGBM_BoosterCreate(data, parameters.as_ptr(), &mut booster));
            for _ in 0..rounds {
                let mut finished = 0;
                check(sys::LGBM_BoosterUpdateOneIter(booster, &mut finished));
            }
        }
        let text = Booster(booster).text();
        // SAFETY: the booster that used the data set is gone.
        check(unsafe { sys::LGBM_DatasetFree(data) });
        text
    }

    fn text(&self) -> String {
        let mut length = 0;
        // SAFETY: the first call writes nothing but the length, the second no more than the buffer holds.
        unsafe {
            check(sys::LGBM_BoosterSaveModelToString(self.0, 0, -1, 0, 0, &mut length, null_mut()));
            let mut buffer = vec![0u8; length as usize];
            check(sys::LGBM_BoosterSaveModelToString(
                self.0,
                0,
                -1,
                0,
                length,
                &mut length,
                buffer.as_mut_ptr().cast(),
            ));
            CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap().to_owned()
        }
    }

    pub fn raw(&self, rows: &[f64], columns: usize, outputs: usize) -> Vec<f64> {
        self.predict(rows, columns, outputs, sys::C_API_PREDICT_RAW_SCORE)
    }

    pub fn predicted(&self, rows: &[f64], columns: usize, outputs: usize) -> Vec<f64> {
        self.predict(rows, columns, outputs, sys::C_API_PREDICT_NORMAL)
    }

    pub fn contributions(&self, rows: &[f64], columns: usize, outputs: usize) -> Vec<f64> {
        self.predict(rows, columns, outputs * (columns + 1), sys::C_API_PREDICT_CONTRIB)
    }

    fn predict(&self, rows: &[f64], columns: usize, width: usize, what: u32) -> Vec<f64> {
        let count = rows.len() / columns;
        let mut out = vec![0.0; count * width];
        let mut written = 0;
        // SAFETY: `rows` holds count x columns values, `out` the count x width that this kind of prediction writes.
        check(unsafe {
            sys::LGBM_BoosterPredictForMat(
                self.0,
                rows.as_ptr().cast::<c_void>(),
                sys::C_API_DTYPE_FLOAT64 as i32,
                count as i32,
                columns as i32,
                1,
                what as i32,
                0,
                -1,
                c"verbosity=-1 num_threads=1".as_ptr(),
                &mut written,
                out.as_mut_ptr(),
            )
        });
        assert_eq!(written as usize, out.len());
        out
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: the handle came from LightGBM and is freed once.
        unsafe { sys::LGBM_BoosterFree(self.0) };
    }
}

fn check(code: i32) {
    if code != 0 {
        // SAFETY: LightGBM keeps its last message per thread, ended by NUL.
        let message = unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) };
        panic!("LightGBM: {}", message.to_string_lossy());
    }
}
