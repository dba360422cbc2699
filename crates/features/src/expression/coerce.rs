//! Dates among timestamps become microseconds UTC. Left alone, DataFusion brings both to nanoseconds, which end in the
//! year 2262: later dates would overflow.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use karat_core::DataType;

/// Functions that bring their arguments to one type.
const COMMON_TYPE: [&str; 6] = ["coalesce", "nvl", "nvl2", "nullif", "greatest", "least"];

pub(super) fn times(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expr.transform_up(|expr| step(expr, schema))?.data)
}

fn step(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let mut both = [*left, *right];
            let changed = align(&mut both, schema)?;
            let [left, right] = both;
            mark(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))), changed)
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let mut all = [*expr, *low, *high];
            let changed = align(&mut all, schema)?;
            let [expr, low, high] = all;
            mark(Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high))), changed)
        }
        Expr::InList(InList { expr, list, negated }) => {
            let mut all = list;
            all.insert(0, *expr);
            let changed = align(&mut all, schema)?;
            let expr = all.remove(0);
            mark(Expr::InList(InList::new(Box::new(expr), all, negated)), changed)
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            let (whens, mut results): (Vec<_>, Vec<_>) =
                when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
            let has_else = else_expr.is_some();
            results.extend(else_expr.map(|expr| *expr));
            let mut changed = align(&mut results, schema)?;
            let mut whens = whens;
            let mut base = expr.map(|expr| *expr);
            if let Some(inner) = base.take() {
                whens.insert(0, inner);
                changed |= align(&mut whens, schema)?;
                base = Some(whens.remove(0));
            }
            let otherwise = if has_else { results.pop().map(Box::new) } else { None };
            let pairs = whens.into_iter().zip(results).map(|(when, then)| (Box::new(when), Box::new(then))).collect();
            mark(Expr::Case(Case::new(base.map(Box::new), pairs, otherwise)), changed)
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if COMMON_TYPE.contains(&func.name()) => {
            let changed = align(&mut args, schema)?;
            mark(Expr::ScalarFunction(ScalarFunction { func, args }), changed)
        }
        other => Transformed::no(other),
    })
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Minus)
}

fn mark(expr: Expr, changed: bool) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// Casts every date and other timestamp to microseconds UTC where at least one is a timestamp.
fn align(exprs: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let types = exprs.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if !types.iter().any(|data_type| matches!(data_type, ArrowType::Timestamp(..))) {
        return Ok(false);
    }
    let wanted = DataType::Timestamp.arrow();
    let mut changed = false;
    for (expr, data_type) in exprs.iter_mut().zip(types) {
        let time = matches!(data_type, ArrowType::Timestamp(..) | ArrowType::Date32 | ArrowType::Date64);
        if time && data_type != wanted {
            let inner = std::mem::take(expr);
            *expr = inner.cast_to(&wanted, schema)?;
            changed = true;
        }
    }
    Ok(changed)
}
