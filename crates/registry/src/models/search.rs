use karat_metadata::{Connection, QueryBuilder, query, stored};

use super::{ModelVersion, RegisteredModel, Stage, list, manage};
use crate::search::{Columns, MODEL_VERSIONS, Page, REGISTERED_MODELS, Search, page_of_rows};
use crate::{Answer, Registry, RegistryError};

/// What registered models, or versions of them, to find, in MLflow's search language; deleted versions never are.
#[derive(Debug, Clone, Default)]
pub struct ModelSearch {
    pub filter: String,
    /// Models by name, versions the newest change first, where nothing is said.
    pub order_by: Vec<String>,
    pub most: u32,
    pub page_token: Option<String>,
}

impl Registry {
    /// Each with its newest version of each stage.
    pub fn search_models<'a>(
        &'a self,
        asked: &'a ModelSearch,
    ) -> Answer<'a, Page<(RegisteredModel, Vec<ModelVersion>)>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let search = asked.over(&REGISTERED_MODELS, "registered_models");
            let narrow = |query: &mut QueryBuilder| {
                query.push("TRUE");
            };
            let (rows, next) = page_of_rows(&mut reader, &search, |_| &[("name", false)], narrow).await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
                let name = stored::text(row, "name")?;
                items.push((list::model(&mut reader, &name).await?, latest(&mut reader, &name).await?));
            }
            Ok(Page { items, next })
        })
    }

    pub fn search_versions<'a>(&'a self, asked: &'a ModelSearch) -> Answer<'a, Page<ModelVersion>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let search = asked.over(&MODEL_VERSIONS, "model_versions");
            let last = |ordered| -> &'static [_] {
                match ordered {
                    true => &[("name", false), ("version_number", true)],
                    false => &[("last_updated_timestamp", true), ("name", false), ("version_number", true)],
                }
            };
            let narrow = |query: &mut QueryBuilder| {
                query.push("r.lifecycle_stage = 'active'");
            };
            let (rows, next) = page_of_rows(&mut reader, &search, last, narrow).await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
                items.push(list::version_of(&mut reader, row).await?);
            }
            Ok(Page { items, next })
        })
    }

    /// The model and its newest version of each stage, the oldest of these first.
    pub fn model_with_latest<'a>(&'a self, name: &'a str) -> Answer<'a, (RegisteredModel, Vec<ModelVersion>)> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            Ok((manage::require(&mut reader, name).await?, latest(&mut reader, name).await?))
        })
    }
}

impl ModelSearch {
    fn over(&self, subject: &'static crate::search::Subject, table: &'static str) -> Search<'_> {
        Search {
            subject,
            table,
            columns: Columns::All,
            filter: &self.filter,
            order_by: &self.order_by,
            scope: table,
            most: self.most,
            page_token: self.page_token.as_deref(),
        }
    }
}

async fn latest(connection: &mut Connection, name: &str) -> Result<Vec<ModelVersion>, RegistryError> {
    let rows = query(
        "SELECT * FROM model_versions WHERE model = $1 AND version IN (SELECT MAX(version) FROM model_versions \
         WHERE model = $1 AND lifecycle_stage = 'active' GROUP BY stage) ORDER BY version",
    )
    .bind(name)
    .fetch_all(&mut *connection)
    .await?;
    let mut versions = Vec::with_capacity(rows.len());
    for row in &rows {
        versions.push(list::version_of(connection, row).await?);
    }
    Ok(versions)
}

impl Stage {
    /// As clients write it: in any case.
    pub fn named(text: &str) -> Option<Stage> {
        [Stage::None, Stage::Staging, Stage::Production, Stage::Archived]
            .into_iter()
            .find(|stage| stage.as_str().eq_ignore_ascii_case(text))
    }
}
