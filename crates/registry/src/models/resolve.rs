use karat_core::nearest;
use karat_metadata::Connection;

use super::standing::may_serve;
use super::{ModelVersion, Reference, RegisteredModel, list};
use crate::{Answer, Registry, RegistryError};

/// The alias that serves unless another is named.
pub const CHAMPION: &str = "champion";

impl Registry {
    /// The version that `NAME@ALIAS` or `NAME/VERSION` names. `NAME` alone is its champion; without one, the newest
    /// version that could become it (approved where the model requires that, gates passed, not rejected).
    pub fn resolve<'a>(&'a self, reference: &'a str) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let reference: Reference = reference.parse()?;
            let mut reader = self.metadata.read().await?;
            match &reference {
                Reference::Version { model, version } => list::version(&mut reader, model, *version).await,
                Reference::Alias { model, alias } => {
                    let held = list::model(&mut reader, model).await?;
                    let Some(version) = held.aliases.get(alias.as_str()) else {
                        return Err(no_alias(&held, alias));
                    };
                    list::version(&mut reader, model, *version).await
                }
                Reference::Model { model } => champion_or_newest(&mut reader, model).await,
            }
        })
    }
}

pub(super) fn no_alias(model: &RegisteredModel, alias: &str) -> RegistryError {
    let RegisteredModel { name, aliases, .. } = model;
    RegistryError::NotFound(match nearest(alias, aliases.keys().map(String::as_str)) {
        Some(near) => format!("`{name}` has no alias `{alias}`; did you mean `{near}`?"),
        None => format!("`{name}` has no alias `{alias}`"),
    })
}

async fn champion_or_newest(connection: &mut Connection, name: &str) -> Result<ModelVersion, RegistryError> {
    let model = list::model(connection, name).await?;
    if let Some(version) = model.aliases.get(CHAMPION) {
        return list::version(connection, name, *version).await;
    }
    let mut in_the_way = None;
    for number in (1..=model.versions).rev() {
        let version = list::version(connection, name, number).await?;
        match may_serve(&version, model.approval) {
            Ok(()) => return Ok(version),
            Err(error) => in_the_way = in_the_way.or(Some(error)),
        }
    }
    Err(match in_the_way {
        // What is in the newest one's way is what its owner wants to hear.
        Some(error) => RegistryError::Refused(format!("`{name}` has no champion, and no version may serve: {error}")),
        None => RegistryError::NotFound(format!("`{name}` has no versions yet: train it first")),
    })
}
