//! The sources that a source is made of.

use karat_core::Name;

use crate::Project;
use crate::spec::{Check, Source};
use crate::sql::{TableName, sql_tables};

/// The source a table of a query means: by its exact name, else ignoring case where it is not quoted.
pub(crate) fn resolve<'a>(table: &TableName, mut names: impl Iterator<Item = &'a Name> + Clone) -> Option<&'a Name> {
    let exact = names.clone().find(|name| name.as_str() == table.name);
    exact.or_else(|| names.find(|name| table.means(name)))
}

impl Project {
    /// The sources that `source` reads (in its SQL) or looks into (in `relation` checks), each once, as first named.
    pub fn upstream(&self, source: &Source) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        let tables = source.sql.iter().flat_map(|sql| sql_tables(sql));
        let read = tables.filter_map(|table| resolve(&table, self.sources().keys()).cloned());
        let related = source.contract.iter().filter_map(|rule| match &rule.check {
            Check::Relation { source, .. } => Some(source.clone()),
            _ => None,
        });
        for name in read.chain(related) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Every source after those it is made of; otherwise in the order of the project.
    pub fn sources_in_order(&self) -> Vec<&Source> {
        let mut ordered: Vec<&Source> = Vec::new();
        for source in self.sources().values() {
            self.add_after_upstream(source, &mut ordered);
        }
        ordered
    }

    /// Ends because a validated project has no cycles.
    fn add_after_upstream<'a>(&'a self, source: &'a Source, ordered: &mut Vec<&'a Source>) {
        if ordered.iter().any(|done| done.name == source.name) {
            return;
        }
        for name in self.upstream(source) {
            if let Some(upstream) = self.sources().get(&name) {
                self.add_after_upstream(upstream, ordered);
            }
        }
        ordered.push(source);
    }
}
