//! Root's own credentials: what only its owner, or whoever takes the account over, has reason to change.

use crate::record::Record;

/// One of root's own credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnCredential {
    /// An access key.
    AccessKey,
    /// The password.
    Password,
    /// An MFA device.
    Mfa,
    /// An X.509 signing certificate.
    SigningCertificate,
    /// A CloudFront key pair.
    CloudFrontKey,
}

/// Which of root's own credentials a call is about, if it is about one.
///
/// IAM's calls without a `userName` are about whoever makes them. For root's MFA device CloudTrail writes the name
/// `AWS ROOT USER`, or a serial number that ends in `mfa/root-account-…`. Source: CloudTrail User Guide, "AWS
/// Management Console sign-in events", the example "Root user, MFA changed"; IAM API Reference.
#[must_use]
pub fn own_credential(record: &Record) -> Option<OwnCredential> {
    if !record.is_root() {
        return None;
    }
    let name = record.event_name()?;
    if record.service() == Some("signin") {
        return matches!(name, "PasswordUpdated" | "PasswordRecoveryCompleted").then_some(OwnCredential::Password);
    }
    if record.service() != Some("iam") {
        return None;
    }
    let user = record.text(&["requestParameters", "userName"]);
    let of_root = user.is_none_or(|user| matches!(user, "root" | "AWS ROOT USER" | "<root_account>"));
    let serial = record.text(&["requestParameters", "serialNumber"]).unwrap_or_default();
    let kind = match name {
        "ChangePassword" => OwnCredential::Password,
        _ if name.ends_with("AccessKey") => OwnCredential::AccessKey,
        _ if name.ends_with("LoginProfile") => OwnCredential::Password,
        "EnableMFADevice" | "DeactivateMFADevice" | "ResyncMFADevice" => OwnCredential::Mfa,
        "DeleteVirtualMFADevice" if serial.contains(":mfa/root-account-") => OwnCredential::Mfa,
        _ if name.ends_with("SigningCertificate") => OwnCredential::SigningCertificate,
        _ if name.ends_with("CloudFrontPublicKey") => OwnCredential::CloudFrontKey,
        _ => return None,
    };
    (of_root || serial.contains(":mfa/root-account-")).then_some(kind)
}
