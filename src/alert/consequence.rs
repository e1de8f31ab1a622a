//! What an action means: its category, its severity, and the words for it.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Serialize;

use super::{Access, own_credential};
use crate::record::Record;
use crate::severity::Severity;

/// The table of actions; its first lines say how it is read.
const ACTIONS: &str = include_str!("../../templates/actions.tsv");

/// What kind of consequence an action has, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Who can get in: access keys, passwords, MFA, users, roles, trust, and secrets that were read.
    Credentials,
    /// The watch itself: trail, log group, subscription, filter, alarm, topic, function, detectors.
    Tampering,
    /// Data that was read, shared or deleted.
    Exposure,
    /// The account and the organization around it.
    Organization,
    /// A successful sign-in.
    SignIn,
    /// Any other change.
    Write,
    /// A call that only reads.
    Read,
    /// A sign-in that failed at the second factor: the first was right.
    FailedSecondFactor,
    /// A sign-in that failed. Anyone who knows the e-mail address can cause one.
    FailedSignIn,
}

/// A row of the table of actions.
#[derive(Debug)]
pub struct Known {
    /// The consequence.
    pub category: Category,
    /// English, past: "created an access key".
    pub past: String,
    /// English, base form: "create an access key".
    pub base: String,
    /// Japanese, what stands before しました.
    pub ja: &'static str,
    /// The request parameters that identify the resource.
    pub names: Vec<&'static str>,
}

/// The table's row for an action.
#[must_use]
pub fn known(service: &str, event_name: &str) -> Option<&'static Known> {
    static TABLE: OnceLock<HashMap<&str, HashMap<&str, Known>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: HashMap<_, HashMap<_, _>> = HashMap::new();
        for ((service, event_name), known) in rows() {
            table.entry(service).or_default().insert(event_name, known);
        }
        table
    });
    table.get(service)?.get(without_version(event_name))
}

fn rows() -> impl Iterator<Item = ((&'static str, &'static str), Known)> {
    ACTIONS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let [service, event_name, category, en, ja, names] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let category = match category {
            "credentials" => Category::Credentials,
            "tampering" => Category::Tampering,
            "exposure" => Category::Exposure,
            "organization" => Category::Organization,
            "write" => Category::Write,
            "read" => Category::Read,
            _ => return None,
        };
        let (verb, rest) = en.split_once(' ')?;
        let (past, base) = verb.split_once('/')?;
        let names = names.split(',').filter(|name| !name.is_empty()).collect();
        let known = Known { category, past: format!("{past} {rest}"), base: format!("{base} {rest}"), ja, names };
        Some(((service, event_name), known))
    })
}

/// Lambda's event names end with the version of its API: `UpdateFunctionCode20150331v2`.
fn without_version(event_name: &str) -> &str {
    let Some(start) = event_name.find("20") else { return event_name };
    let (name, version) = event_name.split_at(start);
    let (date, rest) = version.split_at(version.len().min(8));
    let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    if is_date && (rest.is_empty() || rest.starts_with('v')) { name } else { event_name }
}

/// The category of what a record tells.
#[must_use]
pub fn category(record: &Record) -> Category {
    if record.failed_second_factor() {
        return Category::FailedSecondFactor;
    }
    if record.is_sign_in() {
        return if record.outcome().may_have_worked() { Category::SignIn } else { Category::FailedSignIn };
    }
    let name = record.event_name().unwrap_or_default();
    if let Some(known) = known(record.service().unwrap_or_default(), name) {
        return known.category;
    }
    let reads = ["Get", "List", "Describe", "Head", "Lookup", "Search", "BatchGet"];
    let read_only = record.read_only().unwrap_or_else(|| reads.iter().any(|verb| name.starts_with(verb)));
    if read_only { Category::Read } else { Category::Write }
}

/// The severity of one action.
///
/// | what | severity |
/// | --- | --- |
/// | a long-lived root access key in use, whatever for | CRITICAL |
/// | credentials, tampering, exposure, organization | CRITICAL; HIGH if it was denied or failed |
/// | a sign-in without MFA, or that does not say | CRITICAL |
/// | a sign-in with MFA | HIGH |
/// | any other write | HIGH; MEDIUM if it was denied or failed |
/// | a read | MEDIUM |
/// | a sign-in that failed at the second factor | HIGH |
/// | a failed sign-in | LOW |
#[must_use]
pub fn severity(record: &Record, category: Category, access: Access) -> Severity {
    if record.is_root() && access == Access::LongLivedKey {
        Severity::Critical
    } else {
        severity_of_deed(record, category)
    }
}

/// The severity of what was done, whatever key it was done with.
pub(super) fn severity_of_deed(record: &Record, category: Category) -> Severity {
    let succeeded = record.outcome().may_have_worked();
    match category {
        Category::Credentials | Category::Tampering | Category::Exposure | Category::Organization if succeeded => {
            Severity::Critical
        }
        Category::SignIn if record.mfa() != Some(true) => Severity::Critical,
        Category::Write if !succeeded => Severity::Medium,
        Category::Credentials
        | Category::Tampering
        | Category::Exposure
        | Category::Organization
        | Category::SignIn
        | Category::FailedSecondFactor
        | Category::Write => Severity::High,
        Category::Read => Severity::Medium,
        Category::FailedSignIn => Severity::Low,
    }
}

/// Which of several actions of one category comes first, the gravest 0.
pub(super) fn weight(record: &Record) -> u8 {
    let name = record.event_name().unwrap_or_default();
    let root_itself = own_credential(record).is_some() || (record.is_root() && record.service() == Some("signin"));
    match name {
        _ if root_itself => 0,
        "DeleteTrail" | "AcceptPrimaryEmailUpdate" => 0,
        "CreateAccessKey" | "StopLogging" | "CloseAccount" => 1,
        "CreateLoginProfile" | "UpdateLoginProfile" | "UpdateAssumeRolePolicy" => 2,
        _ if name.ends_with("Policy") => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read_once() {
        let lines = ACTIONS.lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines > 200);
        assert_eq!(rows().count(), lines);
        assert_eq!(rows().map(|(key, _)| key).collect::<std::collections::HashSet<_>>().len(), lines);
        assert!(rows().all(|(_, known)| !known.ja.is_empty()));
    }

    #[test]
    fn lambda_versions_are_dropped() {
        for (name, bare) in [
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("DeleteFunction20150331", "DeleteFunction"),
            ("GetFunction2", "GetFunction2"),
            ("List2020Things", "List2020Things"),
        ] {
            assert_eq!(without_version(name), bare);
        }
    }
}
