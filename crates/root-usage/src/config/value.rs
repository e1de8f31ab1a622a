//! What the values of some variables may be: addresses, ids and names that others give.

/// The most characters of `RUNBOOK_URL`.
const RUNBOOK_MAX: usize = 400;

/// An address that stays one link in a mail: without what ends a link in mail programs or is markup in others, and
/// without punctuation at its end, which they leave out.
pub(super) fn runbook(value: &str) -> Result<String, String> {
    let host = |host: &str| {
        let (name, port) = host.split_once(':').unwrap_or((host, "0"));
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
            && name.len() > 1
            && [name.bytes().next(), name.bytes().last()].iter().flatten().all(u8::is_ascii_alphanumeric)
            && (1..=5).contains(&port.len())
            && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~/?#&=+%:@!-".contains(&byte);
    let right = value.len() <= RUNBOOK_MAX
        && value.strip_prefix("https://").is_some_and(|rest| {
            let (name, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            let ends = path.bytes().last().is_none_or(|byte| byte.is_ascii_alphanumeric() || b"/_=-".contains(&byte));
            host(name) && path.bytes().all(plain) && ends
        });
    right.then(|| value.to_owned()).ok_or_else(|| {
        format!(
            "expected an https address of at most {RUNBOOK_MAX} characters, with all but letters, digits and \
             ._~/?#&=+%:@!- percent-encoded, and without punctuation at its end"
        )
    })
}

/// The id of a policy of an organization.
///
/// Source: botocore 1.44.8, the model `organizations`, `PolicyId`.
pub(super) fn policy_id(value: &str) -> Result<String, String> {
    let right = value.strip_prefix("p-").is_some_and(|id| {
        (8..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    right.then(|| value.to_owned()).ok_or_else(|| "expected the id of a service control policy, p-…".to_owned())
}

/// The name of a DynamoDB table. Its ARN would be one too, but the template gives the name.
///
/// Source: Amazon DynamoDB Developer Guide, "Supported data types and naming rules".
pub(super) fn table(value: &str) -> Result<String, String> {
    let right = (3..=255).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    right.then(|| value.to_owned()).ok_or_else(|| {
        "expected the name of a DynamoDB table: 3 to 255 letters, digits, underscores, dots and hyphens".to_owned()
    })
}
