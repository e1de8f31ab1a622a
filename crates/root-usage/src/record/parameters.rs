//! Parameters that AWS publishes for everybody.

use filter_pattern::json::Json;

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
