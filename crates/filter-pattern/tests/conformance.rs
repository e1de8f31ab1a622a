//! The pattern language, row by row: the documentation's examples and answers recorded from CloudWatch Logs.

use filter_pattern::Pattern;
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    id: String,
    pattern: String,
    event: String,
    matches: Answer,
}

#[derive(Deserialize, Debug, Clone, PartialEq)]
#[serde(untagged)]
enum Answer {
    Matches(bool),
    /// `"invalid"`
    Refused(String),
}

#[derive(Deserialize)]
struct Published {
    pattern: String,
}

fn rows<'t, T: Deserialize<'t>>(text: &'t str) -> Vec<T> {
    let rows: Vec<T> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(!rows.is_empty());
    rows
}

fn answer(row: &Row) -> Answer {
    match Pattern::parse(&row.pattern) {
        Ok(pattern) => Answer::Matches(pattern.matches_text(&row.event)),
        Err(_) => Answer::Refused("invalid".to_owned()),
    }
}

#[test]
fn every_row_has_its_answer() {
    let rows: Vec<Row> = [include_str!("data/conformance.jsonl"), include_str!("data/language.jsonl")]
        .into_iter()
        .flat_map(rows)
        .collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| answer(row) != row.matches)
        .map(|row| {
            format!("{}: {} on {}: expected {:?}, got {:?}", row.id, row.pattern, row.event, row.matches, answer(row))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn every_published_pattern_is_read_and_written() {
    let rows: Vec<Published> = rows(include_str!("data/published.jsonl"));
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| match Pattern::parse(&row.pattern) {
            Ok(pattern) if Pattern::parse(&pattern.to_string()).as_ref() == Ok(&pattern) => None,
            Ok(pattern) => Some(format!("{}: written as {pattern}", row.pattern)),
            Err(error) => Some(error.to_string()),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} patterns:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
