//! What actions come to, one row each.

use super::Category::{Credentials, Exposure, Organization, Read, Tampering, Write};
use super::*;
use filter_pattern::json::Json;

/// What root did, with fields beside service and name.
fn record(service: &str, name: &str, more: &str) -> Record {
    let comma = if more.is_empty() { "" } else { "," };
    let text = format!(
        r#"{{"userIdentity":{{"type":"Root"}},"eventSource":"{service}.amazonaws.com","eventName":"{name}"{comma}{more}}}"#
    );
    let json = Json::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Record::new(&text, json)
}

const TRUE: &str = r#""readOnly":true"#;
const FALSE: &str = r#""readOnly":false"#;

/// Service, event, what else the record has, category.
#[rustfmt::skip]
const CATEGORIES: &[(&str, &str, &str, Category)] = &[
    // A row of the table of actions decides, whatever the record says.
    ("iam", "DeleteRolePolicy", FALSE, Credentials),
    ("iam", "CreatePolicy", FALSE, Credentials),
    ("iam", "CreatePolicyVersion", FALSE, Credentials),
    ("iam", "DeleteUserPolicy", FALSE, Credentials),
    ("iam", "PutUserPermissionsBoundary", FALSE, Credentials),
    ("iam", "UploadCloudFrontPublicKey", FALSE, Credentials),
    ("iam", "UpdateSigningCertificate", FALSE, Credentials),
    ("cloudformation", "CreateStack", FALSE, Credentials),
    ("cloudformation", "UpdateStack", FALSE, Credentials),
    ("cloudformation", "ExecuteChangeSet", FALSE, Credentials),
    ("events", "PutRule", FALSE, Tampering),
    ("events", "PutTargets", FALSE, Tampering),
    ("events", "PutPermission", FALSE, Exposure),
    ("scheduler", "CreateSchedule", FALSE, Credentials),
    ("sqs", "SetQueueAttributes", FALSE, Tampering),
    ("sqs", "AddPermission", FALSE, Exposure),
    ("sns", "Subscribe", FALSE, Exposure),
    ("sns", "SetTopicAttributes", FALSE, Tampering),
    ("sso", "CreateAccountAssignment", FALSE, Credentials),
    ("identitystore", "CreateGroupMembership", FALSE, Credentials),
    ("ram", "CreateResourceShare", FALSE, Exposure),
    ("organizations", "PutResourcePolicy", FALSE, Organization),
    ("ssm", "SendCommand", FALSE, Credentials),
    ("ssm", "StartAutomationExecution", FALSE, Credentials),
    ("dynamodb", "UpdateTimeToLive", FALSE, Exposure),
    ("kms", "Decrypt", TRUE, Exposure),
    ("glue", "GetConnection", TRUE, Credentials),
    ("lightsail", "GetRelationalDatabaseMasterUserPassword", TRUE, Credentials),
    ("elasticmapreduce", "GetClusterSessionCredentials", TRUE, Credentials),
    ("sts", "GetFederationToken", TRUE, Credentials),
    ("signin", "CreateOAuth2Token", TRUE, Credentials),
    ("signin", "AuthorizeOAuth2Access", FALSE, Credentials),
    ("signin", "PutResourcePermissionStatement", FALSE, Organization),
    ("signin", "DeleteConsoleAuthorizationConfiguration", FALSE, Organization),
    ("account", "AcceptPrimaryEmailUpdate", FALSE, Organization),
    ("account", "PutAccountName", FALSE, Organization),
    ("ec2", "RunInstances", FALSE, Write),
    ("lambda", "AddPermission20150331v2", FALSE, Exposure),
    ("sts", "GetCallerIdentity", TRUE, Read),

    // Permissions management, by the service's kind; `readOnly` has no say.
    ("iam", "DeleteAccountPasswordPolicy", TRUE, Credentials),
    ("iam", "CreateServiceLinkedRole", "", Credentials),
    ("cognito-identity", "SetIdentityPoolRoles", FALSE, Credentials),
    ("lambda", "DisableReplication", TRUE, Exposure),
    ("lakeformation", "GrantPermissions", FALSE, Exposure),
    ("ecr", "PutRegistryPolicy", FALSE, Exposure),
    ("ses", "PutIdentityPolicy", FALSE, Exposure),
    ("glacier", "SetVaultAccessPolicy", FALSE, Exposure),

    // A write by AWS's level, and a way in, a guardrail, the watch or an opening all the same.
    ("sso", "PutInlinePolicyToPermissionSet", FALSE, Credentials),
    ("sso-directory", "DeleteMfaDeviceForUser", FALSE, Credentials),
    ("rolesanywhere", "EnableProfile", FALSE, Credentials),
    ("cognito-idp", "AdminSetUserPassword", FALSE, Credentials),
    ("organizations", "DisablePolicyType", FALSE, Organization),
    ("guardduty", "DeleteMembers", FALSE, Tampering),
    ("config", "DeleteConformancePack", FALSE, Tampering),
    ("cloudtrail", "DeregisterOrganizationDelegatedAdmin", FALSE, Tampering),
    ("kinesis", "PutResourcePolicy", FALSE, Exposure),
    ("s3tables", "PutTableBucketPolicy", FALSE, Exposure),
    ("workdocs", "AddResourcePermissions", FALSE, Exposure),

    // Known lists, and what service models call a secret.
    ("codepipeline", "PollForJobs", TRUE, Credentials),
    ("connect", "GetFederationToken", TRUE, Credentials),
    ("gamelift", "GetInstanceAccess", TRUE, Credentials),
    ("emr-containers", "GetManagedEndpointSessionCredentials", TRUE, Credentials),
    ("airflow", "CreateCliToken", "", Credentials),
    ("sagemaker", "CreatePresignedDomainUrl", FALSE, Credentials),
    ("lakeformation", "GetTemporaryGlueTableCredentials", TRUE, Credentials),
    ("eks-auth", "AssumeRoleForPodIdentity", TRUE, Credentials),
    ("datapipeline", "CreatePipeline", FALSE, Credentials),
    ("s3", "GetDataAccess", TRUE, Credentials),

    // Write and tagging: the level and `readOnly`, whichever is graver.
    ("ec2", "CreateVpc", FALSE, Write),
    ("ec2", "CreateVpc", TRUE, Write),
    ("ec2", "CreateTags", FALSE, Write),
    ("kms", "GenerateDataKey", TRUE, Write),
    ("cloudfront", "CreateDistribution2020_05_31", FALSE, Write),
    ("a4b", "ForgetSmartHomeAppliances", TRUE, Write),

    // Read and list, by their own level and by their verb's.
    ("iam", "GetAccountAuthorizationDetails", TRUE, Read),
    ("iam", "SimulatePrincipalPolicy", TRUE, Read),
    ("iam", "GenerateCredentialReport", "", Read),
    ("logs", "StartQuery", TRUE, Read),
    ("logs", "FilterLogEvents", "", Read),
    ("monitoring", "DescribeAlarms", TRUE, Read),
    ("tagging", "GetResources", TRUE, Read),
    ("s3", "HeadBucket", "", Read),
    ("lambda", "ListFunctions20150331", TRUE, Read),
    ("imagebuilder", "GetComponentPolicy", TRUE, Read),
    ("glue", "GetQueries", TRUE, Read),
    ("ec2", "DescribeInstances", FALSE, Write),

    // Names that AWS has nowhere.
    ("nowhere", "GetThing", "", Read),
    ("nowhere", "FrobnicateThing", "", Write),
    ("nowhere", "FrobnicateThing", TRUE, Read),
    ("nowhere", "FrobnicateThing", FALSE, Write),
    ("*", "Get", TRUE, Read),
    ("", "", "", Write),

    // Systems Manager's parameters: AWS's own are read by everybody, and every name must be one of these.
    ("ssm", "GetParameter", r#""requestParameters":{"name":"/prod/db"}"#, Credentials),
    ("ssm", "GetParameter", r#""requestParameters":{"name":"/aws/service/ami-amazon-linux-latest/x"}"#, Read),
    ("ssm", "GetParameter", r#""requestParameters":{"name":"arn:aws:ssm:us-east-1::parameter/aws/service/x"}"#, Read),
    ("ssm", "GetParameter", r#""requestParameters":{"name":"arn:aws:ssm:us-east-1:111122223333:parameter/aws/service/x"}"#, Credentials),
    ("ssm", "GetParameter", r#""requestParameters":{"name":"/prod/aws/service/x"}"#, Credentials),
    ("ssm", "GetParameter", r#""requestParameters":{"name":"/aws/serviced"}"#, Credentials),
    ("ssm", "GetParameter", r#""requestParameters":{"name":["/aws/service/x",["/prod"]]}"#, Credentials),
    ("ssm", "GetParameter", r#""requestParameters":null"#, Credentials),
    ("ssm", "GetParameter", "", Credentials),
    ("ssm", "GetParameters", r#""requestParameters":{"names":["/aws/service/a","/aws/service/b"]}"#, Read),
    ("ssm", "GetParameters", r#""requestParameters":{"names":["/aws/service/a","/prod/db"]}"#, Credentials),
    ("ssm", "GetParameters", r#""requestParameters":{"names":["/prod/db"],"name":"/aws/service/a"}"#, Credentials),
    ("ssm", "GetParameters", r#""requestParameters":{"names":["/aws/service/a",7]}"#, Credentials),
    ("ssm", "GetParameters", r#""requestParameters":{"names":[]}"#, Credentials),
    ("ssm", "GetParametersByPath", r#""requestParameters":{"path":"/aws/service/eks"}"#, Read),
    ("ssm", "GetParametersByPath", r#""requestParameters":{"path":"/"}"#, Credentials),
    ("ssm", "GetParameterHistory", r#""requestParameters":{"name":"/aws/service/x"}"#, Credentials),
    ("secretsmanager", "GetParameter", r#""requestParameters":{"name":"/aws/service/x"}"#, Read),
    ("iam", "CreateAccessKey", r#""requestParameters":{"name":"/aws/service/x"}"#, Credentials),
];

#[test]
fn every_action_has_the_category_of_what_it_does() {
    let wrong: Vec<_> = CATEGORIES
        .iter()
        .map(|(service, name, more, expected)| (service, name, more, category(&record(service, name, more)), expected))
        .filter(|(.., is, expected)| is != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn severity_follows_from_the_category_and_how_it_ended() {
    let denied = r#""errorCode":"AccessDenied""#;
    for (service, name, more, expected) in [
        ("iam", "DeleteRolePolicy", "", Severity::Critical),
        ("iam", "DeleteRolePolicy", denied, Severity::High),
        ("cloudformation", "CreateStack", "", Severity::Critical),
        ("guardduty", "UpdateMemberDetectors", "", Severity::Critical),
        ("kinesis", "PutResourcePolicy", denied, Severity::High),
        ("ec2", "CreateVpc", "", Severity::High),
        ("ec2", "CreateVpc", denied, Severity::Medium),
        ("ec2", "DescribeVpcs", "", Severity::Medium),
        ("ssm", "GetParameter", r#""requestParameters":{"name":"/aws/service/x"}"#, Severity::Medium),
        ("ssm", "GetParameter", r#""requestParameters":{"name":"/prod"}"#, Severity::Critical),
    ] {
        let record = record(service, name, more);
        assert_eq!(severity(&record, category(&record), Access::NotSaid), expected, "{service} {name} {more}");
    }
}

/// From the worst to the least; the same number is the same deed.
#[test]
fn deeds_are_ordered_by_what_they_do() {
    let user = r#""requestParameters":{"userName":"alice"}"#;
    let root = r#""requestParameters":{"userName":"AWS ROOT USER","serialNumber":"arn:aws:iam::111122223333:mfa/x"}"#;
    let device = r#""requestParameters":{"serialNumber":"arn:aws:iam::111122223333:mfa/root-account-mfa-device"}"#;
    let other = r#""requestParameters":{"serialNumber":"arn:aws:iam::111122223333:mfa/alice"}"#;
    let success = r#""responseElements":{"ConsoleLogin":"Success"}"#;
    let failure = r#""responseElements":{"ConsoleLogin":"Failure"}"#;
    for (service, name, more, expected) in [
        ("account", "AcceptPrimaryEmailUpdate", "", Deed::Account),
        ("account", "CloseAccount", "", Deed::Account),
        ("account", "PutContactInformation", "", Deed::Account),
        ("organizations", "LeaveOrganization", "", Deed::Account),
        ("organizations", "CloseAccount", "", Deed::Account),
        ("signin", "PasswordUpdated", "", Deed::Account),
        ("signin", "PutResourcePermissionStatement", "", Deed::Account),
        ("iam", "CreateAccessKey", "", Deed::Account),
        ("iam", "UploadCloudFrontPublicKey", r#""requestParameters":null"#, Deed::Account),
        ("iam", "UpdateSigningCertificate", r#""requestParameters":{"status":"Active"}"#, Deed::Account),
        ("iam", "DeactivateMFADevice", root, Deed::Account),
        ("iam", "DeleteVirtualMFADevice", device, Deed::Account),
        ("iam", "CreateLoginProfile", "", Deed::Account),
        ("cloudtrail", "StopLogging", "", Deed::Watch),
        ("cloudtrail", "UpdateChannel", "", Deed::Watch),
        ("logs", "DeleteSubscriptionFilter", "", Deed::Watch),
        ("monitoring", "PutAlarmMuteRule", "", Deed::Watch),
        ("organizations", "DisableAWSServiceAccess", "", Deed::Watch),
        ("account", "DeleteAlternateContact", "", Deed::Watch),
        ("events", "PutTargets", "", Deed::Watch),
        ("iam", "CreateAccessKey", user, Deed::WayIn),
        ("iam", "UpdateLoginProfile", user, Deed::WayIn),
        ("iam", "DeleteVirtualMFADevice", other, Deed::WayIn),
        ("iam", "CreateOpenIDConnectProvider", "", Deed::WayIn),
        ("sts", "GetFederationToken", "", Deed::WayIn),
        ("secretsmanager", "GetSecretValue", "", Deed::WayIn),
        ("cloudformation", "CreateStack", "", Deed::WayIn),
        ("organizations", "DetachPolicy", "", Deed::WayIn),
        ("cognito-identity", "SetIdentityPoolRoles", "", Deed::WayIn),
        ("s3", "PutBucketPolicy", "", Deed::Exposure),
        ("kms", "ScheduleKeyDeletion", "", Deed::Exposure),
        ("kinesis", "PutResourcePolicy", "", Deed::Exposure),
        ("ec2", "RunInstances", "", Deed::Change),
        ("organizations", "CreateAccount", "", Deed::Change),
        ("account", "EnableRegion", "", Deed::Change),
        ("signin", "ConsoleLogin", success, Deed::SignIn),
        ("iam", "ListUsers", "", Deed::Read),
        ("ssm", "GetParameter", r#""requestParameters":{"name":"/aws/service/x"}"#, Deed::Read),
        ("signin", "ConsoleLogin", failure, Deed::FailedSignIn),
    ] {
        let record = record(service, name, more);
        assert_eq!(deed(&record, category(&record)), expected, "{service} {name} {more}");
    }
    assert!(
        [
            Deed::Account,
            Deed::Watch,
            Deed::WayIn,
            Deed::Exposure,
            Deed::SignIn,
            Deed::Change,
            Deed::Read,
            Deed::FailedSignIn
        ]
        .is_sorted()
    );
}

#[test]
fn among_equal_deeds_what_worked_comes_first() {
    let gravity = |service, name, more| {
        let record = record(service, name, more);
        Gravity::of(&record, category(&record))
    };
    let denied = r#""errorCode":"AccessDenied""#;
    let order = [
        gravity("account", "AcceptPrimaryEmailUpdate", ""),
        gravity("organizations", "LeaveOrganization", ""),
        gravity("account", "AcceptPrimaryEmailUpdate", denied),
        gravity("cloudtrail", "DeleteTrail", ""),
        gravity("cloudtrail", "StopLogging", ""),
        gravity("guardduty", "UpdateDetector", ""),
        gravity("cloudtrail", "DeleteTrail", denied),
        gravity("ec2", "RunInstances", ""),
    ];
    assert!(order.is_sorted_by(|one, other| one < other), "{order:#?}");
}

#[test]
fn credentials_of_another_are_not_roots_own() {
    let user = |name: &str| format!(r#""requestParameters":{{"userName":"{name}"}}"#);
    for (name, more, own) in [
        ("CreateAccessKey", String::new(), true),
        ("CreateAccessKey", user("alice"), false),
        // An IAM user may have this name, but no name with spaces.
        ("CreateAccessKey", user("root"), false),
        ("EnableMFADevice", user("AWS ROOT USER"), true),
        ("CreateVirtualMFADevice", r#""requestParameters":{"virtualMFADeviceName":"alice"}"#.to_owned(), false),
        (
            "CreateVirtualMFADevice",
            r#""requestParameters":{"virtualMFADeviceName":"root-account-mfa-device"}"#.to_owned(),
            true,
        ),
        ("CreateVirtualMFADevice", String::new(), false),
        ("DeactivateMFADevice", user("root"), false),
        (
            "DeactivateMFADevice",
            r#""requestParameters":{"userName":"root","serialNumber":"arn:aws:iam::111122223333:mfa/root-account-mfa-device"}"#
                .to_owned(),
            true,
        ),
        ("ListAccessKeys", String::new(), false),
        ("CreateUser", String::new(), false),
    ] {
        let record = record("iam", name, &more);
        assert_eq!(is_own_credential(&record), own, "{name} {more}");
        assert_eq!(is_own_key(&record), own && name.ends_with("AccessKey"), "{name} {more}");
    }
    let text = r#"{"userIdentity":{"type":"IAMUser"},"eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey"}"#;
    assert!(!is_own_credential(&Record::new(text, Json::parse(text).unwrap())));
}

#[test]
fn roots_own_credentials_have_words_of_their_own() {
    let words = |name: &str, more: &str| known_of(&record("iam", name, more)).and_then(|known| known.words("en"));
    let user = r#""requestParameters":{"userName":"alice"}"#;
    assert_eq!(words("CreateLoginProfile", ""), Some("gave/give itself a console password"));
    assert_eq!(words("CreateLoginProfile", user), Some("gave/give an IAM user a console password"));
    assert_eq!(words("CreateUser", ""), Some("created/create an IAM user"));
}

#[test]
fn what_is_set_off_unseen_is_known_if_it_worked() {
    for (service, name, more, expected) in [
        ("cloudformation", "CreateStack", "", Some(Unseen::Service)),
        ("cloudformation", "CreateStack", r#""errorCode":"AccessDenied""#, None),
        ("scheduler", "CreateSchedule", "", Some(Unseen::Service)),
        ("events", "PutTargets", "", Some(Unseen::Service)),
        ("sts", "GetFederationToken", "", Some(Unseen::Identity)),
        ("iam", "CreateUser", "", None),
    ] {
        assert_eq!(acts_unseen(&record(service, name, more)), expected, "{service} {name} {more}");
    }
}

#[test]
fn a_secret_is_what_goes_on_working_until_it_is_replaced() {
    for (service, name, more, expected) in [
        ("secretsmanager", "GetSecretValue", "", true),
        ("ssm", "GetParameter", r#""requestParameters":{"name":"/shop/database"}"#, true),
        ("ssm", "GetParameter", r#""requestParameters":{"name":"/aws/service/x"}"#, false),
        ("ec2", "GetPasswordData", "", true),
        ("acm", "ExportCertificate", "", true),
        ("glue", "GetConnection", "", true),
        // These expire.
        ("sts", "GetSessionToken", "", false),
        ("ecr", "GetAuthorizationToken", "", false),
        ("iam", "CreateAccessKey", "", false),
    ] {
        assert_eq!(reads_secret(&record(service, name, more)), expected, "{service} {name} {more}");
    }
}
