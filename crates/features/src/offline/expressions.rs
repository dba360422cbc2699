use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, TimestampMicrosecondArray};
use karat_core::DataType;

use crate::error::FeatureError;
use crate::view::{CompiledView, FeaturePlan, Input};

/// Rows evaluated at a time: few enough for the caches, many enough to spread the cost of a call.
const ROWS: usize = 8_192;

/// The outputs: slots as they are, expressions computed from them and from each other.
pub(super) fn outputs(
    view: &CompiledView,
    slots: &[ArrayRef],
    as_of: &Int64Array,
) -> Result<Vec<ArrayRef>, FeatureError> {
    let times = TimestampMicrosecondArray::new(as_of.values().clone(), None);
    let times: ArrayRef = Arc::new(times.with_data_type(DataType::Timestamp.arrow()));
    let mut outputs: Vec<Option<ArrayRef>> = view
        .plan
        .features
        .iter()
        .map(|feature| match feature {
            FeaturePlan::Slot(slot) => Some(slots[*slot].clone()),
            FeaturePlan::Expression { .. } => None,
        })
        .collect();
    for output in &view.plan.order {
        let FeaturePlan::Expression { expression, inputs } = &view.plan.features[*output] else { continue };
        let inputs: Vec<ArrayRef> = inputs
            .iter()
            .map(|input| match input {
                Input::AsOf => times.clone(),
                Input::Slot(slot) => slots[*slot].clone(),
                Input::Feature(other) => {
                    outputs[*other].clone().expect("what an expression reads is computed before it")
                }
            })
            .collect();
        let mut parts = Vec::with_capacity(times.len() / ROWS + 1);
        let mut start = 0;
        while start < times.len() || parts.is_empty() {
            let rows = ROWS.min(times.len() - start);
            let columns = inputs.iter().map(|input| input.slice(start, rows)).collect();
            parts.push(
                expression
                    .evaluate_columns_or_null(columns, rows)
                    .map_err(|error| FeatureError::Feature { feature: view.outputs[*output].name.clone(), error })?,
            );
            start += rows.max(1);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        let whole = arrow::compute::concat(&parts).map_err(|error| FeatureError::Batch(error.to_string()))?;
        outputs[*output] = Some(whole);
    }
    Ok(outputs.into_iter().map(|output| output.expect("every output is a slot or was computed")).collect())
}
