//! What kind of deed an action is: the order in which they are told.

use super::known::known_of;
use super::{Category, weight};
use crate::record::{Outcome, Record};

/// What an action does to the account, the worst first.
///
/// | deed | for example |
/// | --- | --- |
/// | the account is lost | its e-mail address changed, the account closed, the organization left; root's own password, keys, MFA |
/// | the watch is blinded | trail, log group, subscription, alarm, topic, detector, sign-in control |
/// | a way in is opened | users, keys, roles, policies, guardrails; secrets that were read; stacks, schedules and commands that act on |
/// | something is exposed or destroyed | a bucket policy, a shared snapshot, a deleted key or table, data that was read |
/// | a sign-in, or one that failed at the second factor | |
/// | something else is changed | instances launched, a bucket created |
/// | a read | |
/// | a sign-in that failed | |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// The account, or root itself, may be in other hands.
    Account,
    /// Logging, alerting or detection was changed.
    Watch,
    /// Somebody can get in who could not, or act on later.
    WayIn,
    /// Data was read, shared or deleted.
    Exposure,
    /// A sign-in.
    SignIn,
    /// Any other change.
    Change,
    /// A call that only reads.
    Read,
    /// A sign-in that failed.
    FailedSignIn,
}

/// How grave an action is: by what it does; among equals what worked comes first, then what is weightier of its kind.
///
/// The gravest is the smallest. Severity, which also knows of keys and MFA, is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gravity {
    /// What it does.
    pub deed: Deed,
    /// Whether it worked.
    pub outcome: Outcome,
    /// Which of several deeds of one kind comes first, the gravest 0.
    pub weight: u8,
}

impl Gravity {
    /// The gravity of what a record tells.
    #[must_use]
    pub fn of(record: &Record, category: Category) -> Self {
        Self { deed: deed(record, category), outcome: record.outcome(), weight: weight(record) }
    }
}

impl Deed {
    /// The deed of a category, where the table says no more.
    #[must_use]
    pub fn of(category: Category) -> Self {
        match category {
            Category::Tampering => Self::Watch,
            // What holds for the organization are its guardrails.
            Category::Credentials | Category::Organization => Self::WayIn,
            Category::Exposure => Self::Exposure,
            Category::Write => Self::Change,
            Category::SignIn | Category::FailedSecondFactor => Self::SignIn,
            Category::Read => Self::Read,
            Category::FailedSignIn => Self::FailedSignIn,
        }
    }
}

/// What kind of deed a record tells.
#[must_use]
pub fn deed(record: &Record, category: Category) -> Deed {
    let known = known_of(record).filter(|known| known.category == category);
    known.map_or_else(|| Deed::of(category), |known| known.deed)
}

/// How CloudTrail names root where a user's name is asked for. It has spaces, so no IAM user can be called this.
///
/// Source: AWS CloudTrail User Guide, "AWS Management Console sign-in events", example "Root user, MFA changed".
const ROOT_USER: &str = "AWS ROOT USER";

/// Whether root changed credentials of its own: keys, password, MFA, certificates. Most of these calls are about whoever
/// makes them if they name no user.
#[must_use]
pub(crate) fn is_own_credential(record: &Record) -> bool {
    if !record.is_root() || record.service() != Some("iam") {
        return false;
    }
    let name = record.event_name().unwrap_or_default();
    let own = || record.text(&["requestParameters", "userName"]).is_none_or(|user| user == ROOT_USER);
    let action = ["Create", "Update", "Delete", "Upload", "Reset", "Enable", "Deactivate", "Resync", "Change"]
        .iter()
        .find_map(|verb| name.strip_prefix(verb));
    let device = |field, of_root: &str| {
        record.text(&["requestParameters", field]).is_some_and(|device| device.contains(of_root))
    };
    // The console calls root's device `root-account-mfa-device`, and not every record names root as above.
    let roots_device = || device("serialNumber", ":mfa/root-account-");
    match action {
        // These never name a user.
        Some("VirtualMFADevice") => roots_device() || device("virtualMFADeviceName", "root-account-"),
        Some("MFADevice") => own() || roots_device(),
        Some(
            "AccessKey"
            | "LoginProfile"
            | "Password"
            | "SigningCertificate"
            | "SSHPublicKey"
            | "ServiceSpecificCredential"
            | "CloudFrontPublicKey",
        ) => own(),
        _ => false,
    }
}

/// Whether root changed its own access keys.
#[must_use]
pub(crate) fn is_own_key(record: &Record) -> bool {
    is_own_credential(record) && record.event_name().is_some_and(|name| name.ends_with("AccessKey"))
}
