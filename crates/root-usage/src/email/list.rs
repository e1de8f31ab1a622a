//! Lists that are cut off, and say so.

use std::fmt;

use serde::Serialize;

use super::Clean;

/// The most addresses, keys, … listed in one line.
pub(super) const LIST_MAX: usize = 6;

/// A list and how many of it are not shown.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    pub shown: Vec<Clean>,
    pub left_out: usize,
}

impl List {
    pub(super) fn new(values: impl IntoIterator<Item = Clean>) -> Self {
        let mut shown: Vec<Clean> = values.into_iter().collect();
        let left_out = shown.len().saturating_sub(LIST_MAX);
        shown.truncate(LIST_MAX);
        Self { shown, left_out }
    }

    /// The list in one line, for a language with a comma of its own.
    pub(super) fn joined(&self, comma: &str) -> String {
        let more = (self.left_out > 0).then(|| format!("+{}", self.left_out));
        self.shown.iter().map(ToString::to_string).chain(more).collect::<Vec<_>>().join(comma)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined(", "))
    }
}
