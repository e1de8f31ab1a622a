//! What of a record is kept while there are many, and how much memory that takes.

use super::Record;
use super::texts::Texts;
use crate::detail::Detail;

impl Record {
    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.json.memory()
            + size_of::<Self>()
            + self.texts.len()
            + self.details.iter().map(Detail::memory).sum::<usize>()
    }

    /// The same record with nothing but what is at these paths, for as long as many have to be kept. Its hash and its
    /// outcome are those of the whole.
    #[must_use]
    pub fn only(&self, paths: &[&[&str]]) -> Self {
        let json = self.json.only(paths);
        let texts = Texts::of(&json);
        Self { json, texts, details: Box::default(), ..*self }
    }

    /// The same with what the action made, opened or let in, too.
    #[must_use]
    pub(crate) fn only_with_details(&self, paths: &[&[&str]]) -> Self {
        Self { details: self.details.clone(), ..self.only(paths) }
    }
}
