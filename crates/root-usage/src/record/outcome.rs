//! How a call ended.

use serde::Serialize;

/// How a call ended.
///
/// | what the record says | outcome |
/// | --- | --- |
/// | a sign-in event whose `errorMessage` names a resource-based or resource control policy | blocked |
/// | an `errorCode` for want of permission | denied |
/// | any other `errorCode`; `Failure` under the event's own name; an `errorMessage` alone | failed |
/// | `Success` under the event's own name | succeeded |
/// | an API call without `errorCode` and `errorMessage` | succeeded |
/// | a sign-in event with none of these | not said |
///
/// Sources: CloudTrail User Guide, "CloudTrail record contents" (`errorCode` is there if the request returned an error),
/// "AWS Management Console sign-in events".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Succeeded,
    /// The record does not say.
    NotSaid,
    /// It was refused for want of permission.
    Denied,
    /// A policy of the account or the organization blocked the sign-in.
    Blocked,
    /// It failed for another reason.
    Failed,
}

impl Outcome {
    /// Whether it worked, as far as anybody knows: what the record does not say has to be taken for done.
    #[must_use]
    pub(crate) fn may_have_worked(self) -> bool {
        matches!(self, Self::Succeeded | Self::NotSaid)
    }
}

/// Whether an error code says that the caller lacked permission.
///
/// Services differ: `AccessDenied`, `AccessDeniedException`, `Client.UnauthorizedOperation`, `AuthorizationError`, …
pub(super) fn is_denial(code: &str) -> bool {
    ["AccessDenied", "Unauthorized", "NotAuthorized", "AuthFailure", "AuthorizationError", "Forbidden"]
        .iter()
        .any(|part| code.contains(part))
}
