//! For an action that no table row is about: the ids and names of what it made, by the names that its response has for
//! them, else of what its request is about.

use super::field::{Values, items, text};
use super::{Call, Detail};
use filter_pattern::json::Json;

/// The most fields that are named.
const FIELDS_MAX: usize = 3;

/// How deep inside the response an id is looked for.
const DEPTH_MAX: usize = 3;

/// How many fields of a response are looked at.
const LOOKED_AT_MAX: usize = 400;

/// The longest name of a field.
const NAME_MAX: usize = 40;

/// What a key has in it whose value is nobody's business, or not what was made.
const NEVER: [&str; 20] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "material",
    "privatekey",
    "plaintext",
    "ciphertext",
    "userdata",
    "authorization",
    "apikey",
    "accesskey",
    "requestid",
    "ownerid",
    "accountid",
    "canonical",
    "operationid",
    "revisionid",
];

/// What an event name begins with that makes, opens or changes something.
const VERBS: [&str; 30] = [
    "BatchCreate",
    "Create",
    "Register",
    "Import",
    "Allocate",
    "Run",
    "Start",
    "Stop",
    "Put",
    "Add",
    "Attach",
    "Associate",
    "Upload",
    "Publish",
    "Enable",
    "Disable",
    "Request",
    "Copy",
    "Restore",
    "Update",
    "Modify",
    "Delete",
    "Remove",
    "Detach",
    "Terminate",
    "Invite",
    "Send",
    "Set",
    "Accept",
    "Cancel",
];

struct Field<'r> {
    name: &'r str,
    value: &'r Json<'r>,
    /// The field is about what the action's name is about.
    of_noun: bool,
}

pub(super) fn read(call: &Call<'_>, found: &mut Vec<Detail>) {
    let verb = VERBS.iter().filter_map(|verb| call.event_name.strip_prefix(verb)).min_by_key(|noun| noun.len());
    let noun = verb.unwrap_or(call.event_name).to_ascii_lowercase();
    let mut fields = Vec::new();
    let mut left = LOOKED_AT_MAX;
    collect(call.response, &noun, DEPTH_MAX, &mut left, &mut fields);
    if fields.is_empty() {
        collect(call.request, &noun, 1, &mut left, &mut fields);
    }
    // If any is about what was made, the others are what it belongs to.
    if fields.iter().any(|field| field.of_noun) {
        fields.retain(|field| field.of_noun);
    }
    let mut shown: Vec<(&str, Values)> = Vec::new();
    for field in fields {
        let mut values = Values::default();
        items(field.value).iter().filter_map(text).for_each(|text| values.add(text));
        let Some(first) = values.kept.first() else { continue };
        // An ARN ends with the name or id that was just shown, or the other way round: the short form is what a command
        // takes.
        let same = |(_, others): &(&str, Values)| {
            others.kept.first().is_some_and(|other| ends_with_part(other, first) || ends_with_part(first, other))
        };
        match shown.iter().position(same) {
            Some(index) if shown[index].1.kept.first().is_some_and(|other| other.len() > first.len()) => {
                shown[index] = (field.name, values);
            }
            Some(_) => (),
            None if shown.len() < FIELDS_MAX => shown.push((field.name, values)),
            None => (),
        }
    }
    let detail = |(name, values): (&str, Values)| Detail::Field {
        name: name.into(),
        values: values.kept,
        left_out: values.left_out,
    };
    found.extend(shown.into_iter().map(detail));
}

/// Whether a text is another, or ends with it after a `/` or a `:`.
fn ends_with_part(text: &str, part: &str) -> bool {
    text.strip_suffix(part).is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
}

/// Finds the fields that hold ids, ARNs or names. Lists of objects are not gone into: what a list has is told by the
/// ids beside it.
fn collect<'r>(json: &'r Json<'r>, noun: &str, depth: usize, left: &mut usize, fields: &mut Vec<Field<'r>>) {
    let Some(object) = json.as_object() else { return };
    for (name, value) in object.iter() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        match value {
            Json::Object(_) if depth > 1 => collect(value, noun, depth - 1, left, fields),
            Json::String(_) | Json::Number(_) | Json::Array(_) if identifies(name) => {
                fields.push(Field { name, value, of_noun: is_about(name, noun) });
            }
            _ => (),
        }
    }
}

/// Whether a key's name says that it holds an id, an ARN or a name, and nothing that must not be shown.
fn identifies(name: &str) -> bool {
    if name.len() > NAME_MAX || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let ends = ["Id", "Ids", "Arn", "Arns", "ARN", "Identifier", "Name", "Names"].iter().any(|end| name.ends_with(end));
    let whole = ["id", "arn", "name"].contains(&&*lower);
    (ends || whole) && !NEVER.iter().any(|never| lower.contains(never))
}

/// Whether a field is about what the action is about: `subnetId` of `CreateSubnet`, or just `id`, `arn`, `name`.
fn is_about(name: &str, noun: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ends = ["identifier", "names", "name", "arns", "arn", "ids", "id"];
    let stem = ends.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    stem.is_empty() || noun.starts_with(stem) || noun.strip_suffix('s').is_some_and(|noun| noun == stem)
}
