//! The mail holds its form whatever the records hold.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use filter_pattern::json::Json;
use proptest::prelude::*;
use proptest::sample::select;
use root_usage::alert::{Alert, Match, Origin, Unreadable};
use root_usage::directory::Listed;
use root_usage::email::{Language, Message, SMS_MAX, SUBJECT_MAX, Style};
use root_usage::history::Answers;
use root_usage::notify::topic;
use root_usage::record::Record;
use root_usage::rule::Rule;
use serde_json::{Value, json};

/// What the lines of a mail begin with. A line that begins otherwise is not ours.
const OURS: [&str; 42] = [
    "Rule ",
    "Someone tried to sign in to the console as ",
    "Someone with ",
    "First: ",
    "It was a central root session",
    // A command of a step.
    "   aws ",
    "CRITICAL, because ",
    "To see this event on the command line",
    "Root ",
    "IAMUser ",
    "CRITICAL. ",
    "HIGH. ",
    "MEDIUM. ",
    "LOW. ",
    "Action:  ",
    "Outcome:  ",
    "Time:  ",
    "Region:  ",
    "Source IP:  ",
    "User agent:  ",
    "Account:  ",
    "Access by:  ",
    "Access key:  ",
    "MFA:  ",
    "Event ID:  ",
    "Event:  ",
    "Links:  ",
    "Note",
    "- ",
    "What to do next",
    "Everything in this batch (times in UTC)",
    "Log events that could not be read: ",
    "-- ",
    "Alert ",
    "Function ",
    "   - ",
    "   Source IPs: ",
    "   Regions: ",
    "   Access keys: ",
    "   It was a central root session. ",
    "aws cloudtrail ",
    // What was made, under the action.
    "             ",
];

/// A text as somebody would write it who wants to forge the mail, or any text at all.
fn hostile() -> impl Strategy<Value = String> {
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
        "Outcome:     succeeded",
        "CRITICAL. ",
        "MFA:         yes",
        "-- ",
        "   - ",
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
fn record() -> impl Strategy<Value = Value> {
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

fn alert(records: &[Value], log_name: &str) -> Alert {
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

fn style(language: Language) -> Style {
    Style { language, function: "f".to_owned(), ..Style::default() }
}

/// Whether a mail program could make a link of this: a name, a dot and letters, on a host that is not AWS's.
fn foreign_link(line: &str) -> bool {
    let aws =
        ["amazonaws.com", "amazonaws.com.cn", "aws.amazon.com", "console.amazonaws.cn", "console.amazonaws-us-gov.com"];
    line.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).any(|word| {
        let named = word.contains('.')
            && word.split('.').next_back().is_some_and(|end| end.chars().next().is_some_and(char::is_alphabetic));
        let starts = word.split('.').rev().nth(1).is_some_and(|before| !before.is_empty());
        named && starts && !aws.iter().any(|host| word.ends_with(host))
    })
}

/// Whether a line has what Markdown, Slack, Teams or HTML make something of. A masked key's asterisks begin nothing that
/// could end.
fn markup(line: &str) -> bool {
    let text = line.replace("****", "");
    let edge = |at: usize| {
        let beside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !beside(text[..at].chars().next_back()) || !beside(text[at + 1..].chars().next())
    };
    text.contains(['*', '~', '`', '<', '\\'])
        || text.contains("](")
        || text.match_indices('_').any(|(at, _)| edge(at))
        || text.match_indices("//").any(|(at, _)| !text[..at].ends_with("https:") && !text[..at].ends_with('['))
        || text.match_indices('@').any(|(at, _)| !text[..at].ends_with('['))
}

/// Whether a line has a telephone number of those that are put into the records. In a word, or with more
/// digits, it is none.
fn dialable(line: &str) -> bool {
    ["0120-828-828", "0120\u{30fc}828\u{30fc}828", "(800) 555-0199", "18005550199"].iter().any(|number| {
        line.match_indices(number).any(|(at, _)| {
            let in_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            !in_word(line[..at].chars().next_back()) && !in_word(line[at + number.len()..].chars().next())
        })
    })
}

fn check(message: &Message) -> Result<(), TestCaseError> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_that_are_ours_stay_ours(records in prop::collection::vec(record(), 1..4), name in hostile()) {
        let message = Message::new(&alert(&records, &name), &style(Language::default()), topic::fits).unwrap();
        check(&message)?;
        for (number, line) in message.text.lines().enumerate() {
            let step = line.split_once(". ").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
            let note = line.starts_with("   Note: ");
            prop_assert!(line.is_empty() || step || note || OURS.iter().any(|start| line.starts_with(start)), "{number}: {line:?}");
            prop_assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()), "{line:?}");
            prop_assert!(!foreign_link(line) && !markup(line) && !dialable(line), "{line:?}");
            for (place, _) in line.match_indices("://") {
                let host = line[place + 3..].split('/').next().unwrap_or_default();
                let console =
                    ["aws.amazon.com", "console.amazonaws.cn", "console.amazonaws-us-gov.com", "console.amazonaws-eusc.eu"];
                prop_assert!(line[..place].ends_with("https"), "{line:?}");
                prop_assert!(console.iter().any(|end| host.ends_with(end)), "{line:?}");
            }
            for scheme in ["tel:", "mailto:", "http:/", "http: /"] {
                prop_assert!(!line.contains(scheme), "{line:?}");
            }
            prop_assert!(line.chars().count() < 8_000, "{}", line.len());
        }
        // A label, and so a fact, stands once; at most, where the record need not have it.
        let count = |label: &str| message.text.lines().filter(|line| line.starts_with(label)).count();
        for label in ["Action:  ", "Outcome:  ", "-- "] {
            prop_assert_eq!(count(label), 1);
        }
        for label in ["MFA:  ", "Event ID:  ", "Access key:  "] {
            prop_assert!(count(label) <= 1);
        }
    }

    #[test]
    fn a_message_fits_whatever_it_tells(
        record in record(), filler in hostile(), count in 1_usize..12, length in 0_usize..600, language in select(&Language::ALL[..]),
    ) {
        let filler: String = filler.chars().cycle().take(if filler.is_empty() { 0 } else { length }).collect();
        let records: Vec<Value> = (0..count).map(|index| {
            let mut record = record.clone();
            record["eventID"] = format!("{index}{filler}").into();
            record["userIdentity"]["accessKeyId"] = format!("{}{filler}", index % 30).into();
            record["requestParameters"]["userName"] = format!("{filler}{index}").into();
            record["userAgent"] = filler.clone().into();
            record
        }).collect();
        check(&Message::new(&alert(&records, &filler), &style(language), topic::fits).unwrap())?;
    }
}

#[test]
fn a_message_of_very_many_long_records_is_shortened_from_the_least_serious_end() {
    let long = "\u{202e}".repeat(500);
    let records: Vec<Value> = (0..3_000)
        .map(|index| {
            json!({
                "userIdentity": { "type": "Root", "accountId": "111122223333", "accessKeyId": format!("AKIA{index:016}") },
                "eventID": format!("9736d713-1694-4c72-adc5-{index:012}"), "eventName": if index == 77 { "StopLogging" } else { "CreateBucket" },
                "eventSource": if index == 77 { "cloudtrail.amazonaws.com" } else { "s3.amazonaws.com" },
                "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7", "userAgent": long, "errorMessage": if index == 77 { "" } else { &long },
                "requestParameters": { "bucketName": long, "name": long }, "eventTime": "2026-11-20T01:02:03Z",
            })
        })
        .collect();
    let message = Message::new(&alert(&records, "name"), &style(Language::default()), topic::fits).unwrap();
    assert!(
        topic::payload(&message).unwrap().len() <= topic::MESSAGE_MAX,
        "{}",
        topic::payload(&message).unwrap().len()
    );
    assert!(message.text.starts_with("Root stopped a CloudTrail trail from 203.0.113.7"), "{}", message.text);
    let document: Value = serde_json::from_str(&message.document).unwrap();
    let listed = document["actors"].as_array().unwrap().len() as u64;
    // Each is told in a section, in a line, or in the count of what the rest did.
    let others = document["otherActors"].as_array().unwrap().len() as u64;
    let left_out = document["actorsLeftOut"].as_u64().unwrap();
    assert_eq!(left_out + others + listed, 3_000);
    assert!(message.text.contains(&format!("- {left_out} more who acted: {left_out} not shown one by one")));
    assert!(message.text.contains("s3 CreateBucket"));
}

#[test]
fn a_subject_gives_up_its_action_before_anything_else() {
    let record = |name: &str, ip: &str| {
        json!({
            "userIdentity": { "type": "Root" }, "recipientAccountId": "111122223333", "awsRegion": "ap-northeast-1",
            "sourceIPAddress": ip, "eventName": name, "eventSource": "iam.amazonaws.com", "errorCode": "AccessDenied",
        })
    };
    let rows = [
        ("CreateUser", "203.0.113.7"),
        ("UpdateOpenIDConnectProviderThumbprint", "203.0.113.255"),
        ("UpdateOpenIDConnectProviderThumbprint", "2001:db8:85a3:1234:5678:8a2e:1370:7334"),
        ("CreateUser", "2001:db8:85a3:1234:5678:8a2e:1370:7334"),
    ];
    for (name, ip) in rows {
        // With a name that leaves no room, too: the digits are shorter.
        for listed in ["444455556666=x", "111122223333=payments-production-eu1"] {
            let alert = alert(&[record(name, ip)], "x");
            let answers = Answers::default().with_names(Listed::parse(listed).unwrap().names(&alert));
            let style = style(Language::default());
            let message = Message::within(&alert, &answers, None, &style, topic::fits, || true).unwrap().unwrap();
            let subject = message.subject.as_str();
            for part in ["[HIGH]", ip, "ap-northeast-1", &name[..4]] {
                assert!(subject.contains(part), "{subject}");
            }
            let account = subject.starts_with("111122223333 ") || subject.starts_with("payments-production-eu1 ");
            assert!(account && subject.len() <= SUBJECT_MAX, "{subject}");
        }
    }
}
