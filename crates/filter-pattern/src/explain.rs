//! Why an event matches, or why not.

use std::fmt::{self, Write};

use super::ast::{Condition, Expr};
use crate::json::Json;

/// The most characters of a value that an explanation shows.
pub const SHOWN_CHARS: usize = 100;

/// The most values that an explanation shows for one condition.
pub const SHOWN_VALUES: usize = 5;

/// One condition of a pattern, and what an event says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The condition's canonical text.
    pub condition: String,
    /// The values that its selector leads to, as JSON text of at most [`SHOWN_CHARS`] characters, with `…` at the end of
    /// a longer one; the first [`SHOWN_VALUES`] of them. Empty if there is none: the field is missing.
    ///
    /// Values come from whoever caused the event. Control characters are escaped, but before they go into an e-mail or
    /// a terminal they need the same care as any part of the event.
    pub found: Vec<String>,
    /// How many values there are beyond those in `found`.
    pub more: usize,
    /// Whether the condition holds.
    pub holds: bool,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}: ", if self.holds { "yes" } else { "no " }, self.condition)?;
        match &self.found[..] {
            [] => f.write_str("missing")?,
            found => f.write_str(&found.join(", "))?,
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

/// Each condition in the order of the pattern, those too that the answer didn't depend on.
pub(super) fn explain(expr: &Expr, event: &Json<'_>, explained: &mut Vec<Explained>) {
    match expr {
        Expr::And(members) | Expr::Or(members) => members.iter().for_each(|member| explain(member, event, explained)),
        Expr::Condition(condition) => explained.push(one(condition, event)),
    }
}

fn one(condition: &Condition, event: &Json<'_>) -> Explained {
    let (mut found, mut more) = (Vec::new(), 0);
    condition.selector.any(event, |value| {
        if found.len() < SHOWN_VALUES {
            found.push(clipped(value));
        } else {
            more += 1;
        }
        false
    });
    let holds = event.as_object().is_some() && condition.holds(event);
    Explained { condition: condition.to_string(), found, more, holds }
}

fn clipped(value: &Json<'_>) -> String {
    let mut clip = Clip { text: String::new(), left: SHOWN_CHARS };
    if write_json(value, &mut clip).is_err() {
        clip.text.pop();
        clip.text.push('…');
    }
    clip.text
}

/// Takes so many characters and then fails, so that a long value costs no more than its start.
struct Clip {
    text: String,
    left: usize,
}

impl Write for Clip {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

fn write_json(value: &Json<'_>, out: &mut Clip) -> fmt::Result {
    match value {
        Json::Null => out.write_str("null"),
        Json::Bool(value) => write!(out, "{value}"),
        Json::Number(text) => out.write_str(text),
        Json::String(text) => write_string(text, out),
        Json::Array(items) => {
            out.write_char('[')?;
            for (i, item) in items.iter().enumerate() {
                out.write_str(if i == 0 { "" } else { "," })?;
                write_json(item, out)?;
            }
            out.write_char(']')
        }
        Json::Object(fields) => {
            out.write_char('{')?;
            for (i, (key, value)) in fields.iter().enumerate() {
                out.write_str(if i == 0 { "" } else { "," })?;
                write_string(key, out)?;
                out.write_char(':')?;
                write_json(value, out)?;
            }
            out.write_char('}')
        }
    }
}

fn write_string(text: &str, out: &mut Clip) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use crate::Pattern;
    use crate::json::Json;

    fn explain(pattern: &str, event: &str) -> Vec<String> {
        let event = Json::parse(event).unwrap();
        Pattern::parse(pattern).unwrap().explain(&event).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_condition_has_its_line() {
        assert_eq!(
            explain(
                r#"{ $.type = "Root" && ($.by NOT EXISTS || $.n > 5) && $.a[*].b IS NULL }"#,
                r#"{"type":"Root","by":"x\ny","n":1.0,"a":[{"b":[null]},{},{"b":{"c":"d"}}]}"#
            ),
            [
                r#"yes  $.type = "Root": "Root""#,
                r#"no   $.by NOT EXISTS: "x\ny""#,
                "no   $.n > 5: 1.0",
                r#"yes  $.a[*].b IS NULL: [null], {"c":"d"}"#,
            ]
        );
        assert_eq!(explain("{ $.a != x }", "{}"), ["no   $.a != x: missing"]);
        assert_eq!(explain("{ $.a NOT EXISTS }", "[]"), ["no   $.a NOT EXISTS: missing"]);
        assert_eq!(explain("", "{}"), [""; 0]);
    }

    #[test]
    fn long_values_are_clipped() {
        let event = format!(r#"{{"a":"{}","b":[1,2,3,4,5,6,7]}}"#, "é".repeat(100_000));
        let lines = explain("{ $.a = x || $.b[*] = 7 }", &event);
        assert_eq!(lines[0], format!("no   $.a = x: \"{}…", "é".repeat(98)));
        assert_eq!(lines[1], "yes  $.b[*] = 7: 1, 2, 3, 4, 5 and 2 more");
    }
}
