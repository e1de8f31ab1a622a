//! The text of the mail: the templates, checked when this is compiled.

use askama::Template;

use super::Language;
use super::link::NoLinks;
use super::related::{Before, History};
use super::step::{Step, Whose};
use super::view::{Because, View, Who};
use crate::alert::{Access, Category, Signal};
use crate::history::Why;
use crate::record::Outcome;

#[derive(Template)]
#[template(path = "alert.en.txt")]
struct English<'a> {
    view: &'a View,
}

#[derive(Template)]
#[template(path = "alert.ja.txt")]
struct Japanese<'a> {
    view: &'a View,
}

/// Puts an alert into words.
pub(super) fn text(view: &View, language: Language) -> askama::Result<String> {
    match language {
        Language::English => English { view }.render(),
        Language::Japanese => Japanese { view }.render(),
    }
}
