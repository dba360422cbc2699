use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::FutureExt;
use karat_core::{Column, DataType, Name, Schema, hidden};

use crate::engine::{current_schema, plan, session};
use crate::{QueryError, Result};

/// The columns of a query over sources with these schemas, in Karat's types.
///
/// Hidden columns that the query lets through are left out. Two columns of one name, a column without one, and a
/// column of a type that has no place in Karat are errors.
pub fn plan_sql(sql: &str, upstream: &BTreeMap<Name, Schema>) -> Result<Schema> {
    plan_query(sql, upstream).map(|(schema, _)| schema)
}

/// As [`plan_sql`], with the columns that the query uses of each source.
pub(crate) fn plan_query(
    sql: &str,
    upstream: &BTreeMap<Name, Schema>,
) -> Result<(Schema, BTreeMap<String, Vec<String>>)> {
    let context = session(None);
    for (name, schema) in upstream {
        let table = Arc::new(EmptyTable::new(current_schema(schema)));
        context.register_table(TableReference::bare(name.as_str()), table)?;
    }
    // Nothing here waits for anything: the tables are in memory.
    let plan = plan(&context, sql).now_or_never().unwrap_or_else(|| {
        Err(QueryError::Internal("planning over tables in memory waited for something".to_owned()))
    })?;
    let state = context.state();
    let analyzed = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    let schema = columns(&analyzed, upstream)?;
    Ok((schema, columns_read(&state.optimize(&analyzed)?)?))
}

/// By table, the columns that are left of its scans once the plan is optimized.
fn columns_read(plan: &LogicalPlan) -> Result<BTreeMap<String, Vec<String>>> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let names = scan.projected_schema.fields().iter().map(|field| field.name().clone());
            let names = names.filter(|name| !hidden::ALL.contains(&name.as_str()));
            read.entry(scan.table_name.table().to_owned()).or_default().extend(names);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read.into_iter().map(|(table, names)| (table, names.into_iter().collect())).collect())
}

fn columns(plan: &LogicalPlan, upstream: &BTreeMap<Name, Schema>) -> Result<Schema> {
    let given = given_names(plan);
    let known = |name: &str| given.contains(name) || upstream.values().any(|schema| schema.column(name).is_some());
    let mut columns: Vec<Column> = Vec::new();
    for field in plan.schema().fields() {
        let name = field.name();
        if hidden::ALL.contains(&name.as_str()) {
            continue;
        }
        if !known(name) && !is_word(name) {
            return Err(QueryError::Sql(format!("the column `{name}` has no name of its own: add `AS some_name`")));
        }
        if columns.iter().any(|column| &column.name == name) {
            return Err(QueryError::Sql(format!("two columns are called `{name}`: give one another name with AS")));
        }
        let Some(data_type) = DataType::of_arrow(field.data_type()) else {
            let problem = format!("the column `{name}` is {}, which has no place here: CAST it", field.data_type());
            return Err(QueryError::Sql(problem));
        };
        columns.push(Column::new(name, data_type));
    }
    Ok(Schema::new(columns))
}

/// Names that the query gives with AS.
fn given_names(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut plan = plan;
    loop {
        if let LogicalPlan::Projection(projection) = plan {
            names.extend(projection.expr.iter().filter_map(|expr| match expr {
                Expr::Alias(alias) => Some(alias.name.clone()),
                _ => None,
            }));
        }
        match plan.inputs().as_slice() {
            [input] => plan = input,
            _ => return names,
        }
    }
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The tables a plan reads, in subqueries too.
pub(super) fn tables_read(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.insert(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}
