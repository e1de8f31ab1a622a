//! What was made in an incident is listed until it is seen undone, with the command that undoes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod batches;
mod deeds;
mod play;
mod topic;

use root_usage::incident::{Open, changes, lines, open};
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
        ("iam", "CreateGroup", json!({ "groupName": "made" })),
        ("iam", "UpdateUser", json!({ "userName": "before", "newUserName": "after" })),
        ("iam", "UpdateGroup", json!({ "groupName": "old", "newGroupName": "new" })),
        ("iam", "UpdateAssumeRolePolicy", json!({ "roleName": "r" })),
        ("iam", "AddUserToGroup", json!({ "userName": "u", "groupName": "g" })),
        ("iam", "AttachGroupPolicy", json!({ "groupName": "g", "policyArn": "arn:aws:iam::111122223333:policy/p" })),
        ("iam", "PutGroupPolicy", json!({ "groupName": "g", "policyName": "p" })),
        ("iam", "CreatePolicyVersion", json!({ "policyArn": "arn:aws:iam::111122223333:policy/p" })),
        ("iam", "DeactivateMFADevice", json!({ "userName": "u", "serialNumber": "arn:aws:iam::111122223333:mfa/u" })),
        ("s3", "CreateBucket", json!({ "bucketName": "example" })),
        ("s3", "DeleteBucketPublicAccessBlock", json!({ "bucketName": "example" })),
        (
            "s3",
            "PutBucketPublicAccessBlock",
            json!({ "bucketName": "other", "PublicAccessBlockConfiguration": { "BlockPublicPolicy": false } }),
        ),
        (
            "cloudtrail",
            "PutEventSelectors",
            json!({ "trailName": "t", "eventSelectors": [{ "readWriteType": "WriteOnly" }] }),
        ),
        ("cloudtrail", "UpdateTrail", json!({ "name": "t", "s3BucketName": "elsewhere" })),
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
    let started = json!({ "instancesSet": { "items": [{ "instanceId": "i-01b3d5f7a9c1e3f50" }] } });
    rows.push(Deed::new("ec2", "StartInstances").with("requestParameters", started));
    rows.push(
        Deed::new("ec2", "CreateSecurityGroup").with("responseElements", json!({ "groupId": "sg-0c1d2e3f4a5b60718" })),
    );
    let opened = json!({ "securityGroupRuleSet": { "items": [{ "securityGroupRuleId": "sgr-035a6016fe8ef01c5" }] } });
    rows.push(
        Deed::new("ec2", "AuthorizeSecurityGroupIngress")
            .of("groupId", "sg-04cfb7a4712d75b00")
            .with("responseElements", opened),
    );
    let mut open = String::new();
    // A mail lists twenty of them at most.
    for rows in rows.chunks(13) {
        let (_, texts) = play(&each(&[(0, rows), (300, &[list()])]), "root-usage").await;
        open += texts.last().unwrap().split("Not seen undone").nth(1).unwrap().split("\n\n").next().unwrap();
    }
    assert!(!open.contains("not listed here"), "{open}");
    insta::with_settings!({ snapshot_path => "mails/open", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("everything", open);
    });
}

/// What happened, with its second; in whatever order it is told, the same is left.
fn left(told: &[&Deed]) -> Vec<String> {
    let made: Vec<_> = told.iter().map(|deed| changes(&alerts::alert(std::slice::from_ref(&deed.0), &[]))).collect();
    open(&made).into_iter().map(|open| format!("{} {}", open.event, open.values.join(" "))).collect()
}

#[test]
fn what_is_open_goes_by_when_it_happened_not_by_when_it_was_told() {
    let at = |second: i64, deed: Deed| deed.with("eventTime", json!(deeds::after(second).to_string()));
    let named = |name: &str| Deed::new("iam", name).of("roleName", "a");
    let trail = |name: &str| Deed::new("cloudtrail", name).of("name", "t");
    let selectors = |kind: &str| {
        let selectors =
            json!({ "trailName": "t", "eventSelectors": [{ "readWriteType": kind, "includeManagementEvents": true }] });
        Deed::new("cloudtrail", "PutEventSelectors").with("requestParameters", selectors)
    };
    let block = |on: bool| {
        let all = json!({ "BlockPublicAcls": on, "IgnorePublicAcls": on, "BlockPublicPolicy": on, "RestrictPublicBuckets": on });
        let parameters = json!({ "bucketName": "b", "PublicAccessBlockConfiguration": all });
        Deed::new("s3", "PutBucketPublicAccessBlock").with("requestParameters", parameters)
    };
    let rule = |name: &str, list: &str| {
        let rules = json!({ list: { "items": [{ "securityGroupRuleId": "sgr-1" }] } });
        Deed::new("ec2", name).of("groupId", "sg-1").with("responseElements", rules)
    };
    let (authorized, revoked) = (
        rule("AuthorizeSecurityGroupIngress", "securityGroupRuleSet"),
        rule("RevokeSecurityGroupIngress", "revokedSecurityGroupRuleSet"),
    );
    let other_region = |deed: Deed| deed.with("awsRegion", json!("eu-west-1"));
    let instance = |name: &str| {
        let list = json!({ "instancesSet": { "items": [{ "instanceId": "i-1" }] } });
        Deed::new("ec2", name).with("requestParameters", list.clone()).with("responseElements", list)
    };
    let only_acls = json!({ "bucketName": "b", "PublicAccessBlockConfiguration": { "BlockPublicAcls": true } });
    let only_acls = Deed::new("s3", "PutBucketPublicAccessBlock").with("requestParameters", only_acls);
    let no_block = Deed::new("s3", "DeleteBucketPublicAccessBlock").of("bucketName", "b");
    let update = |field: &str, value: &str| {
        Deed::new("cloudtrail", "UpdateTrail").with("requestParameters", json!({ "name": "t", field: value }))
    };
    let device = |name: &str| {
        Deed::new("iam", name)
            .with("requestParameters", json!({ "userName": "u", "serialNumber": "arn:aws:iam::111122223333:mfa/u" }))
    };
    #[rustfmt::skip]
    let rows: [(&[Deed], &[&str]); 16] = [
        (&[at(1, named("CreateRole")), at(3, named("DeleteRole"))], &[]),
        (&[at(1, named("CreateRole")), at(3, named("DeleteRole")), at(5, named("CreateRole"))], &["CreateRole a"]),
        // In one second nobody knows.
        (&[at(1, named("CreateRole")), at(1, named("DeleteRole"))], &["CreateRole a"]),
        (&[at(1, trail("StopLogging")), at(2, trail("StartLogging"))], &[]),
        (&[at(1, trail("StartLogging")), at(2, trail("StopLogging"))], &["StopLogging t"]),
        (&[at(1, trail("StopLogging")), at(2, other_region(trail("StartLogging")))], &["StopLogging t"]),
        (&[at(1, selectors("WriteOnly")), at(2, selectors("All"))], &[]),
        (&[at(1, selectors("All")), at(2, selectors("WriteOnly"))], &["PutEventSelectors t"]),
        (&[at(1, selectors("WriteOnly")), at(2, other_region(selectors("All")))], &["PutEventSelectors t"]),
        (&[at(1, block(false)), at(2, block(true))], &[]),
        // What isn't said is off.
        (&[at(1, no_block), at(2, only_acls)], &["PutBucketPublicAccessBlock b", "DeleteBucketPublicAccessBlock b"]),
        (&[at(1, authorized), at(2, revoked)], &[]),
        (&[at(1, instance("RunInstances")), at(2, instance("StopInstances")), at(3, instance("StartInstances"))], &["StartInstances i-1"]),
        // The later one changes something else.
        (&[at(1, update("s3BucketName", "elsewhere")), at(2, update("enableLogFileValidation", "true"))], &["UpdateTrail t"]),
        // It may be another trail of that name, and it doesn't log yet.
        (&[at(1, trail("DeleteTrail")), at(2, trail("CreateTrail"))], &["DeleteTrail t"]),
        // The device may be theirs.
        (&[at(1, device("DeactivateMFADevice")), at(2, device("EnableMFADevice"))], &["DeactivateMFADevice u arn:aws:iam::111122223333:mfa/u"]),
    ];
    for (deeds, expected) in rows {
        let deeds: Vec<&Deed> = deeds.iter().collect();
        let mut orders = vec![deeds.clone(), deeds.iter().rev().copied().collect()];
        orders.extend((1..deeds.len()).map(|by| [&deeds[by..], &deeds[..by]].concat()));
        for order in orders {
            assert_eq!(
                left(&order),
                expected,
                "{:?}",
                order.iter().map(|deed| &deed.0["eventName"]).collect::<Vec<_>>()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_at_once_undoes_what_it_tells_and_machines_stop_together() {
    let launched = |ids: &[&str]| {
        let items: Vec<_> = ids.iter().map(|id| json!({ "instanceId": id })).collect();
        Deed::new("ec2", "RunInstances").with("responseElements", json!({ "instancesSet": { "items": items } }))
    };
    let policy =
        Deed::new("iam", "PutRolePolicy").with("requestParameters", json!({ "roleName": "r", "policyName": "p" }));
    let deliveries =
        each(&[(0, &[role("before")]), (120, &[launched(&["i-1", "i-2"]), launched(&["i-3"])]), (240, &[policy])]);
    let (mails, texts) = play(&deliveries, "root-usage").await;
    assert_eq!(mails[..3].iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), ["first", "at-once", "at-once"]);
    assert!(texts[0].contains("\n  aws iam delete-role --role-name before\n"), "{}", texts[0]);
    assert!(
        texts[1].contains("\n  aws ec2 stop-instances --region us-east-1 --instance-ids i-1 i-2 i-3\n"),
        "{}",
        texts[1]
    );
    // What was told before is in the updates and in the last mail.
    assert!(!texts[1].contains("delete-role"), "{}", texts[1]);
    // Deleting what replaced a policy could take one away that protects.
    let caution =
        "Put back what was there before. If nothing was:\n  aws iam delete-role-policy --role-name r --policy-name p\n";
    assert!(texts[2].contains(caution), "{}", texts[2]);
    assert!(texts.last().unwrap().contains("3 things are not seen undone"), "{}", texts.last().unwrap());
}

/// What is told of each, and the command with what stands above it.
fn undoing(deeds: &[Deed]) -> Vec<(String, Option<String>, bool)> {
    let made: Vec<_> = deeds.iter().map(|deed| changes(&alerts::alert(std::slice::from_ref(&deed.0), &[]))).collect();
    open(&made).into_iter().map(|open| (open.event, open.command, open.replaces)).collect()
}

#[test]
fn no_command_takes_away_what_may_have_been_there_before() {
    let attach = |kind: &str, name: &str| {
        let of = if kind == "User" { "userName" } else { "groupName" };
        let parameters = json!({ of: name, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" });
        Deed::new("iam", &format!("Attach{kind}Policy")).with("requestParameters", parameters)
    };
    // It may have been attached before: the call works all the same.
    let found = undoing(&[attach("Group", "admins")]);
    assert!(matches!(&found[..], [(_, Some(_), true)]), "{found:?}");
    // What is new had nothing before.
    let found = undoing(&[Deed::new("iam", "CreateUser").of("userName", "eve"), attach("User", "eve")]);
    assert!(found.iter().all(|(_, command, replaces)| command.is_some() && !replaces), "{found:?}");
    // Creating one's own bucket again works too, in us-east-1.
    let bucket = |name: &str| Deed::new("s3", name).of("bucketName", "b");
    let found = undoing(&[bucket("CreateBucket"), bucket("PutBucketPolicy")]);
    assert!(
        found.contains(&(
            "PutBucketPolicy".to_owned(),
            Some("aws s3api delete-bucket-policy --bucket b".to_owned()),
            true
        )),
        "{found:?}"
    );
    // After another name was given, a command could meet somebody else.
    let rename = json!({ "userName": "alice", "newUserName": "backup" });
    let rename = Deed::new("iam", "UpdateUser").with("requestParameters", rename);
    let found =
        undoing(&[rename, Deed::new("iam", "CreateLoginProfile").of("userName", "alice"), attach("User", "alice")]);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(_, command, _)| command.is_none()), "{found:?}");
    // This option takes no name.
    let opened = json!({ "securityGroupRuleSet": { "items": [{ "securityGroupRuleId": "sgr-1" }] } });
    let by_name =
        Deed::new("ec2", "AuthorizeSecurityGroupIngress").of("groupName", "default").with("responseElements", opened);
    let found = undoing(&[by_name]);
    assert!(matches!(&found[..], [(_, None, _)]), "{found:?}");
}

#[test]
fn thousands_of_things_take_no_time_and_are_counted() {
    let thing = |number: usize| {
        let list = json!({ "instancesSet": { "items": [{ "instanceId": format!("i-{number}") }] } });
        Deed::new("ec2", "RunInstances").with("responseElements", list)
    };
    let one = undoing(&[thing(0)]);
    assert_eq!(one.len(), 1);
    let all = open(&[changes(&alerts::alert(&[thing(0).0], &[]))]);
    let many: Vec<_> = (0..20_000).map(|_| all[0].clone()).collect();
    let began = std::time::Instant::now();
    assert_eq!(lines(&many).len(), 1);
    let others: Vec<_> =
        (0..20_000).map(|number| Open { command: None, values: vec![number.to_string()], ..all[0].clone() }).collect();
    assert_eq!(lines(&others).len(), 20_000);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
