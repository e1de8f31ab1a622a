//! Parameters that AWS publishes for everybody.

use filter_pattern::json::Json;
use sha2::{Digest, Sha256};

/// Whether a call reads Systems Manager parameters of AWS's own, and no other. Nobody else can make a parameter whose name
/// begins like this.
///
/// Source: Systems Manager User Guide, "Working with public parameters" and "Requirements and constraints for parameter
/// names".
pub(super) fn are_public(json: &Json<'_>) -> bool {
    let is = |key, values: &[&str]| matches!(json.get(key), Some(Json::String(text)) if values.contains(&&**text));
    let reads = is("eventName", &["GetParameter", "GetParameters", "GetParametersByPath"]);
    let source =
        matches!(json.get("eventSource"), Some(Json::String(source)) if source.split('.').next() == Some("ssm"));
    let Some(parameters) = json.get("requestParameters").filter(|_| reads && source) else { return false };
    let mut named = ["name", "names", "path"].iter().filter_map(|key| parameters.get(key)).peekable();
    named.peek().is_some()
        && named.all(|named| match named {
            Json::Array(names) => !names.is_empty() && names.iter().all(is_public),
            name => is_public(name),
        })
}

/// A name, a path or an ARN, which has no account: `arn:aws:ssm:us-east-1::parameter/aws/service/…`.
fn is_public(name: &Json<'_>) -> bool {
    let Json::String(name) = name else { return false };
    let path = match name.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", _, "ssm", _, "", resource] => resource.strip_prefix("parameter").unwrap_or_default(),
        _ => name,
    };
    path.starts_with("/aws/service/")
}

/// What tells request parameters apart, all of them: nothing where there are none, so that nobody knows.
pub(super) fn digest(json: &Json<'_>) -> Option<[u8; 16]> {
    let parameters = match json.get("requestParameters") {
        None | Some(Json::Null) => return None,
        Some(Json::Object(fields)) if fields.iter().len() == 0 => return None,
        Some(parameters) => parameters,
    };
    let mut digest = Sha256::new();
    add(&mut digest, parameters);
    let digest = digest.finalize();
    Some(std::array::from_fn(|index| digest[index]))
}

/// Adds a value, so that no two different ones come to the same.
fn add(digest: &mut Sha256, value: &Json<'_>) {
    let mut text = |kind: u8, text: &str| {
        digest.update([kind]);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    match value {
        Json::Null => text(0, ""),
        Json::Bool(value) => text(1, if *value { "true" } else { "false" }),
        Json::Number(number) => text(2, number),
        Json::String(string) => text(3, string),
        Json::Array(values) => {
            text(4, &values.len().to_string());
            values.iter().for_each(|value| add(digest, value));
        }
        Json::Object(fields) => {
            text(5, &fields.iter().len().to_string());
            for (key, value) in fields.iter() {
                add(digest, &Json::String(key.into()));
                add(digest, value);
            }
        }
    }
}
