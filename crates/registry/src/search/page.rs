use karat_core::Digest;
use karat_metadata::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Key;
use crate::RegistryError;

/// A page of a search, and the token of the next where there is one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Where a page begins: after the row that had these keys. It stays right while rows are added, and belongs to its search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PageToken {
    search: String,
    after: Vec<Json>,
}

impl PageToken {
    /// `search`: what the search was, in whatever form.
    pub(crate) fn after_row(search: &str, keys: &[Key], row: &Row) -> Result<PageToken, RegistryError> {
        let after = keys.iter().enumerate().map(|(number, key)| key.of(row, number)).collect::<Result<_, _>>()?;
        Ok(PageToken { search: fingerprint(search), after })
    }

    /// The keys to go on after.
    pub(crate) fn read(text: &str, search: &str, keys: &[Key]) -> Result<Vec<Json>, RegistryError> {
        let wrong = |why: &str| RegistryError::Invalid(format!("Invalid page token, {why}"));
        let token = unhex(text).and_then(|bytes| serde_json::from_slice::<PageToken>(&bytes).ok());
        let token =
            token.ok_or_else(|| wrong("could not be decoded: send the next_page_token of an answer as it is"))?;
        let fits =
            token.after.len() == keys.len() && keys.iter().zip(&token.after).all(|(key, value)| key.takes(value));
        match token.search == fingerprint(search) && fits {
            true => Ok(token.after),
            false => Err(wrong("it belongs to another search: filter, order and what is searched must stay the same")),
        }
    }

    pub(crate) fn write(&self) -> Result<String, RegistryError> {
        let json = serde_json::to_vec(self).map_err(|error| RegistryError::Invalid(error.to_string()))?;
        Ok(json.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn fingerprint(search: &str) -> String {
    Digest::of(search).as_str().chars().take(16).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.is_ascii() && text.len().is_multiple_of(2);
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    if digits { bytes.collect() } else { None }
}

/// Of one row more than asked for: the page, and the token of the next.
pub(crate) fn page_of<'r>(
    rows: &'r [Row],
    most: u32,
    search: &str,
    keys: &[Key],
) -> Result<(&'r [Row], Option<String>), RegistryError> {
    let most = most as usize;
    let page = &rows[..rows.len().min(most)];
    match page.last() {
        Some(last) if rows.len() > most => Ok((page, Some(PageToken::after_row(search, keys, last)?.write()?))),
        _ => Ok((page, None)),
    }
}
