//! Lists that are cut off, and say so.

use std::fmt;

use serde::Serialize;

use super::Clean;

/// The most addresses, keys, … listed in one line.
pub(super) const LIST_MAX: usize = 6;

/// A list and how many of it are not shown.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T = Clean> {
    pub shown: Vec<T>,
    pub left_out: usize,
}

impl<T> List<T> {
    pub(super) fn new(values: impl IntoIterator<Item = T>) -> Self {
        let mut shown: Vec<T> = values.into_iter().collect();
        let left_out = shown.len().saturating_sub(LIST_MAX);
        shown.truncate(LIST_MAX);
        Self { shown, left_out }
    }
}

impl<T: fmt::Display> List<T> {
    /// The list in one line, for a language with a comma of its own.
    pub(super) fn joined(&self, comma: &str) -> String {
        let more = (self.left_out > 0).then(|| format!("+{}", self.left_out));
        self.shown.iter().map(ToString::to_string).chain(more).collect::<Vec<_>>().join(comma)
    }
}

impl<T: fmt::Display> fmt::Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined(", "))
    }
}
