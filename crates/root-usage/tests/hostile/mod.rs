//! Records as somebody would write them who wants to forge a mail, and what holds of every mail.
#![allow(dead_code, reason = "no test uses all of it")]

use std::sync::Arc;

use filter_pattern::json::Json;
use proptest::prelude::*;
use root_usage::alert::{Alert, Match, Origin, Unreadable};
use root_usage::email::{Language, Message, SMS_MAX, SUBJECT_MAX, Style};
use root_usage::notify::topic;
use root_usage::record::Record;
use root_usage::rule::Rule;
use serde_json::{Value, json};

/// A text as somebody would write it who wants to forge the mail, or any text at all.
pub fn hostile() -> impl Strategy<Value = String> {
    let fragments = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\u{2028}",
        "\u{85}",
        "\u{b}",
        "\0",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{ad}",
        "\u{3164}",
        "\u{e0041}",
        "  Outcome   succeeded",
        "CRITICAL. ",
        "  MFA       yes",
        "-- ",
        "  - ",
        "https://evil.example/x?y=1",
        "http://",
        "HTTPS://EVIL.EXAMPLE",
        "evil.example",
        "mail@evil.example",
        "www.evil.example",
        "evil\u{3002}example",
        "evil\u{ff0e}example",
        "\"",
        "\\",
        "\\n",
        "<b>",
        "{{ 7 }}",
        "{%",
        "&amp;",
        "%0a",
        "      ",
        "a",
        "1",
        "é",
        "東京",
        "tel:+18005550199",
        "http: //",
        "\\\\203.0.113.9\\s",
        "203.0.113.9:80",
        "mailto:x",
        "x.s3.amazonaws.com",
        "//evil",
        "[a](b)",
        "![a](b)",
        ":(b)",
        "*b*",
        "_b_",
        "~b~",
        "`b`",
        "<https://evil.example|b>",
        "@here",
        " #general",
        "&#46;",
        "0120-828-828",
        "0120\u{30fc}828\u{30fc}828",
        "(800) 555-0199",
        "18005550199",
        "Client.com",
        "arn:aws:tel:",
        "arn:aws:https://203.0.113.9/",
    ]);
    let built = prop::collection::vec(fragments, 0..12).prop_map(|parts| parts.concat());
    prop_oneof![4 => built, 2 => any::<String>(), 1 => "[a-zA-Z0-9._-]{0,600}", 1 => Just(String::new())]
}

/// A record with a hostile text in each of its fields, now and then absent or right.
pub fn record() -> impl Strategy<Value = Value> {
    let actions = prop::sample::select(vec![
        ("iam.amazonaws.com", "CreateUser"),
        ("iam.amazonaws.com", "CreateAccessKey"),
        ("ec2.amazonaws.com", "DescribeInstances"),
        ("signin.amazonaws.com", "ConsoleLogin"),
        ("cloudtrail.amazonaws.com", "StopLogging"),
        ("s3.amazonaws.com", "PutBucketPolicy"),
        ("iam.amazonaws.com", "CreateRole"),
        ("ec2.amazonaws.com", "RunInstances"),
        ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"),
        ("new.amazonaws.com", "CreateThing"),
    ]);
    let fields = prop::collection::vec(prop::option::weighted(0.8, hostile()), 29);
    (actions, fields, any::<[bool; 4]>()).prop_map(|((source, name), fields, [known, id, region, root])| {
        let mut fields = fields.into_iter().flatten();
        let mut field = || fields.next();
        let mut record = json!({
            "userIdentity": {
                "type": if root { "Root" } else { "IAMUser" }, "arn": field(), "principalId": field(), "accountId": field(), "accessKeyId": field(), "userName": field(),
                "sessionContext": { "attributes": { "creationDate": field(), "mfaAuthenticated": field() } },
            },
            "eventTime": field(), "eventSource": field(), "eventName": field(), "awsRegion": field(), "sourceIPAddress": field(),
            "userAgent": field(), "errorCode": field(), "errorMessage": field(), "eventID": field(), "recipientAccountId": field(),
            "requestParameters": {
                "userName": field(), "name": field(), "bucketName": field(), "groupId": field(), "instanceType": field(),
                "policy": { "Statement": { "Effect": "Allow", "Principal": { "AWS": field(), "Service": field(), "Federated": field() } } },
                "ipProtocol": field(), "fromPort": "22", "cidrIp": field(),
            },
            "addendum": { "reason": field() }, "readOnly": known,
            "responseElements": { "ConsoleLogin": field(), "accessKey": { "accessKeyId": field() }, "thingId": field() },
        });
        if known {
            record["eventSource"] = source.into();
            record["eventName"] = name.into();
            record["eventTime"] = "2026-11-20T01:02:03Z".into();
        }
        if id {
            record["eventID"] = "9736d713-1694-4c72-adc5-2513d32702f2".into();
        }
        if region {
            record["awsRegion"] = "us-east-1".into();
        }
        record
    })
}

pub fn alert(records: &[Value], log_name: &str) -> Alert {
    let found = |record: &Value| {
        let text = record.to_string();
        Match {
            record: Record::new(&text, Json::parse(&text).unwrap()),
            rules: Rule::named("root-usage").unwrap().into_iter().map(Arc::new).collect(),
            received: None,
        }
    };
    let unreadable = Unreadable {
        id: log_name.to_owned(),
        time: None,
        bytes: 1,
        reason: log_name.to_owned(),
        hash: [0; 32],
        rules: Vec::new(),
    };
    let origin = Origin { owner: log_name.to_owned(), log_group: log_name.to_owned(), log_stream: log_name.to_owned() };
    Alert::new(origin, records.iter().map(found).collect(), vec![unreadable], &[]).unwrap()
}

pub fn style(language: Language) -> Style {
    Style { language, function: "f".to_owned(), ..Style::default() }
}

/// Whether all forms of a message have sizes and characters that a topic takes.
pub fn check(message: &Message) -> Result<(), TestCaseError> {
    let subject = message.subject.as_str();
    prop_assert!((1..=SUBJECT_MAX).contains(&subject.len()), "{subject:?}");
    prop_assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject:?}");
    prop_assert!(message.sms.len() <= SMS_MAX && message.sms.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    prop_assert!(
        topic::payload(message).unwrap().len() <= topic::MESSAGE_MAX,
        "{}",
        topic::payload(message).unwrap().len()
    );
    Ok(())
}
