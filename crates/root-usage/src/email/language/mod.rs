//! The languages of the mail.
//!
//! Each has a file here, a template, a column in the table of actions, and its place in [`Language::ALL`]. Without a text
//! that it needs, this doesn't compile, or a test fails.

mod english;
mod japanese;

use std::fmt;

use super::chapter::Closing;
use super::detail::Safe;
use super::notice::{Damaged, Test};
use super::path_test::PathTested;
use super::step::NextStep;
use super::story::Story;
use super::view::View;
use crate::alert::Known;
use crate::detail::Detail;
use english::English;
use japanese::Japanese;

/// The language of the mail's text. The subject is English in each, since it has to be ASCII.
#[derive(Debug, Clone, Copy)]
pub struct Language(pub(super) &'static dyn Words);

/// What a language has to say.
pub(super) trait Words: fmt::Debug + Sync {
    /// What the configuration and the table of actions call it.
    fn code(&self) -> &'static str;

    /// A mail.
    fn mail(&self, mail: &Mail<'_>) -> askama::Result<String>;

    /// A detail in a few words, which fit after any outcome.
    fn detail(&self, detail: &Detail<Safe>) -> String;

    /// The words for a detail of what was not done.
    fn asked_for(&self, detail: &str) -> String;

    /// That an action was done, or else tried, made of its words in the table of actions.
    fn did(&self, words: &str, done: bool) -> Option<String>;
}

/// What a mail is about.
pub(super) enum Mail<'a> {
    /// What somebody did.
    Alert(&'a View),
    /// What is grave and new in an incident.
    AtOnce(&'a View),
    /// What waited in an incident.
    Update(&'a View),
    /// The lines of it that the closing mail repeats.
    Digest(&'a View),
    /// That an incident is quiet.
    Closing(&'a Closing<'a>),
    /// An incident as a whole, for a terminal.
    Story(&'a Story),
    /// What to do next: one step, without its commands.
    Step(&'a View, &'a NextStep),
    /// That mails arrive.
    Test(&'a Test),
    /// That a marked call came all the way from CloudTrail.
    PathTest(&'a PathTested),
    /// A batch that can't be read.
    Damaged(&'a Damaged),
}

impl Default for Language {
    fn default() -> Self {
        Self(&English)
    }
}

impl Language {
    /// Every language there is.
    pub const ALL: [Self; 2] = [Self(&English), Self(&Japanese)];

    /// What the configuration calls it.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The language that the configuration calls so.
    ///
    /// # Errors
    ///
    /// What would be right, if there is none.
    pub fn parse(code: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|language| language.code() == code);
        named.ok_or_else(|| format!("expected {}", Self::ALL.map(Self::code).join(" or ")))
    }

    /// That a known action was done, or else tried. A test sees that no language lacks the words.
    pub(crate) fn did(self, known: &Known, done: bool) -> Option<String> {
        self.0.did(known.words(self.code())?, done)
    }
}
