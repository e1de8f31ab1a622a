//! The pattern language, row by row: the documentation's examples and answers recorded from CloudWatch Logs.
//!
//! `cargo test -p filter-pattern --test conformance -- --show-output` prints how many there are, and how many agree.

use std::collections::BTreeMap;

use filter_pattern::Pattern;
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    id: String,
    pattern: String,
    event: String,
    matches: Answer,
    source: String,
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

const CONFORMANCE: &str = include_str!("data/conformance.jsonl");
const LANGUAGE: &str = include_str!("data/language.jsonl");
const PUBLISHED: &str = include_str!("data/published.jsonl");

/// Whether the pattern is read, written, and read as the same again.
fn is_kept(row: &Published) -> bool {
    Pattern::parse(&row.pattern).is_ok_and(|pattern| Pattern::parse(&pattern.to_string()).as_ref() == Ok(&pattern))
}

/// Where an answer of conformance.jsonl is from, in the README's words.
fn origin(row: &Row) -> &'static str {
    match row.source.as_str() {
        source if source.starts_with("AWS TestMetricFilter") => "AWS's `TestMetricFilter`, recorded",
        source if source.starts_with("real AWS") => "AWS, as people reported it in public",
        source if source.starts_with("docs") && source.contains("derived") => {
            "derived from the CloudWatch Logs User Guide"
        }
        source if source.starts_with("docs") => "examples of the CloudWatch Logs User Guide",
        source => panic!("{}: a source of a new kind, {source}", row.id),
    }
}

#[test]
fn the_readme_has_the_figures() {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut count = |origin, agrees| {
        let (all, agreeing) = counts.entry(origin).or_default();
        *all += 1;
        *agreeing += usize::from(agrees);
    };
    for row in rows::<Row>(CONFORMANCE) {
        count(origin(&row), answer(&row) == row.matches);
    }
    for row in rows::<Row>(LANGUAGE) {
        count("this crate's own reading, rule by rule", answer(&row) == row.matches);
    }
    for row in rows::<Published>(PUBLISHED) {
        count("patterns that CIS and AWS published: read, and written the same", is_kept(&row));
    }

    let readme = include_str!("../README.md");
    let lines: Vec<String> =
        counts.iter().map(|(origin, (all, agreeing))| format!("| {origin} | {all} | {agreeing} |")).collect();
    println!("{}", lines.join("\n"));
    let missing: Vec<&String> = lines.iter().filter(|line| !readme.lines().any(|other| other == *line)).collect();
    assert!(missing.is_empty(), "README.md has other figures than:\n{missing:#?}");
}

#[test]
fn every_row_has_its_answer() {
    let rows: Vec<Row> = [CONFORMANCE, LANGUAGE].into_iter().flat_map(rows).collect();
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
    let rows: Vec<Published> = rows(PUBLISHED);
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| match Pattern::parse(&row.pattern) {
            Ok(_) if is_kept(row) => None,
            Ok(pattern) => Some(format!("{}: written as {pattern}", row.pattern)),
            Err(error) => Some(error.to_string()),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} patterns:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
