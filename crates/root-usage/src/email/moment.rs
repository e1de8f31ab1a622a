//! When something happened, as a mail says it.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Style;
use crate::alert::Action;

/// A moment, with the operator's local time where one is set.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Moment {
    at: Timestamp,
    local: Option<String>,
}

/// From when to when; one moment if both are equal.
#[derive(Serialize)]
pub(super) struct Span {
    pub from: Moment,
    pub to: Moment,
}

impl Moment {
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn new(at: Timestamp, style: &Style) -> Self {
        let local = style.time_zone.as_ref().map(|zone| {
            let name = zone.iana_name().unwrap_or_default();
            format!("{} {name}", at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S"))
        });
        Self { at, local }
    }

    /// The operator's own time, where one is set.
    pub(super) fn local(&self) -> Option<&str> {
        self.local.as_deref()
    }

    /// Without the local time, for lists.
    pub(super) fn utc(&self) -> String {
        self.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc())?;
        self.local.as_ref().map_or(Ok(()), |local| write!(f, " ({local})"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.at)
    }
}

impl Span {
    pub(super) fn of<'a>(actions: impl Iterator<Item = &'a Action>, style: &Style) -> Option<Self> {
        let both = |span: Option<(Timestamp, Timestamp)>, time: Timestamp| match span {
            Some((from, to)) => Some((from.min(time), to.max(time))),
            None => Some((time, time)),
        };
        let (from, to) = actions.filter_map(|action| action.record.event_time()).fold(None, both)?;
        Some(Self { from: Moment::new(from, style), to: Moment::new(to, style) })
    }

    /// From when to when, the day once if it is one; `between` is what the language has there.
    pub(super) fn joined(&self, between: &str) -> String {
        match self.until() {
            Some(until) => format!("{}{between}{until} UTC", self.begins()),
            None => self.from.utc(),
        }
    }

    /// When it begins, in front of a line that stands in order of time.
    pub(super) fn begins(&self) -> String {
        self.from.at.strftime("%F %H:%M:%S").to_string()
    }

    /// When it ends, if that is later: with its day, if that is another.
    pub(super) fn until(&self) -> Option<String> {
        let day = |moment: &Moment| moment.at.strftime("%F").to_string();
        let format = if day(&self.from) == day(&self.to) { "%H:%M:%S" } else { "%F %H:%M:%S" };
        (self.from != self.to).then(|| self.to.at.strftime(format).to_string())
    }
}
