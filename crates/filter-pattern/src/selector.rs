//! Selectors: `$.userIdentity.type`, `$.resources[0].ARN`, `$.items[*].id`, `$.['cluster.name']`.

use std::fmt;

use crate::json::Json;

/// A path into an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector(pub(super) Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// `.name` or `.['name']`: the field of an object.
    Key(String),
    /// `[0]`: an element of an array.
    Index(usize),
    /// `[*]`: each element of an array, each value of an object.
    AnyIndex,
    /// `.*`: the same.
    AnyKey,
}

impl Segment {
    pub(super) fn is_wildcard(&self) -> bool {
        matches!(self, Self::AnyIndex | Self::AnyKey)
    }
}

impl Selector {
    /// Whether any value that the path leads to satisfies `test`. Stops at the first that does.
    pub(super) fn any(&self, event: &Json<'_>, mut test: impl FnMut(&Json<'_>) -> bool) -> bool {
        walk(&self.0, event, &mut test)
    }
}

// The language allows one wildcard in a selector, so this goes down at most one level and visits each value once.
fn walk(steps: &[Segment], mut at: &Json<'_>, test: &mut dyn FnMut(&Json<'_>) -> bool) -> bool {
    for (done, step) in steps.iter().enumerate() {
        let next = match (step, at) {
            (Segment::Key(key), Json::Object(fields)) => fields.get(key.as_str()),
            (Segment::Index(index), Json::Array(items)) => items.get(*index),
            (Segment::AnyIndex | Segment::AnyKey, Json::Array(items)) => {
                return items.iter().any(|item| walk(&steps[done + 1..], item, test));
            }
            (Segment::AnyIndex | Segment::AnyKey, Json::Object(fields)) => {
                return fields.values().any(|value| walk(&steps[done + 1..], value, test));
            }
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    test(at)
}

/// Whether `c` may stand in a name without brackets.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Segment::Key(key) if !key.is_empty() && key.chars().all(is_name_char) => write!(f, ".{key}"),
            Segment::Key(key) => write!(f, ".['{key}']"),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::AnyIndex => f.write_str("[*]"),
            Segment::AnyKey => f.write_str(".*"),
        })
    }
}
