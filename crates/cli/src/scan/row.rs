//! Rows of tables, as query results in JSON have them.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use super::object::{Object, string};

/// A row of a table, if an array is one: its cells, and the columns' names as far as they are known.
///
/// Logs Insights: `[{"field":"@message","value":"…"},…]`. CloudTrail Lake: `[{"eventJson":"…"},{"eventTime":"…"}]`. What
/// `--query` or `jq` makes of several fields: `["2026-11-20T02:51:00Z","{…}"]`.
pub fn row<'a>(items: &[&'a str]) -> Option<(Vec<Cow<'a, str>>, Vec<String>)> {
    let objects: Option<Vec<Object<'a>>> = items.iter().map(|item| serde_json::from_str(item).ok()).collect();
    if let Some(objects) = objects.filter(|objects| !objects.is_empty()) {
        if objects.iter().all(|object| object.get("field").is_some()) {
            let cell = |object: &Object<'a>| object.string("value").unwrap_or_default();
            let column = |object: &Object<'a>| object.string("field").unwrap_or_default().into_owned();
            return Some((objects.iter().map(cell).collect(), objects.iter().map(column).collect()));
        }
        let single = |object: &Object<'a>| {
            let mut fields = object.fields();
            let (column, value) = fields.next().filter(|_| fields.next().is_none())?;
            Some((string(value)?, column.to_owned()))
        };
        let (cells, columns): (Vec<_>, Vec<_>) =
            objects.iter().map(single).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        let distinct = columns.iter().collect::<HashSet<_>>().len() == columns.len();
        return (distinct && columns.len() > 1).then_some((cells, columns));
    }
    if items.iter().any(|item| item.starts_with(['{', '['])) {
        return None;
    }
    let cells: Vec<Cow<'a, str>> = items.iter().map(|item| string(item).unwrap_or_default()).collect();
    let json = cells.iter().filter(|cell| is_json(cell)).count();
    (0 < json && json < cells.len()).then_some((cells, Vec::new()))
}

/// Whether a text is meant to be a JSON object or array.
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The rows of `aws athena get-query-results`, given its `ResultSet` or that one's `Rows`.
pub fn athena_rows(text: &str) -> serde_json::Result<Vec<Vec<Cow<'_, str>>>> {
    let rows = match serde_json::from_str::<Object<'_>>(text) {
        Ok(set) => set.get("Rows").unwrap_or("[]"),
        Err(_) => text,
    };
    let rows: Vec<AthenaRow> = serde_json::from_str(rows)?;
    let cells = |row: AthenaRow| row.data.into_iter().map(|cell| Cow::Owned(cell.value.unwrap_or_default())).collect();
    Ok(rows.into_iter().map(cells).collect())
}

/// A row of `aws athena get-query-results`.
#[derive(Deserialize)]
struct AthenaRow {
    #[serde(rename = "Data")]
    data: Vec<AthenaCell>,
}

#[derive(Deserialize)]
struct AthenaCell {
    #[serde(rename = "VarCharValue")]
    value: Option<String>,
}
