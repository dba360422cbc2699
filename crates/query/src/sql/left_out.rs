//! What a query leaves out: the rows that an inner join finds no partner for, and those that a filter drops.
//!
//! Each join gives two anti-joins of its own inputs on its own keys; their rows and distinct keys are counted.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use datafusion::prelude::SessionContext;
use serde::{Deserialize, Serialize};

use super::schema::tables_read;
use crate::{QueryError, Result};

/// Rows that a query read and that did not make it through one of its joins or filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub by: LeftOutBy,
    /// The table (or tables, themselves joined) whose rows these are.
    pub side: String,
    /// Under a join: the table or tables on its other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    pub rows: u64,
    /// Rows on that side in all.
    pub of_rows: u64,
    /// Under a join: distinct keys among the rows left out, nulls not counted.
    pub keys: u64,
    /// Under a join: the key, by its columns on this side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_columns: Vec<String>,
    /// The join's or filter's condition.
    pub condition: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutBy {
    Join,
    Filter,
    /// A condition on pairs of rows, of a join without a key; `rows` counts pairs.
    Pairs,
}

/// Counts what every inner join and every filter of the plan leaves out; what leaves nothing out is not listed.
pub(super) async fn find(context: &SessionContext, plan: &LogicalPlan) -> Result<Vec<LeftOut>> {
    let (joins, filters) = joins_and_filters(&with_join_keys(context, plan)?)?;
    let mut found: Vec<LeftOut> = Vec::new();
    for join in joins {
        let swapped = join.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
        let left = side(context, &join, &join.left, &join.right, join.on.clone()).await?;
        let right = side(context, &join, &join.right, &join.left, swapped).await?;
        found.extend([left, right].into_iter().flatten());
    }
    for filter in filters {
        found.extend(filtered(context, &filter).await?);
    }
    // A common table expression read twice stands twice in the plan.
    let mut distinct: Vec<LeftOut> = Vec::new();
    for left_out in found {
        if !distinct.contains(&left_out) {
            distinct.push(left_out);
        }
    }
    Ok(distinct)
}

/// The plan with `a, b WHERE a.x = b.x` and `JOIN … ON a.x = b.x` made joins on keys, and nothing else moved.
fn with_join_keys(context: &SessionContext, plan: &LogicalPlan) -> Result<LogicalPlan> {
    let state = context.state();
    let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let rules =
        Optimizer::with_rules(vec![Arc::new(ExtractEquijoinPredicate::new()), Arc::new(EliminateCrossJoin::new())]);
    Ok(rules.optimize(analyzed, &OptimizerContext::new(), |_, _| {})?)
}

fn joins_and_filters(plan: &LogicalPlan) -> Result<(Vec<Join>, Vec<Filter>)> {
    let (mut joins, mut filters) = (Vec::new(), Vec::new());
    plan.apply_with_subqueries(|node| {
        // What refers to a query around it cannot be counted on its own.
        let alone = node.all_out_ref_exprs().is_empty();
        match node {
            LogicalPlan::Join(join) if alone && join.join_type == JoinType::Inner && !join.on.is_empty() => {
                joins.push(join.clone());
            }
            // Groups that HAVING drops are no rows of a source.
            LogicalPlan::Filter(filter) if alone && !matches!(*filter.input, LogicalPlan::Aggregate(_)) => {
                filters.push(filter.clone());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((joins, filters))
}

async fn side(
    context: &SessionContext,
    join: &Join,
    this: &Arc<LogicalPlan>,
    other: &Arc<LogicalPlan>,
    on: Vec<(Expr, Expr)>,
) -> Result<Option<LeftOut>> {
    let keys: Vec<Expr> = on.iter().map(|(this, _)| this.clone()).collect();
    let anti = Join::try_new(
        this.clone(),
        other.clone(),
        on,
        join.filter.clone(),
        JoinType::LeftAnti,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    let named = keys.iter().enumerate().map(|(index, key)| key.clone().alias(format!("key_{index}")));
    let counted = LogicalPlanBuilder::from(LogicalPlan::Join(anti))
        .project(named.collect::<Vec<_>>())?
        .aggregate((0..keys.len()).map(|index| col(format!("key_{index}"))), [count(lit(1)).alias("rows_of_key")])?
        .aggregate(Vec::<Expr>::new(), [sum(col("rows_of_key")), count(col("key_0"))])?
        .build()?;
    let [rows, distinct] = numbers(context, counted).await?;
    if rows == 0 {
        return Ok(None);
    }
    let condition: Vec<String> = join.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
    Ok(Some(LeftOut {
        by: LeftOutBy::Join,
        side: names(this)?,
        without: Some(names(other)?),
        rows,
        of_rows: rows_of(context, this).await?,
        keys: distinct,
        key_columns: keys.iter().map(column_name).collect(),
        condition: condition.join(" AND "),
    }))
}

async fn filtered(context: &SessionContext, filter: &Filter) -> Result<Option<LeftOut>> {
    let of_rows = rows_of(context, &filter.input).await?;
    let kept = rows_of(context, &Arc::new(LogicalPlan::Filter(filter.clone()))).await?;
    if kept == of_rows {
        return Ok(None);
    }
    Ok(Some(LeftOut {
        by: if joins_without_a_key(&filter.input) { LeftOutBy::Pairs } else { LeftOutBy::Filter },
        side: names(&filter.input)?,
        without: None,
        rows: of_rows - kept,
        of_rows,
        keys: 0,
        key_columns: Vec::new(),
        condition: filter.predicate.to_string(),
    }))
}

/// Whether the plan's rows are all pairs of its inputs' rows.
fn joins_without_a_key(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => join.on.is_empty(),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(joins_without_a_key)
        }
        _ => false,
    }
}

async fn rows_of(context: &SessionContext, plan: &Arc<LogicalPlan>) -> Result<u64> {
    let counted = LogicalPlanBuilder::from(plan.clone()).aggregate(Vec::<Expr>::new(), [count(lit(1))])?.build()?;
    let [rows] = numbers(context, counted).await?;
    Ok(rows)
}

/// The one row of a plan that gives `N` integers; null is 0.
async fn numbers<const N: usize>(context: &SessionContext, plan: LogicalPlan) -> Result<[u64; N]> {
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    let batch = batches.iter().find(|batch| batch.num_rows() == 1);
    let batch = batch.ok_or_else(|| QueryError::Internal("a count gave no row".to_owned()))?;
    Ok(std::array::from_fn(|column| {
        let array = batch.column(column).as_primitive::<Int64Type>();
        if arrow::array::Array::is_null(array, 0) { 0 } else { array.value(0) as u64 }
    }))
}

fn names(plan: &LogicalPlan) -> Result<String> {
    let tables: BTreeSet<String> = tables_read(plan)?;
    Ok(tables.into_iter().collect::<Vec<_>>().join(", "))
}

fn column_name(key: &Expr) -> String {
    match key {
        Expr::Column(column) => column.name.clone(),
        Expr::Cast(cast) => column_name(&cast.expr),
        other => other.to_string(),
    }
}
