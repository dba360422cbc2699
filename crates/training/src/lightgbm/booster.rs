use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use lightgbm3_sys::{
    BoosterHandle, C_API_DTYPE_FLOAT64, C_API_FEATURE_IMPORTANCE_GAIN, C_API_FEATURE_IMPORTANCE_SPLIT,
    C_API_PREDICT_CONTRIB, C_API_PREDICT_RAW_SCORE, LGBM_BoosterAddValidData, LGBM_BoosterCalcNumPredict,
    LGBM_BoosterCreate, LGBM_BoosterFeatureImportance, LGBM_BoosterFree, LGBM_BoosterGetNumPredict,
    LGBM_BoosterGetPredict, LGBM_BoosterPredictForMat, LGBM_BoosterSaveModelToString, LGBM_BoosterUpdateOneIter,
};

use super::{Dataset, Matrix, Parameters, c_length, c_string, check, log};
use crate::LightGbmError;

/// A model being trained. It owns its data sets: LightGBM keeps pointers into them.
pub struct Booster {
    handle: BoosterHandle,
    // Dropped after the handle is freed, which `Drop` does first.
    train: Dataset,
    validation: Vec<Dataset>,
}

/// What an importance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportanceKind {
    /// How many splits use the feature.
    Splits,
    /// The sum of those splits' gains.
    Gain,
}

impl Booster {
    pub fn new(train: Dataset, parameters: &Parameters) -> Result<Booster, LightGbmError> {
        log::redirect();
        let parameters = parameters.text()?;
        let mut handle: BoosterHandle = ptr::null_mut();
        // SAFETY: the data set is alive and moves into the booster; the string ends in zero.
        check(unsafe { LGBM_BoosterCreate(train.handle, parameters.as_ptr(), &raw mut handle) })?;
        Ok(Booster { handle, train, validation: Vec::new() })
    }

    /// A data set made with [`Dataset::like`] from the training one; gives the index [`Booster::scores_of`] takes.
    pub fn add_validation(&mut self, dataset: Dataset) -> Result<usize, LightGbmError> {
        // SAFETY: both handles are alive, and the data set stays so as long as the booster.
        check(unsafe { LGBM_BoosterAddValidData(self.handle, dataset.handle) })?;
        self.validation.push(dataset);
        Ok(self.validation.len() - 1)
    }

    /// Grows one tree. `false`: there was nothing left to split, and no tree was kept.
    pub fn grow(&mut self) -> Result<bool, LightGbmError> {
        log::redirect();
        let mut finished: c_int = 0;
        // SAFETY: the handle and its data sets are alive.
        check(unsafe { LGBM_BoosterUpdateOneIter(self.handle, &raw mut finished) })?;
        Ok(finished == 0)
    }

    /// The probabilities so far of a validation data set's rows.
    pub fn scores_of(&self, validation: usize) -> Result<Vec<f64>, LightGbmError> {
        let Some(dataset) = self.validation.get(validation) else {
            return Err(LightGbmError { message: format!("there is no validation data set {validation}") });
        };
        // Data set 0 is the training one.
        let index = c_length(validation + 1, "data sets")?;
        let mut count = 0i64;
        // SAFETY: the handle is alive.
        check(unsafe { LGBM_BoosterGetNumPredict(self.handle, index, &raw mut count) })?;
        let mut scores = vec![0.0; expect_count(count, dataset.rows())?];
        // SAFETY: the buffer has the length just asked for.
        check(unsafe { LGBM_BoosterGetPredict(self.handle, index, &raw mut count, scores.as_mut_ptr()) })?;
        Ok(scores)
    }

    /// LightGBM's text of the first `rounds` rounds; 0: of all.
    pub fn text(&self, rounds: u32) -> Result<String, LightGbmError> {
        let rounds = rounds_of(rounds)?;
        let kind = C_API_FEATURE_IMPORTANCE_SPLIT as c_int;
        let save = |buffer: &mut Vec<u8>| {
            let mut length = 0i64;
            let (room, text) = (buffer.len() as i64, buffer.as_mut_ptr().cast::<c_char>());
            // SAFETY: LightGBM writes at most `room` bytes, and says how many it would have written.
            check(unsafe { LGBM_BoosterSaveModelToString(self.handle, 0, rounds, kind, room, &raw mut length, text) })?;
            Ok::<usize, LightGbmError>(usize::try_from(length).unwrap_or(0))
        };
        let mut buffer = vec![0u8; 1];
        let length = save(&mut buffer)?;
        buffer.resize(length.max(1), 0);
        let written = save(&mut buffer)?;
        // The length counts the zero at the end.
        buffer.truncate(written.saturating_sub(1));
        String::from_utf8(buffer).map_err(|_| LightGbmError { message: "its model text is not UTF-8".to_owned() })
    }

    /// Per feature, over the first `rounds` rounds; 0: over all.
    pub fn importance(&self, rounds: u32, kind: ImportanceKind) -> Result<Vec<f64>, LightGbmError> {
        let kind = match kind {
            ImportanceKind::Splits => C_API_FEATURE_IMPORTANCE_SPLIT,
            ImportanceKind::Gain => C_API_FEATURE_IMPORTANCE_GAIN,
        };
        let mut out = vec![0.0; self.train.columns()];
        // SAFETY: the buffer has a place for each feature.
        check(unsafe {
            LGBM_BoosterFeatureImportance(self.handle, rounds_of(rounds)?, kind as c_int, out.as_mut_ptr())
        })?;
        Ok(out)
    }

    /// Raw scores by LightGBM itself, over the first `rounds` rounds: an oracle for tests.
    pub fn predict_raw(&self, matrix: Matrix<'_>, rounds: u32) -> Result<Vec<f64>, LightGbmError> {
        self.predict(matrix, rounds, C_API_PREDICT_RAW_SCORE as c_int)
    }

    /// LightGBM's own contributions, features + 1 numbers a row: an oracle for tests.
    pub fn predict_contributions(&self, matrix: Matrix<'_>, rounds: u32) -> Result<Vec<f64>, LightGbmError> {
        self.predict(matrix, rounds, C_API_PREDICT_CONTRIB as c_int)
    }

    fn predict(&self, matrix: Matrix<'_>, rounds: u32, kind: c_int) -> Result<Vec<f64>, LightGbmError> {
        matrix.check()?;
        if matrix.columns != self.train.columns() {
            let message = format!("{} columns, the model has {}", matrix.columns, self.train.columns());
            return Err(LightGbmError { message });
        }
        log::redirect();
        let (rows, columns) = (c_length(matrix.rows, "rows")?, c_length(matrix.columns, "columns")?);
        let rounds = rounds_of(rounds)?;
        let parameters = c_string("")?;
        let mut count = 0i64;
        // SAFETY: the handle is alive.
        check(unsafe { LGBM_BoosterCalcNumPredict(self.handle, rows, kind, 0, rounds, &raw mut count) })?;
        let each = if kind == C_API_PREDICT_CONTRIB as c_int { matrix.columns + 1 } else { 1 };
        let mut out = vec![0.0; expect_count(count, matrix.rows * each)?];
        // SAFETY: the matrix holds rows x columns doubles, the output as many as LightGBM asked for.
        check(unsafe {
            LGBM_BoosterPredictForMat(
                self.handle,
                matrix.values.as_ptr().cast::<c_void>(),
                C_API_DTYPE_FLOAT64 as c_int,
                rows,
                columns,
                0,
                kind,
                0,
                rounds,
                parameters.as_ptr(),
                &raw mut count,
                out.as_mut_ptr(),
            )
        })?;
        Ok(out)
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: the handle came from LightGBM and is freed once, before the data sets it points into.
        unsafe { LGBM_BoosterFree(self.handle) };
    }
}

/// A count other than ours means an objective this wrapper was not made for, such as several classes.
fn expect_count(count: i64, wanted: usize) -> Result<usize, LightGbmError> {
    if usize::try_from(count) == Ok(wanted) {
        return Ok(wanted);
    }
    Err(LightGbmError { message: format!("it gives {count} numbers where {wanted} belong") })
}

/// LightGBM takes 0 for all.
fn rounds_of(rounds: u32) -> Result<c_int, LightGbmError> {
    c_length(rounds as usize, "rounds")
}
