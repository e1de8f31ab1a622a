//! What a chat channel shows: each kind of message as a notification of Amazon Q, and nothing in it that others wrote is
//! markup, a mention or a link.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod deeds;
mod hostile;
mod topic;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use root_usage::config::Config;
use root_usage::email::{Chapter, Ending, HttpsFormat, Language, Message, Short, Style};
use root_usage::handler::{Handler, Invocation};
use root_usage::history::{Answers, Recorded};
use root_usage::incident::{IncidentId, Kind, Pace, Whose};
use root_usage::ledger::{InMemory, PartKey};
use root_usage::notify::Outbox;
use root_usage::notify::topic as sns;
use serde_json::Value;

use batches::{broken, raw};
use deeds::{Deed, after, delivery};
use hostile::{alert, hostile, record};

const MINUTE: i64 = 60;

fn config(language: &str) -> Config {
    let vars = [("HTTPS_FORMAT", "amazon-q"), ("ALERT_LANGUAGE", language), ("ACCOUNT_NAMES", "111122223333=payments")];
    Config { history: None, ..topic::config(&vars) }
}

fn style(language: Language) -> Style {
    Style { https: HttpsFormat::AmazonQ, ..hostile::style(language) }
}

/// The notification of a message, which is one by the schema.
fn notification(message: &Message) -> Value {
    let schema = serde_json::from_str(include_str!("data/amazon-q.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let notification: Value = serde_json::from_str(message.chat.as_ref().unwrap()).unwrap();
    let errors: Vec<_> = schema.iter_errors(&notification).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{notification:#}");
    assert_eq!(notification["content"]["title"], message.subject.as_str());
    // The topic hands it to whoever subscribes by HTTPS, and to nobody else.
    let forms: BTreeMap<String, String> = serde_json::from_str(&sns::payload(message).unwrap()).unwrap();
    assert!([&forms["https"], &forms["http"]].iter().all(|form| Some(*form) == message.chat.as_ref()));
    let others = if message.document.is_empty() { &message.text } else { &message.document };
    assert_eq!(&forms["default"], others);
    notification
}

/// As a person reads it in a channel, with what the channel doesn't show below it.
fn shown(notification: &Value) -> String {
    let content = &notification["content"];
    let mut text = format!("{}\n\n{}\n", content["title"].as_str().unwrap(), content["description"].as_str().unwrap());
    for (number, step) in (1..).zip(content["nextSteps"].as_array().into_iter().flatten()) {
        text.push_str(&format!("\n{number}. {}", step.as_str().unwrap()));
    }
    let keywords: Vec<&str> = content["keywords"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    format!("{text}\n\n[{}]\n\n{:#}\n", keywords.join("] ["), notification["metadata"])
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("chat");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// An incident from its first mail to its last.
async fn incident(language: &str) -> Vec<Message> {
    let role = |name| Deed::new("iam", "CreateRole").of("roleName", name);
    let launch = |image| Deed::new("ec2", "RunInstances").of("imageId", image);
    let deliveries = [
        (0, vec![Deed::sign_in()]),
        (5 * MINUTE, vec![role("deploy"), launch("a"), Deed::new("cloudtrail", "StopLogging").of("name", "main")]),
        (7 * MINUTE, vec![launch("b"), Deed::new("iam", "ListUsers").denied()]),
        (8 * MINUTE, vec![Deed::read("s3", "ListBuckets")]),
    ];
    let handler = Handler::new(config(language), Outbox::default(), Recorded::default())
        .with_incidents(InMemory::default(), Pace::default());
    let mut events: Vec<(i64, String)> = deliveries.iter().map(|(at, deeds)| (*at, delivery(*at, deeds))).collect();
    events.extend((1..150).map(|minute| (minute * MINUTE, r#"{"tick":{}}"#.to_owned())));
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in &events {
        let invocation = Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: after(*at) };
        handler.handle(invocation).await.done().unwrap();
    }
    handler.notify().take()
}

#[tokio::test]
async fn an_incident_is_one_thread_and_each_mail_of_it_reads_as_it_did() {
    for language in ["en", "ja"] {
        let messages = incident(language).await;
        let notifications: Vec<Value> = messages.iter().map(notification).collect();
        let kinds: Vec<&str> =
            notifications.iter().map(|each| each["metadata"]["eventType"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["root-usage-first", "root-usage-at-once", "root-usage-update", "root-usage-incident-closed"]
        );
        let threads: Vec<&Value> = notifications.iter().map(|each| &each["metadata"]["threadId"]).collect();
        assert!(threads.iter().all(|thread| *thread == threads[0]), "{threads:?}");
        let ids: Vec<&Value> = notifications.iter().map(|each| &each["id"]).collect();
        assert!((1..ids.len()).all(|index| !ids[..index].contains(&ids[index])), "{ids:?}");
        for (kind, each) in kinds.iter().zip(&notifications) {
            // An incident's name comes of its first record, which is another in each run.
            let text = shown(each);
            let name = messages[0].attributes.incident.as_ref().unwrap();
            let thread = threads[0].as_str().unwrap();
            let text = text.replace(thread, "incident-THREAD").replace(name.as_str(), "7F3A");
            let alert = each["metadata"]["additionalContext"]["alertId"].as_str().unwrap_or("no alert");
            snapshot(&format!("{kind}-{language}"), &text.replace(alert, "779f5a2ff481bd7c"));
        }
    }
}

#[tokio::test]
async fn what_belongs_to_no_incident_reads_as_it_did() {
    let event = |name: &str| {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap()
    };
    for language in ["en", "ja"] {
        for (name, event) in [
            ("create-access-key", event("create-access-key")),
            ("hostile-strings", event("hostile-strings")),
            ("several-actors", event("several-actors")),
            ("unreadable", batches::batch(&[broken(0)])),
            ("test", r#"{"test":{}}"#.to_owned()),
            ("damaged-batch", raw(b"no gzip")),
        ] {
            let handler = Handler::new(config(language), Outbox::default(), Recorded::default());
            let now = Timestamp::from_second(1_795_143_129).unwrap();
            let invocation = Invocation { event: &event, request_id: "r", time_left: Duration::from_secs(30), now };
            // The damaged one fails, and is told all the same.
            let _ = handler.handle(invocation).await;
            let messages = handler.notify().take();
            assert_eq!(messages.len(), 1, "{name}");
            snapshot(&format!("{name}-{language}"), &shown(&notification(&messages[0])));
        }
    }
}

#[tokio::test]
async fn the_page_on_channels_has_what_is_made_of_its_event() {
    let page = include_str!("../../../docs/channels.md");
    let event = include_str!("../../../events/create-access-key.json");
    let config = Config { history: None, ..topic::config(&[("HTTPS_FORMAT", "amazon-q")]) };
    let handler = Handler::new(config, Outbox::default(), Recorded::default());
    let invocation = Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: after(0) };
    handler.handle(invocation).await.done().unwrap();
    let message = handler.notify().take().remove(0);
    let document: Value = serde_json::from_str(&message.document).unwrap();
    let fields: BTreeMap<&str, &Value> =
        ["schema", "alertId", "severity", "subject"].into_iter().map(|name| (name, &document[name])).collect();
    for sample in [
        format!("```text\n{}\n```\n", message.sms),
        format!("```json\n{:#}\n```\n", notification(&message)),
        format!("```json\n{}\n```\n", serde_json::to_string_pretty(&fields).unwrap()),
    ] {
        assert!(page.contains(&sample), "docs/channels.md does not have\n{sample}");
    }
}

#[test]
fn an_alert_in_its_short_form_is_a_notification_too() {
    let records = [Deed::sign_in().0, Deed::new("iam", "CreateAccessKey").0];
    let alert = alert(&records, "trail");
    let names = Answers::default().names;
    let message = Message::short(&alert, &names, Short::Time, None, &style(Language::default()));
    let notification = notification(&message);
    let description = notification["content"]["description"].as_str().unwrap();
    for fact in ["This is the short form", "CreateAccessKey", "198.51.100.77", "111122223333"] {
        assert!(description.contains(fact), "{description}");
    }
    assert!(message.attributes.is_urgent());
    // Without the setting, plain text for all.
    let plain = Message::short(&alert, &names, Short::Time, None, &hostile::style(Language::default()));
    assert_eq!((sns::payload(&plain), &plain.text), (None, &message.text));
}

#[test]
fn other_subscribers_get_what_they_got_without_the_setting() {
    let alert = alert(&[Deed::sign_in().0], "trail");
    for language in Language::ALL {
        let with = Message::new(&alert, &style(language), sns::fits).unwrap();
        let without = Message::new(&alert, &hostile::style(language), sns::fits).unwrap();
        assert!(with.chat.is_some() && without.chat.is_none());
        assert_eq!(Message { chat: None, ..with }, without);
    }
}

/// Each text that the channel shows.
fn texts(notification: &Value) -> Vec<&str> {
    let content = &notification["content"];
    let lists = ["nextSteps", "keywords"].iter().flat_map(|list| content[list].as_array().into_iter().flatten());
    let resources = notification["metadata"]["relatedResources"].as_array().into_iter().flatten();
    let single = [&content["title"], &content["description"], &notification["metadata"]["summary"]];
    single.into_iter().chain(lists).chain(resources).map(|text| text.as_str().unwrap()).collect()
}

/// What a subject can't have is replaced, and with it what that kept from being markup.
#[test]
fn a_title_is_no_markup_where_letters_are_replaced() {
    let record = Deed::new("iam", "é_a_é b#é é#c").0;
    for message in messages(&[record], "trail", Language::default()) {
        let title = message.subject.as_str();
        assert!(
            title.starts_with("[QUIET]") || title.contains("\"??a?? b#? ??c\"") || title.contains("1 more"),
            "{title}"
        );
        assert_eq!(markup(title), None);
    }
}

/// What Slack's Markdown and that of Teams make something of, outside of our own commands and links.
fn markup(line: &str) -> Option<&'static str> {
    let line = line.strip_prefix('`').and_then(|command| command.strip_suffix('`')).map_or(line, |command| {
        assert!(command.starts_with("aws ") && !command.contains(['`', '<', '|', '@']), "{command}");
        ""
    });
    let mut text = line.replace("****", "");
    while let Some(place) = text.find("https://") {
        let end = text[place..].find(' ').map_or(text.len(), |end| place + end);
        let host = text[place + 8..end].split('/').next().unwrap_or_default();
        let ours =
            ["aws.amazon.com", "console.amazonaws.cn", "console.amazonaws-us-gov.com", "console.amazonaws-eusc.eu"];
        if !ours.iter().any(|known| host.ends_with(known)) {
            return Some("a link");
        }
        text.replace_range(place..end, "");
    }
    let edge = |at: usize| {
        let beside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !beside(text[..at].chars().next_back()) || !beside(text[at + 1..].chars().next())
    };
    let mention = |sign: char| text.match_indices(sign).any(|(at, _)| !text[..at].ends_with('['));
    let defines = || text.starts_with('[') && text.split_once(']').is_some_and(|(_, rest)| rest.starts_with(':'));
    match () {
        () if text.contains(['*', '~', '`']) || text.match_indices('_').any(|(at, _)| edge(at)) => Some("emphasis"),
        () if text.contains('<') || mention('@') => Some("a mention"),
        () if text.contains("](") || defines() => Some("a named link"),
        () if text.contains("||") || text.contains('\\') => Some("a table or an escape"),
        () if text.match_indices("//").any(|(at, _)| !text[..at].ends_with('[')) => Some("a link"),
        () if text.chars().any(|c| {
            c != ' ' && !c.is_ascii_graphic() && !c.is_alphanumeric() && !"。、「」（）：・～".contains(c)
        }) =>
        {
            Some("a character that doesn't print")
        }
        () => None,
    }
}

/// An update and a closing mail of an incident as well, with the hostile text in what is open.
fn messages(records: &[Value], name: &str, language: Language) -> Vec<Message> {
    let alert = alert(records, name);
    let whose = Whose::Root { account: name.to_owned() };
    let [opened, now] = [1_795_143_060, 1_795_143_660].map(|second| Timestamp::from_second(second).unwrap());
    let open = root_usage::incident::open([&root_usage::incident::changes(&alert)]);
    let chapter = |kind| Chapter {
        id: IncidentId::of(&whose, PartKey([7; 32])),
        kind,
        number: 2,
        now,
        opened,
        reason: None,
        what: None,
        pace: Pace::default(),
        open: open.clone(),
        more: 0,
    };
    let (style, names) = (style(language), Answers::default().names);
    let story = root_usage::email::digest(&alert, &style);
    let story: Vec<&str> = story.iter().map(String::as_str).collect();
    let within = |kind| {
        let chapter = chapter(kind);
        Message::within(&alert, &Answers::default(), Some(&chapter), &style, sns::fits, || true).unwrap().unwrap()
    };
    let closing = chapter(Kind::Closing);
    let ending = Ending { story: &story, unread: 0, last: Some(&alert), goes_on: false };
    vec![
        Message::new(&alert, &style, sns::fits).unwrap(),
        within(Kind::First),
        within(Kind::AtOnce),
        within(Kind::Update),
        Message::closing(&closing, &whose, &ending, &names, &style, sns::fits),
        Message::short(&alert, &names, Short::Refused, None, &style),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_others_wrote_means_anything_to_a_channel(
        records in prop::collection::vec(record(), 1..4), name in hostile(), language in select(&Language::ALL[..]),
    ) {
        for message in messages(&records, &name, language) {
            let notification = notification(&message);
            prop_assert!(sns::fits(&message));
            for text in texts(&notification) {
                for line in text.lines() {
                    prop_assert_eq!(markup(line), None, "{:?}", line);
                }
            }
            // A line of ours begins each: what others wrote begins none.
            let description = notification["content"]["description"].as_str().unwrap();
            for line in message.text.split("\n\n").next().unwrap().lines().take(1).filter(|line| line.len() < 500 && !message.document.is_empty()) {
                prop_assert!(description.starts_with(line), "{description}");
            }
        }
    }

    #[test]
    fn a_notification_is_short_and_fits_whatever_it_tells(
        record in record(), filler in hostile(), count in 1_usize..12, length in 0_usize..600, language in select(&Language::ALL[..]),
    ) {
        let filler: String = filler.chars().cycle().take(if filler.is_empty() { 0 } else { length }).collect();
        let records: Vec<Value> = (0..count).map(|index| {
            let mut record = record.clone();
            record["eventID"] = format!("{index}{filler}").into();
            record["requestParameters"]["userName"] = format!("{filler}{index}").into();
            record["userAgent"] = filler.clone().into();
            record
        }).collect();
        for message in messages(&records, &filler, language) {
            // The schema has the lengths.
            notification(&message);
            prop_assert!(sns::fits(&message));
        }
    }
}

#[test]
fn a_channel_would_make_something_of_these() {
    for (text, found) in [
        ("*b*", "emphasis"),
        ("a _b_", "emphasis"),
        ("~b~", "emphasis"),
        ("`b", "emphasis"),
        ("<!channel>", "a mention"),
        ("<https://evil.example|b>", "a link"),
        ("@here", "a mention"),
        ("[a](b)", "a named link"),
        ("[a]: b", "a named link"),
        ("https://evil.example", "a link"),
        ("a\u{202e}b", "a character that doesn't print"),
    ] {
        assert_eq!(markup(text), Some(found), "{text}");
    }
}
