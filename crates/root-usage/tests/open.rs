//! What was made in an incident is listed until it is seen undone, with the command that undoes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod deeds;
mod play;
mod topic;

use serde_json::json;

use deeds::Deed;
use play::{each, list, play, role};

#[tokio::test(start_paused = true)]
async fn what_is_open_stays_listed_until_it_is_seen_undone() {
    let policy = |name: &str, role: &str| {
        let parameters = json!({ "roleName": role, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" });
        Deed::new("iam", name).with("requestParameters", parameters)
    };
    let odd = role("x; rm -rf ~");
    let deliveries = each(&[
        (0, &[Deed::sign_in()]),
        (120, &[role("a"), policy("AttachRolePolicy", "a"), role("b"), odd]),
        // Made, deleted and made once more.
        (200, &[role("c"), Deed::new("iam", "DeleteRole").of("roleName", "c"), role("c")]),
        (300, &[Deed::new("iam", "DeleteRole").of("roleName", "b")]),
        (600, &[list()]),
        (2000, &[list()]),
        (4300, &[policy("DetachRolePolicy", "a")]),
    ]);
    let (mails, texts) = play(&deliveries, "root-usage").await;
    let told = |kind: &str| {
        let index = mails.iter().position(|(_, found)| found == kind).unwrap();
        &texts[index]
    };
    let update = told("update");
    assert!(
        update.contains(
            "aws iam detach-role-policy --role-name a --policy-arn arn:aws:iam::aws:policy/AdministratorAccess"
        )
    );
    assert!(update.contains("\n  aws iam delete-role --role-name a\n"), "{update}");
    assert!(update.contains("aws iam delete-role --role-name c\n"), "{update}");
    // It was undone, and what a shell would take for something else has no command.
    assert!(!update.contains("--role-name b") && !update.contains("aws iam delete-role --role-name x"), "{update}");
    assert!(update.contains("iam CreateRole") && update.contains("rm -rf"), "{update}");
    let closing = told("closing");
    assert!(!closing.contains("detach-role-policy --role-name a"), "{closing}");
    assert!(closing.contains("3 things are not seen undone"), "{closing}");
}

#[tokio::test(start_paused = true)]
async fn whatever_can_be_undone_has_a_command() {
    let mut rows = vec![
        ("iam", "CreateRole", json!({ "roleName": "r" })),
        (
            "iam",
            "AttachRolePolicy",
            json!({ "roleName": "r", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" }),
        ),
        ("iam", "PutRolePolicy", json!({ "roleName": "r", "policyName": "p" })),
        ("iam", "CreateUser", json!({ "userName": "u" })),
        ("iam", "AttachUserPolicy", json!({ "userName": "u", "policyArn": "arn:aws:iam::111122223333:policy/p" })),
        ("iam", "PutUserPolicy", json!({ "userName": "u", "policyName": "p" })),
        ("iam", "CreateLoginProfile", json!({ "userName": "u" })),
        ("iam", "CreateInstanceProfile", json!({ "instanceProfileName": "i" })),
        ("iam", "AddRoleToInstanceProfile", json!({ "instanceProfileName": "i", "roleName": "r" })),
        ("s3", "CreateBucket", json!({ "bucketName": "example" })),
        ("s3", "PutBucketPolicy", json!({ "bucketName": "example" })),
        ("cloudtrail", "StopLogging", json!({ "name": "arn:aws:cloudtrail:us-east-1:111122223333:trail/t" })),
        ("cloudtrail", "DeleteTrail", json!({ "name": "t" })),
        ("kms", "ScheduleKeyDeletion", json!({ "keyId": "0f9e8d7c-6b5a-4f3e-9d2c-1b0a9f8e7d6c" })),
        ("config", "StopConfigurationRecorder", json!({ "configurationRecorderName": "default" })),
    ]
    .into_iter()
    .map(|(service, name, parameters)| Deed::new(service, name).with("requestParameters", parameters))
    .collect::<Vec<_>>();
    let key = |id: &str| json!({ "accessKey": { "accessKeyId": id } });
    rows.push(Deed::new("iam", "CreateAccessKey").with("responseElements", key("AKIAI44QH8DHBEXAMPLE")));
    rows.push(
        Deed::new("iam", "CreateAccessKey").of("userName", "u").with("responseElements", key("AKIAIOSFODNN7EXAMPLE")),
    );
    let instances = json!({ "instancesSet": { "items": [{ "instanceId": "i-0c9d8e7f6a5b4c3d2" }] } });
    rows.push(Deed::new("ec2", "RunInstances").with("responseElements", instances));
    rows.push(
        Deed::new("ec2", "CreateSecurityGroup").with("responseElements", json!({ "groupId": "sg-0c1d2e3f4a5b60718" })),
    );
    let (_, texts) = play(&each(&[(0, &rows), (300, &[list()])]), "root-usage").await;
    let open = texts.last().unwrap().split("Not seen undone").nth(1).unwrap().split("\n\n").next().unwrap();
    insta::with_settings!({ snapshot_path => "mails/open", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("everything", open);
    });
}
