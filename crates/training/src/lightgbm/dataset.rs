use std::ffi::{CString, c_char, c_void};
use std::ptr;

use lightgbm3_sys::{
    C_API_DTYPE_FLOAT32, C_API_DTYPE_FLOAT64, DatasetHandle, LGBM_DatasetCreateFromMat, LGBM_DatasetFree,
    LGBM_DatasetSetFeatureNames, LGBM_DatasetSetField,
};

use super::{Parameters, c_length, c_string, check, log};
use crate::LightGbmError;

/// Numbers, one column after the other; NaN where there is no value.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    pub values: &'a [f64],
    pub rows: usize,
    pub columns: usize,
}

/// Binned rows with labels.
pub struct Dataset {
    pub(super) handle: DatasetHandle,
    rows: usize,
    columns: usize,
}

impl Dataset {
    /// `parameters` must name categorical features here as well as in [`super::Booster::new`].
    pub fn new(matrix: Matrix<'_>, labels: &[f32], parameters: &Parameters) -> Result<Dataset, LightGbmError> {
        Dataset::create(matrix, labels, parameters, ptr::null_mut())
    }

    /// A data set in the bins of this one, for validation.
    pub fn like(&self, matrix: Matrix<'_>, labels: &[f32], parameters: &Parameters) -> Result<Dataset, LightGbmError> {
        if matrix.columns != self.columns {
            let message = format!("{} columns, the reference has {}", matrix.columns, self.columns);
            return Err(LightGbmError { message });
        }
        Dataset::create(matrix, labels, parameters, self.handle)
    }

    fn create(
        matrix: Matrix<'_>,
        labels: &[f32],
        parameters: &Parameters,
        reference: DatasetHandle,
    ) -> Result<Dataset, LightGbmError> {
        matrix.check()?;
        check_length(labels.len(), matrix.rows, "labels")?;
        log::redirect();
        let (rows, columns) = (c_length(matrix.rows, "rows")?, c_length(matrix.columns, "columns")?);
        let parameters = parameters.text()?;
        let mut handle: DatasetHandle = ptr::null_mut();
        // SAFETY: the matrix holds rows x columns doubles, the reference is null or alive, the strings end in zero.
        check(unsafe {
            LGBM_DatasetCreateFromMat(
                matrix.values.as_ptr().cast::<c_void>(),
                C_API_DTYPE_FLOAT64 as i32,
                rows,
                columns,
                0,
                parameters.as_ptr(),
                reference,
                &raw mut handle,
            )
        })?;
        let mut dataset = Dataset { handle, rows: matrix.rows, columns: matrix.columns };
        dataset.set_field("label", labels)?;
        Ok(dataset)
    }

    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), LightGbmError> {
        check_length(weights.len(), self.rows, "weights")?;
        self.set_field("weight", weights)
    }

    /// As [`super::feature_names`] gives them.
    pub fn set_feature_names(&mut self, names: &[String]) -> Result<(), LightGbmError> {
        check_length(names.len(), self.columns, "names")?;
        let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect::<Result<_, _>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let count = c_length(pointers.len(), "names")?;
        // SAFETY: as many zero-terminated strings as announced, alive until the call returns.
        check(unsafe { LGBM_DatasetSetFeatureNames(self.handle, pointers.as_mut_ptr(), count) })
    }

    fn set_field(&mut self, name: &str, values: &[f32]) -> Result<(), LightGbmError> {
        let name = c_string(name)?;
        let count = c_length(values.len(), "values")?;
        // SAFETY: as many floats as announced; LightGBM copies them.
        check(unsafe {
            LGBM_DatasetSetField(
                self.handle,
                name.as_ptr(),
                values.as_ptr().cast::<c_void>(),
                count,
                C_API_DTYPE_FLOAT32 as i32,
            )
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: the handle came from LightGBM and is freed once. There is nobody to tell of a failure.
        unsafe { LGBM_DatasetFree(self.handle) };
    }
}

impl Matrix<'_> {
    pub(super) fn check(&self) -> Result<(), LightGbmError> {
        let wanted = self.rows.checked_mul(self.columns);
        if wanted == Some(self.values.len()) && self.rows > 0 && self.columns > 0 {
            return Ok(());
        }
        let message = format!("{} values for {} rows of {} columns", self.values.len(), self.rows, self.columns);
        Err(LightGbmError { message })
    }
}

fn check_length(found: usize, wanted: usize, what: &str) -> Result<(), LightGbmError> {
    if found == wanted {
        Ok(())
    } else {
        Err(LightGbmError { message: format!("{found} {what} where {wanted} belong") })
    }
}
