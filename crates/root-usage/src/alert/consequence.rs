//! What an action means: its category, its severity, and the words for it.

mod access_level;
mod deed;
mod known;
#[cfg(test)]
mod tests;

use filter_pattern::json::Json;
use serde::Serialize;

use super::Access;
use crate::record::Record;
use crate::severity::Severity;
use access_level::{AccessLevel, access_level};
pub use deed::{Deed, deed};
pub(crate) use deed::{Gravity, is_own_credential, is_own_key};
pub use known::{Known, Unseen, known};
pub(crate) use known::{acts_unseen, known_of, reads_secret};

/// What kind of consequence an action has, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Who can get in: access keys, passwords, MFA, users, roles, trust, and secrets that were read; and what goes on
    /// acting by itself: stacks, schedules, commands.
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

/// The category of what a record tells.
///
/// The table of actions decides first. Where it has no row, AWS's own classification does, and the record's `readOnly` can
/// only make it graver:
///
/// | AWS's access level of the action, else of its verb | `readOnly` | category |
/// | --- | --- | --- |
/// | permissions management; hands out secrets, by the known lists | any | credentials, exposure or organization |
/// | write, which stops or changes a service that watches | any | tampering |
/// | write, tagging | any: `sts:AssumeRole` is a write that CloudTrail has as `true` | write |
/// | read, list | `false` | write |
/// | read, list | `true` or missing | read |
/// | none | `true` | read |
/// | none | `false` or missing | write |
#[must_use]
pub fn category(record: &Record) -> Category {
    if record.failed_second_factor() {
        return Category::FailedSecondFactor;
    }
    if record.is_sign_in() {
        return if record.outcome().may_have_worked() { Category::SignIn } else { Category::FailedSignIn };
    }
    if record.reads_public_parameters() {
        return Category::Read;
    }
    if protects(record) {
        return Category::Write;
    }
    if let Some(known) = known_of(record) {
        return known.category;
    }
    let name = known::without_version(record.event_name().unwrap_or_default());
    match (access_level(record.service().unwrap_or_default(), name), record.read_only()) {
        (Some(AccessLevel::Credentials), _) => Category::Credentials,
        (Some(AccessLevel::Tampering), _) => Category::Tampering,
        (Some(AccessLevel::Exposure), _) => Category::Exposure,
        (Some(AccessLevel::Organization), _) => Category::Organization,
        (Some(AccessLevel::Read), None | Some(true)) | (None, Some(true)) => Category::Read,
        (Some(AccessLevel::Write | AccessLevel::Read) | None, _) => Category::Write,
    }
}

/// Whether a setting that can expose data is set to what protects it: a change like any other.
///
/// Source: Amazon S3 API Reference, `PutBucketVersioning`, `PutPublicAccessBlock`.
pub(crate) fn protects(record: &Record) -> bool {
    let set = |path: [&str; 3], to: &str| record.text(&path).is_some_and(|text| text.eq_ignore_ascii_case(to));
    match (record.service(), record.event_name()) {
        (Some("s3"), Some("PutBucketVersioning")) => {
            let path = ["requestParameters", "VersioningConfiguration"];
            let fields = record.value(&path).and_then(Json::as_object);
            // However it is spelled, and whatever it is set to.
            let names_mfa =
                fields.is_some_and(|fields| fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("mfadelete")));
            set([path[0], path[1], "Status"], "Enabled") && !names_mfa
        }
        (Some("s3"), Some("PutBucketPublicAccessBlock" | "PutAccountPublicAccessBlock")) => {
            ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
                .into_iter()
                .all(|field| set(["requestParameters", "PublicAccessBlockConfiguration", field], "true"))
        }
        _ => false,
    }
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
pub(crate) fn severity_of_deed(record: &Record, category: Category) -> Severity {
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
    let root_itself = is_own_credential(record) || (record.is_root() && record.service() == Some("signin"));
    match name {
        _ if root_itself => 0,
        "DeleteTrail" | "AcceptPrimaryEmailUpdate" => 0,
        "CreateAccessKey" | "StopLogging" | "CloseAccount" => 1,
        "CreateLoginProfile" | "UpdateLoginProfile" | "UpdateAssumeRolePolicy" => 2,
        _ if name.ends_with("Policy") => 2,
        _ => 3,
    }
}
