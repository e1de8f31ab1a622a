//! How root was used, and how it ended, rests on what records say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;

use alerts::{alert, mails, record};
use root_usage::alert::{Access, Category};
use root_usage::email::{Message, Style};
use root_usage::notify::topic;
use root_usage::record::Outcome;
use serde_json::{Value, json};

/// The records of three real console sessions of 2023 (invictus-ir/aws_dataset, MIT), as root's, with documentation
/// account, address and keys, and reduced to what says how root was used.
fn console_records() -> Vec<Value> {
    include_str!("data/console-sessions.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const NOT_A_CONSOLE: [&str; 6] = ["AssumeRoot", "GetSessionToken", "long-lived", "long_lived", "長期", "一元的"];

#[test]
fn a_console_session_is_told_as_one() {
    let records = console_records();
    assert_eq!(records.len(), 327);
    let alert = alert(&records, &[]);
    assert_eq!(alert.actors.len(), 3);
    for actor in &alert.actors {
        assert_eq!(actor.access, Access::ConsoleSession { by_agent: false });
    }
    let text = mails(&alert);
    assert!(NOT_A_CONSOLE.iter().all(|word| !text.contains(word)), "{text}");
}

#[test]
fn a_console_record_alone_is_never_told_as_anything_else() {
    let mut unknown = 0;
    for value in console_records() {
        let alert = alert(std::slice::from_ref(&value), &[]);
        match alert.actors[0].access {
            Access::ConsoleSession { .. } => {}
            // Nothing in it proves the console.
            Access::TemporaryKey { mfa: true } => {
                assert_eq!(value["sessionCredentialFromConsole"], Value::Null);
                assert!(!value["userAgent"].as_str().unwrap().contains("Console"));
                unknown += 1;
            }
            other => panic!("{other:?}: {value}"),
        }
        let text = mails(&alert);
        assert!(NOT_A_CONSOLE.iter().all(|word| !text.contains(word)), "{text}");
    }
    assert_eq!(unknown, 1);
}

/// One root record: its key, when its session began, and more.
fn root(key: &str, began: Option<(&str, Option<bool>)>, more: &Value) -> Value {
    let mut record = json!({
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets",
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.77", "userAgent": "aws-cli/2.32.0",
        "eventType": "AwsApiCall", "readOnly": true, "recipientAccountId": "111122223333",
        "userIdentity": {"type": "Root", "accountId": "111122223333", "accessKeyId": key},
    });
    if let Some((began, mfa)) = began {
        let mut attributes = json!({"creationDate": began});
        if let Some(mfa) = mfa {
            attributes["mfaAuthenticated"] = mfa.to_string().into();
        }
        record["userIdentity"]["sessionContext"] = json!({"attributes": attributes});
    }
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn sign_in(time: &str, outcome: &str) -> Value {
    let more = json!({"eventTime": time, "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
        "eventType": "AwsConsoleSignIn", "responseElements": {"ConsoleLogin": outcome}, "userAgent": "Mozilla/5.0"});
    root("", None, &more)
}

const LONG: &str = "AKIAIOSFODNN7EXAMPLE";
const KEY: &str = "ASIAIOSFODNN7EXAMPLE";
const BEGAN: &str = "2026-11-20T02:47:10Z";

/// What the last record's session is taken for, among the others.
#[test]
fn access_is_decided_by_what_records_say() {
    let call = |name: &str, key: &str, path: &str, returned: &str| {
        let mut record = root(key, None, &json!({"eventName": name, "eventSource": "sts.amazonaws.com"}));
        record["responseElements"] = json!({path: {"accessKeyId": returned}});
        record
    };
    let assume_root = |returned: &str| {
        let mut call = call("AssumeRoot", "ASIAI44QH8DHBEXAMPLE", "credentials", returned);
        call["userIdentity"]["type"] = "AssumedRole".into();
        call["userIdentity"]["arn"] = "arn:aws:sts::999999999999:assumed-role/SecurityAdmin/session-1".into();
        call["requestParameters"] =
            json!({"taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"}});
        call
    };
    let plain = |mfa| root(KEY, Some((BEGAN, mfa)), &json!({}));
    let agent = |agent: &str| root(KEY, Some((BEGAN, Some(true))), &json!({"userAgent": agent}));
    let flagged = root("ASIAI44QH8DHBEXAMPLE", Some((BEGAN, None)), &json!({"sessionCredentialFromConsole": "true"}));
    let token = root(
        "ASIAI44QH8DHBEXAMPLE",
        Some(("2026-11-20T02:40:00Z", Some(true))),
        &json!({"eventSource": "signin.amazonaws.com", "eventName": "CreateOAuth2Token", "eventTime": BEGAN}),
    );
    let console = Access::ConsoleSession { by_agent: false };
    let by_agent = Access::ConsoleSession { by_agent: true };
    let unknown = |mfa| Access::TemporaryKey { mfa };
    let rows: Vec<(&str, Vec<Value>, Access)> = vec![
        ("a long-lived key", vec![root(LONG, None, &json!({}))], Access::LongLivedKey),
        (
            "a long-lived key that says it is a browser",
            vec![root(LONG, None, &json!({"userAgent": "Mozilla/5.0"}))],
            Access::LongLivedKey,
        ),
        (
            "a long-lived key in a session with MFA",
            vec![root(LONG, Some((BEGAN, Some(true))), &json!({}))],
            unknown(true),
        ),
        ("a flagged record", vec![flagged.clone()], console),
        ("another record of that session is flagged", vec![flagged.clone(), plain(Some(true))], console),
        (
            "a record of another session is flagged",
            vec![flagged, root(KEY, Some(("2026-11-20T02:00:00Z", Some(true))), &json!({}))],
            unknown(true),
        ),
        ("a sign-in began it", vec![sign_in("2026-11-20T02:47:09Z", "Success"), plain(Some(true))], console),
        (
            "a failed sign-in at that time",
            vec![sign_in("2026-11-20T02:47:09Z", "Failure"), plain(Some(true))],
            unknown(true),
        ),
        (
            "a sign-in half an hour before",
            vec![sign_in("2026-11-20T02:17:09Z", "Success"), plain(Some(true))],
            unknown(true),
        ),
        ("a browser", vec![agent("Mozilla/5.0 (X11; Linux x86_64)")], by_agent),
        ("a console's own user agent", vec![agent("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488]")], by_agent),
        ("a console's own user agent", vec![agent("RDS Console, aws-internal/3")], by_agent),
        ("AWS itself", vec![agent("AWS Internal")], unknown(true)),
        ("a command line with MFA", vec![plain(Some(true))], unknown(true)),
        ("a command line without MFA", vec![plain(Some(false))], unknown(false)),
        ("a command line, nothing said of MFA", vec![plain(None)], unknown(false)),
        ("aws login made the token that began it", vec![token.clone(), plain(Some(true))], Access::CommandLineSession),
        (
            "aws login made another",
            vec![token, root(KEY, Some(("2026-11-20T02:49:00Z", Some(true))), &json!({}))],
            unknown(true),
        ),
        (
            "aws login returned the key",
            vec![call("CreateOAuth2Token", "", "accessToken", KEY), plain(Some(true))],
            Access::CommandLineSession,
        ),
        ("AssumeRoot returned the key", vec![assume_root(KEY), plain(Some(false))], Access::CentralRootSession),
        (
            "AssumeRoot returned another key",
            vec![assume_root("ASIAI44QH8DHBEXAMPLE"), plain(Some(false))],
            unknown(false),
        ),
        (
            "AssumeRoot failed",
            vec![
                {
                    let mut call = assume_root(KEY);
                    call["errorCode"] = "AccessDenied".into();
                    call
                },
                plain(None),
            ],
            unknown(false),
        ),
        (
            "the session says it",
            vec![{
                let mut record = plain(Some(false));
                record["userIdentity"]["sessionContext"]["assumedRoot"] = "true".into();
                record
            }],
            Access::CentralRootSession,
        ),
        (
            "GetSessionToken returned the key",
            vec![call("GetSessionToken", LONG, "credentials", KEY), plain(None)],
            Access::SessionToken { by_long_lived_key: true },
        ),
        ("a sign-in alone", vec![sign_in(BEGAN, "Success")], Access::SignIn),
        ("neither key nor session", vec![root("", None, &json!({}))], Access::NotSaid),
    ];
    for (name, mut records, access) in rows {
        let beside: Vec<Value> = records.iter().filter(|record| record["eventName"] == "AssumeRoot").cloned().collect();
        records.retain(|record| record["eventName"] != "AssumeRoot");
        let last = record(records.last().unwrap());
        let alert = alert(&records, &beside);
        let of_last =
            |actor: &&root_usage::alert::Actor| actor.actions.iter().any(|action| action.record.hash() == last.hash());
        let actor = alert.actors.iter().find(of_last).unwrap();
        assert_eq!(actor.access, access, "{name}");
        let text = mails(&alert);
        // A step or a note about AssumeRoot stands only where one is possible, and names the caller where they are known.
        assert_eq!(
            text.contains("AssumeRoot"),
            matches!(access, Access::CentralRootSession | Access::TemporaryKey { mfa: false }),
            "{name}: {text}"
        );
        assert_eq!(actor.root_call.is_some(), text.contains("SecurityAdmin/session-1"), "{name}");
    }
}

/// Sign-in events of the CloudTrail User Guide and of AWS Sign-In, each with each answer.
#[test]
fn a_sign_in_event_ended_as_it_says() {
    let names = [
        "ConsoleLogin",
        "CheckMfa",
        "SwitchRole",
        "ExitRole",
        "RenewRole",
        "GetSigninToken",
        "PasswordUpdated",
        "PasswordRecoveryRequested",
        "PasswordRecoveryCompleted",
        "EmailUpdated",
        "ConsoleLogout",
        "UserAuthentication",
        "CredentialChallenge",
        "CredentialVerification",
        "Federate",
        "Authenticate",
        "Logout",
        "Signout",
    ];
    for name in names {
        let event = |answer: Value, more: Value| {
            let mut event = json!({"eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "eventName": name,
                "userIdentity": {"type": "Root"}, "responseElements": answer});
            for (key, value) in more.as_object().unwrap() {
                event[key] = value.clone();
            }
            event
        };
        let policy = "Authorization denied because of a ";
        for (answer, more, outcome) in [
            (json!({name: "Success"}), json!({}), Outcome::Succeeded),
            (json!({name: "Failure"}), json!({}), Outcome::Failed),
            (json!({name: "Failure"}), json!({"errorMessage": "Failed authentication"}), Outcome::Failed),
            (json!(null), json!({"errorMessage": "Failed authentication"}), Outcome::Failed),
            (json!(null), json!({}), Outcome::NotSaid),
            (json!({"Other": "Success"}), json!({}), Outcome::NotSaid),
            (json!({name: "Later"}), json!({}), Outcome::NotSaid),
            (json!(null), json!({"errorCode": "AccessDenied"}), Outcome::Denied),
            (
                json!({name: "Failure"}),
                json!({"errorMessage": format!("{policy}resource-based policy")}),
                Outcome::Blocked,
            ),
            (
                json!({name: "Failure"}),
                json!({"errorCode": "AccessDenied", "errorMessage": format!("{policy}resource control policy")}),
                Outcome::Blocked,
            ),
            (
                json!(null),
                json!({"errorCode": "AccessDenied", "errorMessage": format!("{policy}resource control policy")}),
                Outcome::Blocked,
            ),
        ] {
            let event = event(answer, more);
            assert_eq!(record(&event).outcome(), outcome, "{event}");
            let alert = alert(std::slice::from_ref(&event), &[]);
            let said = Message::new(&alert, &Style::default(), topic::fits).unwrap();
            let (subject, done) = (said.subject.as_str(), outcome == Outcome::Succeeded);
            let doubts = ["tried to ", "may have ", "failed ", "was denied", "blocked"];
            assert_ne!(doubts.iter().any(|doubt| subject.contains(doubt)), done, "{subject}");
        }
    }
    // An API call that returned no error was done: that is what the absence of an error code means there.
    for name in ["AuthorizeOAuth2Access", "CreateOAuth2Token"] {
        let call = json!({"eventType": "AwsApiCall", "eventSource": "signin.amazonaws.com", "eventName": name});
        assert_eq!(record(&call).outcome(), Outcome::Succeeded);
    }
}

#[test]
fn a_sign_in_that_says_nothing_of_mfa_is_not_told_as_one_without() {
    for (mfa, without, not_said) in
        [(json!("No"), true, false), (json!("Yes"), false, false), (json!(null), false, true)]
    {
        let mut value = sign_in(BEGAN, "Success");
        value["additionalEventData"] = json!({"MFAUsed": mfa});
        let text = mails(&alert(&[value], &[]));
        for (said, texts) in [
            (without, ["because MFA was not used", "（MFA が使われていません）", "\"no-mfa\""]),
            (
                not_said,
                [
                    "the record doesn't say that MFA was used",
                    "（MFA が使われたかどうかは記録にありません）",
                    "\"mfa-not-said\"",
                ],
            ),
        ] {
            assert!(texts.iter().all(|words| text.contains(words) == said), "{mfa}: {text}");
        }
    }
}

#[test]
fn whoever_is_asked_for_the_second_factor_has_the_first() {
    let event = |name: &str, answer: &str, mfa: Value, message: &str| {
        json!({"eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "eventName": name, "errorMessage": message,
            "userIdentity": {"type": "Root"}, "responseElements": {name: answer}, "additionalEventData": {"MFAUsed": mfa}})
    };
    let blocked = "Authorization denied because of a resource control policy";
    for (event, category) in [
        (event("ConsoleLogin", "Failure", "Yes".into(), "Failed authentication"), Category::FailedSecondFactor),
        (event("ConsoleLogin", "Failure", "Yes".into(), blocked), Category::FailedSecondFactor),
        (event("CheckMfa", "Failure", Value::Null, ""), Category::FailedSecondFactor),
        (event("ConsoleLogin", "Failure", "No".into(), "Failed authentication"), Category::FailedSignIn),
        (event("ConsoleLogin", "Failure", Value::Null, "Failed authentication"), Category::FailedSignIn),
        (event("ConsoleLogin", "Failure", "No".into(), blocked), Category::FailedSignIn),
        (event("ConsoleLogin", "Success", "Yes".into(), ""), Category::SignIn),
    ] {
        let alert = alert(std::slice::from_ref(&event), &[]);
        assert_eq!(alert.actors[0].gravest().category, category, "{event}");
        let low = alert.severity() == root_usage::alert::Severity::Low;
        assert_eq!(low, category == Category::FailedSignIn, "{event}");
    }
}
