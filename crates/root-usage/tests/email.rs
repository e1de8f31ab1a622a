//! The mail holds its form whatever the records hold.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;

use hostile::{alert, check, hostile, record, style};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use root_usage::directory::Listed;
use root_usage::email::{Chapter, Language, Message, SUBJECT_MAX};
use root_usage::history::Answers;
use root_usage::incident::{IncidentId, Kind, Pace, Reason, Whose};
use root_usage::ledger::PartKey;
use root_usage::notify::topic;
use serde_json::{Value, json};

/// What the lines of a mail begin with. A line that begins otherwise is not ours.
const OURS: [&str; 43] = [
    "Someone tried to sign in to the console ",
    "Someone with ",
    "First: ",
    "It was a central root session",
    "Root ",
    "IAMUser ",
    "CRITICAL, because ",
    "CRITICAL. ",
    "HIGH. ",
    "MEDIUM. ",
    "LOW. ",
    "  When      ",
    "  From      ",
    "  Agent     ",
    "  Region    ",
    "  Action    ",
    "  Outcome   ",
    "  Account   ",
    "  By        ",
    "  MFA       ",
    "  Key       ",
    "  Event     ",
    "  Link      ",
    // What belongs to the fact above it.
    "            ",
    "Note:",
    "  - ",
    "What to do next, in this order:",
    "With the credentials that it returns:",
    "  aws ",
    "To see this event on the command line",
    "All records in this mail (times in UTC):",
    "  It was a central root session. ",
    "  Source IPs: ",
    "  Regions: ",
    "  Access keys: ",
    "  Note: ",
    "Log events that could not be read: ",
    "  Alert ",
    "  Rule ",
    "  Function ",
    "  Log group ",
    "  Log stream ",
    "  Incident ",
];

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_that_are_ours_stay_ours(records in prop::collection::vec(record(), 1..4), name in hostile()) {
        let message = Message::new(&alert(&records, &name), &style(Language::default()), topic::fits).unwrap();
        check(&message)?;
        for (number, line) in message.text.lines().enumerate() {
            let step = line.split_once(". ").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
            prop_assert!(line.is_empty() || step || OURS.iter().any(|start| line.starts_with(start)), "{number}: {line:?}");
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
        for label in ["  Alert ", "  Function ", "  Log group ", "  Log stream "] {
            prop_assert_eq!(count(label), 1);
        }
        for label in ["  Action  ", "  Outcome  ", "  MFA  ", "  Event  ", "  Key  "] {
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
    assert!(message.text.starts_with("Root stopped a CloudTrail trail in "), "{}", message.text);
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
fn a_subject_gives_up_its_words_before_anything_else() {
    let record = |name: &str, ip: &str| {
        json!({
            "userIdentity": { "type": "Root" }, "recipientAccountId": "111122223333", "awsRegion": "ap-northeast-1",
            "sourceIPAddress": ip, "eventName": name, "eventSource": "iam.amazonaws.com", "errorCode": "AccessDenied",
        })
    };
    let (near, far) = ("203.0.113.7", "2001:db8:85a3:1234:5678:8a2e:1370:7334");
    let (short, long) = ("CreateUser", "UpdateOpenIDConnectProviderThumbprint");
    let none = "444455556666=x";
    let named = "111122223333=payments-production-eu1";
    for (name, ip, listed, expected) in [
        (short, near, none, "[HIGH] 111122223333: root tried to create an IAM user (denied), +1 more, 203.0.113.7"),
        (
            long,
            near,
            none,
            "[HIGH] 111122223333: root tried to call UpdateOpenIDConnectProviderThumbprint (denied), 203.0.113.7",
        ),
        (
            short,
            far,
            none,
            "[HIGH] 111122223333: root tried to call CreateUser (denied), 2001:db8:85a3:1234:5678:8a2e:1370:7334",
        ),
        (
            long,
            far,
            none,
            "[HIGH] 111122223333: root UpdateOpenIDConnectProvi.. denied, 2001:db8:85a3:1234:5678:8a2e:1370:7334",
        ),
        (
            short,
            near,
            named,
            "[HIGH] payments-production-eu1: root tried to call CreateUser (denied), 203.0.113.7 (111122223333)",
        ),
        // The name gives way to the digits, last.
        (
            long,
            near,
            named,
            "[HIGH] 111122223333: root tried to call UpdateOpenIDConnectProviderThumbprint (denied), 203.0.113.7",
        ),
    ] {
        let alert = alert(&[record(name, ip)], "x");
        let answers = Answers::default().with_names(Listed::parse(listed).unwrap().names(&alert));
        let style = style(Language::default());
        let message = Message::within(&alert, &answers, None, &style, topic::fits, || true).unwrap().unwrap();
        let subject = message.subject.as_str();
        assert_eq!(subject, expected);
        assert!(subject.len() <= SUBJECT_MAX, "{subject}");
    }
}

#[test]
fn a_mail_that_came_at_once_says_why() {
    let schema = serde_json::from_str(include_str!("../../../docs/alert.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let record = json!({
        "userIdentity": { "type": "Root" }, "recipientAccountId": "111122223333", "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.7", "eventName": "ListUsers", "eventSource": "iam.amazonaws.com",
    });
    let alert = alert(&[record], "x");
    for (reason, named, english, japanese) in [
        (None, None, "This is new in incident ", "の新しい操作です"),
        (Some(Reason::Deed), Some("deed"), "This is new in incident ", "の新しい操作です"),
        (
            Some(Reason::Change),
            Some("change"),
            "because it has the first ec2 RunInstances in this incident",
            "初めての種類の変更（ec2 RunInstances）のため",
        ),
        (Some(Reason::SignIn), Some("sign-in"), "because it is a new sign-in", "新しいサインインのため"),
        (
            Some(Reason::SecondFactor),
            Some("second-factor"),
            "because someone got past the password",
            "通過した者がいるため",
        ),
        (Some(Reason::Session), Some("session"), "because the session is new", "初めてのセッションのため"),
        (
            Some(Reason::Key),
            Some("key"),
            "because the long-lived access key AKIAI44QH8DHBEXAMPLE is new",
            "初めての長期アクセスキー AKIAI44QH8DHBEXAMPLE のため",
        ),
        (
            Some(Reason::Source),
            Some("source"),
            "because the source address 203.0.113.7 is new",
            "初めての送信元 203.0.113.7 のため",
        ),
    ] {
        let whose = Whose::Root { account: "111122223333".to_owned() };
        let [opened, now] = [1_795_143_060, 1_795_143_660].map(|second| Timestamp::from_second(second).unwrap());
        let id = IncidentId::of(&whose, PartKey([7; 32]));
        let kind = Kind::AtOnce;
        let what = match reason {
            Some(Reason::Change) => Some("ec2 RunInstances"),
            Some(Reason::Key) => Some("AKIAI44QH8DHBEXAMPLE"),
            Some(Reason::Source) => Some("203.0.113.7"),
            _ => None,
        };
        let what = what.map(str::to_owned);
        let chapter = Chapter {
            id,
            kind,
            number: 2,
            now,
            opened,
            reason,
            what,
            pace: Pace::default(),
            open: Vec::new(),
            more: 0,
        };
        for (language, words) in Language::ALL.into_iter().zip([english, japanese]) {
            let answers = Answers::default();
            let message = Message::within(&alert, &answers, Some(&chapter), &style(language), topic::fits, || true);
            let message = message.unwrap().unwrap();
            let second = message.text.lines().nth(1).unwrap();
            assert!(second.contains(words), "{second}");
            let document: Value = serde_json::from_str(&message.document).unwrap();
            assert_eq!(document["incident"]["reason"].as_str(), named);
            assert_eq!(document["incident"]["opened"], "2026-11-20T02:51:00Z");
            assert!(schema.is_valid(&document), "{document}");
        }
    }
}
