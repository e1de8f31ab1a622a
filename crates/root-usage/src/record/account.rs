//! Account ids that some pipeline has made numbers of.

use filter_pattern::json::Json;

/// Where a record names an account.
const ACCOUNT_PATHS: [&[&str]; 3] =
    [&["recipientAccountId"], &["userIdentity", "accountId"], &["vpcEndpointAccountId"]];

/// Writes every account id as AWS does, with twelve digits.
pub(super) fn pad(json: &mut Json<'_>) {
    pad_numbers(json, "");
    for path in ACCOUNT_PATHS {
        if let Some(account) = json.get_mut(path) {
            pad_account(account);
        }
    }
}

/// Writes an account id as AWS does, with twelve digits: some pipelines make a number of it, which loses the zeros that
/// it begins with.
fn pad_account(json: &mut Json<'_>) {
    let (Json::Number(text) | Json::String(text)) = &*json else { return };
    let text = text.trim_ascii();
    // As a spreadsheet writes it, too: `1.11122223333e+11`.
    let whole = text.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && (0.0..1e12).contains(number));
    let padded = match whole {
        Some(number) if text.len() != 12 || text.bytes().any(|byte| !byte.is_ascii_digit()) => {
            format!("{number:012.0}")
        }
        _ => return,
    };
    *json = Json::String(padded.into());
}

/// Does the same wherever a number stands under a name that is an account's: `accountId`, EC2's `userId`, RDS's
/// `valuesToAdd`. AWS writes account ids as strings, so a number there has been through such a pipeline; one of fewer
/// than nine digits is something else.
fn pad_numbers(json: &mut Json<'_>, name: &str) {
    match json {
        Json::Object(fields) => fields.iter_mut().for_each(|(name, value)| pad_numbers(value, name)),
        Json::Array(items) => items.iter_mut().for_each(|item| pad_numbers(item, name)),
        // The text first: an array can have a million numbers, and almost all are short.
        Json::Number(text)
            if text.len() > 5 && text.parse().is_ok_and(|number: f64| number >= 1e8) && names_account(name) =>
        {
            pad_account(json);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn names_account(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("account") || ["userid", "userids", "ownerid", "targetprincipal", "valuestoadd"].contains(&&*name)
}

/// Whether this is an account's id: twelve digits.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
