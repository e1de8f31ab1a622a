//! The text of the mail: the templates, checked when this is compiled.

use askama::Template;

use super::view::{View, Who};
use crate::alert::{Category, Credential};
use crate::record::Outcome;

#[derive(Template)]
#[template(path = "alert.en.txt")]
struct English<'a> {
    view: &'a View,
}

/// Puts an alert into words.
pub(super) fn text(view: &View) -> askama::Result<String> {
    English { view }.render()
}
