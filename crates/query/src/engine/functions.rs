//! The functions that expressions have beyond DataFusion's own, given to SQL sources and queries too.

use std::collections::HashSet;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use karat_core::{Column, DataType, Schema};
use karat_features::Expression;

pub(super) fn register(context: &SessionContext) {
    let known: HashSet<String> = context.udfs();
    for name in karat_features::function_names().into_iter().filter(|name| !known.contains(*name)) {
        let signature = Signature::user_defined(Volatility::Immutable);
        context.register_udf(ScalarUDF::new_from_impl(ExpressionFunction { name, signature }));
    }
}

/// A call is an expression over its arguments, so that there is one implementation.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExpressionFunction {
    name: &'static str,
    signature: Signature,
}

impl ExpressionFunction {
    fn compile(&self, arguments: &[ArrowType]) -> Result<Expression> {
        let mut columns = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let Some(data_type) = DataType::of_arrow(argument) else {
                return plan_err!("{} takes no {argument}: CAST it", self.name);
            };
            columns.push(Column::new(format!("argument_{index}"), data_type));
        }
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let call = format!("{}({})", self.name, names.join(", "));
        Expression::compile(&call, &Schema::new(columns)).or_else(|error| plan_err!("{error}"))
    }
}

impl ScalarUDFImpl for ExpressionFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[ArrowType]) -> Result<Vec<ArrowType>> {
        self.compile(arguments)?;
        Ok(arguments
            .iter()
            .map(|argument| DataType::of_arrow(argument).map_or(argument.clone(), DataType::arrow))
            .collect())
    }

    fn return_type(&self, arguments: &[ArrowType]) -> Result<ArrowType> {
        Ok(self.compile(arguments)?.data_type().arrow())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let types: Vec<ArrowType> = arrays.iter().map(|array| array.data_type().clone()).collect();
        let rows = arrays.first().map_or(arguments.number_rows, |array| array.len());
        match self.compile(&types)?.evaluate_columns(arrays, rows) {
            Ok(array) => Ok(ColumnarValue::Array(array)),
            Err(error) => exec_err!("{error}"),
        }
    }
}
