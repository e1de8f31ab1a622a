//! Accounts as the mail names them: `payments-prod (111122223333)`, and their digits alone where a program reads them.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Clean;
use super::sanitize::is_plain;
use crate::directory::Names;

/// The most characters shown of a name: AWS's own most.
///
/// Source: Account Management API Reference, `PutAccountName`.
const NAME_MAX: usize = 50;

/// The most characters of a name in a subject: behind it a telephone still shows the severity and who it was.
const SUBJECT_NAME_MAX: usize = 24;

/// An account. As JSON it is its id alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub id: Clean,
    pub name: Option<Clean>,
}

impl Account {
    pub(super) fn new(id: &str, names: &Names) -> Self {
        let name = names.of(id).map(|entry| Clean::account_name(&entry.name, NAME_MAX));
        Self { id: Clean::name(id), name }
    }

    /// The name, as far as a subject can hold it: ASCII, and nothing that had to be changed.
    pub(super) fn subject_name(&self) -> Option<String> {
        let name = self.name.as_ref().filter(|name| !name.is_quoted() && name.as_str().is_ascii())?.as_str();
        if name.len() <= SUBJECT_NAME_MAX {
            return Some(name.to_owned());
        }
        let begin = name[..SUBJECT_NAME_MAX - 2].trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        (!begin.is_empty() && is_plain(begin)).then(|| format!("{begin}.."))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id),
            None => self.id.fmt(f),
        }
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}
