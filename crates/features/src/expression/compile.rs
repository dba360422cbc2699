//! From text to a physical expression. Planning ends here; evaluation never plans.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, TableReference, plan_err};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::expressions::BinaryExpr;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::DataType as SqlType;
use karat_core::{Column, DataType, Schema};

use super::row::RowExpression;
use super::{Expression, ExpressionError, coerce, functions, syntax};

/// Texts up to this length cannot nest deep enough to exhaust a stack.
const SHORT: usize = 128;
const DEEP_STACK: usize = 64 << 20;

pub(super) fn compile(sql: &str, schema: &Schema) -> Result<Expression, ExpressionError> {
    with_room(sql, || compile_here(sql, schema))
}

/// The names an expression reads, whether or not such columns exist.
pub(super) fn names(sql: &str) -> Result<Vec<String>, ExpressionError> {
    with_room(sql, || Ok(syntax::parse(sql)?.names))
}

/// Parsing and planning recurse: a long text gets a stack of its own.
fn with_room<T: Send>(
    sql: &str,
    work: impl FnOnce() -> Result<T, ExpressionError> + Send,
) -> Result<T, ExpressionError> {
    if sql.len() <= SHORT {
        return work();
    }
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, work);
        let worker = worker.map_err(|error| ExpressionError::types(sql, error))?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn compile_here(sql: &str, schema: &Schema) -> Result<Expression, ExpressionError> {
    let parsed = syntax::parse(sql)?;
    let mut columns = Vec::with_capacity(parsed.names.len());
    for name in &parsed.names {
        match schema.column(name) {
            Some(column) => columns.push(column.clone()),
            None => return Err(unknown_column(sql, name, &parsed.quoted, schema)),
        }
    }
    let plain = matches!(parsed.syntax, datafusion_sql::sqlparser::ast::Expr::Identifier(_));
    let physical =
        plan(parsed.syntax, &columns).map_err(|error| ExpressionError::types(sql, error.strip_backtrace()))?;
    let input = Schema::new(columns).arrow();
    let arrow = physical.data_type(&input).map_err(|error| ExpressionError::types(sql, error.strip_backtrace()))?;
    let data_type = DataType::of_arrow(&arrow).ok_or_else(|| no_type(sql, &arrow))?;
    let row = RowExpression::compile(&physical, &input).map(Arc::new);
    Ok(Expression { sql: Arc::from(sql), physical, row, data_type, columns: parsed.names, input, plain })
}

fn plan(syntax: datafusion_sql::sqlparser::ast::Expr, columns: &[Column]) -> Result<Arc<dyn PhysicalExpr>> {
    let arrow = Schema::new(columns.to_vec()).arrow();
    let schema = Arc::new(DFSchema::try_from(arrow.as_ref().clone())?);
    let context = Context;
    let options = ParserOptions::new().with_enable_ident_normalization(false).with_map_string_types_to_utf8view(false);
    let planner = SqlToRel::new_with_options(&context, options);
    let logical = planner.sql_to_expr(syntax, &schema, &mut PlannerContext::new())?;
    let logical = coerce::times(logical, &schema)?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(schema.clone()).build());
    let logical = simplifier.coerce(logical, &schema)?;
    let logical = simplifier.simplify(logical)?;
    let physical =
        create_physical_expr(&logical, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    Ok(physical.transform_up(refuse_overflow)?.data)
}

/// Sums that leave 64 bits are errors; the default would wrap round.
fn refuse_overflow(expr: Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    let Some(binary) = expr.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(expr)) };
    let strict = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
    Ok(Transformed::yes(Arc::new(strict.with_fail_on_overflow(true))))
}

fn unknown_column(sql: &str, name: &str, quoted: &[String], schema: &Schema) -> ExpressionError {
    let mut hint = match karat_core::nearest(name, schema.names()) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => {
            let names: Vec<&str> = schema.names().take(12).collect();
            format!("; there are {}{}", names.join(", "), if schema.columns().len() > 12 { ", …" } else { "" })
        }
    };
    if quoted.iter().any(|quoted| quoted == name) {
        hint.push_str(&format!(" (a text is written '{name}')"));
    }
    ExpressionError::UnknownColumn { sql: sql.to_owned(), name: name.to_owned(), hint }
}

fn no_type(sql: &str, arrow: &ArrowType) -> ExpressionError {
    let reason = match arrow {
        ArrowType::Null => "it is null whatever the row: say of which type, as in CAST(NULL AS INT)".to_owned(),
        ArrowType::Duration(_) | ArrowType::Interval(_) => {
            "its value is a length of time, which no column holds: use days_between, months_between or years_between"
                .to_owned()
        }
        other => format!(
            "its type {} is none of bool, int, float, text, date and timestamp: add a CAST",
            other.to_string().to_lowercase()
        ),
    };
    ExpressionError::Types { sql: sql.to_owned(), reason }
}

/// Karat's types under SQL's names: every width of int is 64 bits, every timestamp is microseconds UTC.
#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Boolean | SqlType::Bool => DataType::Bool,
            SqlType::TinyInt(_)
            | SqlType::SmallInt(_)
            | SqlType::Int(_)
            | SqlType::Integer(_)
            | SqlType::BigInt(_)
            | SqlType::Int64
            | SqlType::Int8(_) => DataType::Int,
            SqlType::Float(_) | SqlType::Real | SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float64 => {
                DataType::Float
            }
            SqlType::Text | SqlType::Varchar(None) | SqlType::String(None) | SqlType::CharVarying(None) => {
                DataType::Text
            }
            SqlType::Date => DataType::Date,
            SqlType::Timestamp(None, _) | SqlType::Datetime(None) => DataType::Timestamp,
            other => {
                return plan_err!(
                    "`{other}` is not a type here: there are BOOLEAN, INT, FLOAT, TEXT, DATE and TIMESTAMP"
                );
            }
        };
        Ok(Some(Arc::new(Field::new("", data_type.arrow(), true))))
    }
}

struct Context;

impl ContextProvider for Context {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table `{name}` in an expression")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        static PLANNERS: OnceLock<[Arc<dyn ExprPlanner>; 2]> = OnceLock::new();
        PLANNERS.get_or_init(|| [Arc::new(DatetimeFunctionPlanner), Arc::new(UnicodeFunctionPlanner)])
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        functions::find(name)
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        static OPTIONS: OnceLock<ConfigOptions> = OnceLock::new();
        OPTIONS.get_or_init(ConfigOptions::default)
    }

    fn udf_names(&self) -> Vec<String> {
        functions::function_names().into_iter().map(str::to_owned).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
