//! Reading fields of a record, in the several forms that CloudTrail has for one.

use super::{Detail, Label, VALUES_MAX, value};
use filter_pattern::json::Json;

/// The field of an object, whether its name is written `groupId` or `GroupId`.
pub(super) fn get<'r>(json: &'r Json<'r>, name: &str) -> Option<&'r Json<'r>> {
    json.get(name).or_else(|| {
        let first = name.chars().next()?;
        let other = if first.is_ascii_lowercase() { first.to_ascii_uppercase() } else { first.to_ascii_lowercase() };
        json.get(&format!("{other}{}", &name[first.len_utf8()..]))
    })
}

/// The text of a string, number or boolean; of an XML element with attributes, its content.
pub(super) fn text<'r>(json: &'r Json<'r>) -> Option<&'r str> {
    match json {
        Json::String(text) | Json::Number(text) => Some(text.trim_ascii()).filter(|text| !text.is_empty()),
        Json::Bool(true) => Some("true"),
        Json::Bool(false) => Some("false"),
        Json::Object(fields) => match fields.get("content")? {
            Json::String(text) | Json::Number(text) => Some(text.trim_ascii()).filter(|text| !text.is_empty()),
            _ => None,
        },
        Json::Null | Json::Array(_) => None,
    }
}

/// The text at a path of names.
pub(super) fn at<'r>(json: &'r Json<'r>, path: &str) -> Option<&'r str> {
    text(place(json, path)?)
}

/// The value at a path of names.
pub(super) fn place<'r>(json: &'r Json<'r>, path: &str) -> Option<&'r Json<'r>> {
    path.split('.').try_fold(json, get)
}

/// Whether the text at a path is `true`, however it is written.
pub(super) fn is_true(json: &Json<'_>, path: &str) -> bool {
    at(json, path).is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// The items of a list: an array, an object around one (`items`, `item`, `member`), or the one item there is.
pub(super) fn items<'r>(json: &'r Json<'r>) -> &'r [Json<'r>] {
    match json {
        Json::Array(items) => items,
        Json::Object(fields) => match ["items", "item", "member"].iter().find_map(|name| fields.get(name)) {
            Some(Json::Array(items)) => items,
            Some(item) => std::slice::from_ref(item),
            // `{}` is how an empty list is written.
            None if fields.iter().len() == 0 => &[],
            None => std::slice::from_ref(json),
        },
        Json::Null => &[],
        _ => std::slice::from_ref(json),
    }
}

/// The items at a path of names.
pub(super) fn items_at<'r>(json: &'r Json<'r>, path: &str) -> &'r [Json<'r>] {
    place(json, path).map(items).unwrap_or_default()
}

/// Calls `see` with every value at a path: names, each of which may end with `[]` for the items of a list.
pub(super) fn each<'r>(json: &'r Json<'r>, path: &str, see: &mut impl FnMut(&'r Json<'r>)) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (name, list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let Some(inside) = get(json, name) else { return };
    let inside = if list { items(inside) } else { std::slice::from_ref(inside) };
    for item in inside {
        match rest {
            Some(rest) => each(item, rest, see),
            None => see(item),
        }
    }
}

/// An action without its service: `GetObject` of `s3:GetObject`.
pub(super) fn without_service(action: &str) -> &str {
    action.split_once(':').map_or(action, |(_, name)| name)
}

/// Values that are kept up to [`VALUES_MAX`], then counted.
#[derive(Default)]
pub(super) struct Values {
    pub kept: Vec<Box<str>>,
    pub left_out: usize,
}

impl Values {
    pub(super) fn add(&mut self, text: &str) {
        let Some(text) = value(text) else { return };
        if self.kept.contains(&text) {
            return;
        }
        if self.kept.len() < VALUES_MAX {
            self.kept.push(text);
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn named(self, label: Label) -> Option<Detail> {
        (!self.kept.is_empty()).then_some(Detail::Named { label, values: self.kept, left_out: self.left_out })
    }
}
