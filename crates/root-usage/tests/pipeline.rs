//! Every event in `events/` but those of the day (`day.rs`) through the whole pipeline: the counts that its source states, and the mail it makes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use filter_pattern::Pattern;
use filter_pattern::json::Json;
use jiff::Timestamp;
use root_usage::config::Config;
use root_usage::email::{Message, SMS_MAX, SUBJECT_MAX};
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::notify::Outbox;
use root_usage::notify::topic;
use root_usage::report::Report;
use root_usage::rule::Rule;
use serde_json::Value;

fn events() -> Vec<(String, String, Value)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events");
    let mut sources: Vec<PathBuf> =
        fs::read_dir(folder.join("source")).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The deliveries of a story are not so many behaviours: `day.rs` tells them.
    let of_story = |name: &str| name.starts_with("day-") || name.starts_with("incident-");
    sources.retain(|source| !of_story(source.file_name().unwrap().to_str().unwrap()));
    sources.sort();
    assert!(sources.len() >= 10);
    let read = |source: PathBuf| {
        let name = source.file_stem().unwrap().to_str().unwrap().to_owned();
        let event = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        (name, event, serde_json::from_slice(&fs::read(&source).unwrap()).unwrap())
    };
    sources.into_iter().map(read).collect()
}

async fn handle(handler: &Handler<Outbox, Recorded>, event: &str) -> (Report, Vec<Message>) {
    let report = handler
        .handle(Invocation { event, request_id: "r", time_left: Duration::from_secs(60), now: Timestamp::now() })
        .await
        .done()
        .unwrap();
    (report, handler.notify().take())
}

fn handler(vars: &[(&str, &str)]) -> Handler<Outbox, Recorded> {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config { history: None, metrics: false, ..Config::from_vars(vars).unwrap() };
    Handler::new(config, Outbox::default(), Recorded::default())
}

fn event(name: &str) -> String {
    events().into_iter().find(|(found, ..)| found == name).unwrap_or_else(|| panic!("no event {name}")).1
}

#[tokio::test]
async fn every_event_is_counted_and_mailed_as_its_source_says() {
    let schema = include_str!("../../../docs/alert.schema.json");
    let schema = jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap();
    for (name, event, source) in events() {
        let (report, mails) = handle(&handler(&[]), &event).await;
        let expected = &source["expect"];
        let counts = serde_json::json!({
            "ignored": report.ignored, "matched": report.matched,
            "duplicate": report.duplicate, "unreadable": report.unreadable,
        });
        assert_eq!(&counts, expected, "{name}");
        assert_eq!(mails.len(), usize::from(report.matched + report.unreadable > 0), "{name}");
        assert_eq!(report.mails, mails.len(), "{name}");
        // With more rules there is more to tell, of more than root; the form is the same.
        let (_, more) = handle(&handler(&[("RULES", "root-usage,cis")]), &event).await;
        for mail in mails.iter().chain(&more) {
            let subject = mail.subject.as_str();
            assert!((1..=SUBJECT_MAX).contains(&subject.len()), "{name}: {subject}");
            assert!(subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{name}: {subject}");
            assert!(topic::payload(mail).unwrap().len() <= topic::MESSAGE_MAX, "{name}");
            assert!(mail.sms.len() <= SMS_MAX && mail.sms.is_ascii(), "{name}: {}", mail.sms);
            let document: Value = serde_json::from_str(&mail.document).unwrap();
            let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
            assert!(mail.text.lines().count() < 100, "{name}: {} lines", mail.text.lines().count());
        }
    }
}

/// Of all records of all events: the rule's, and `AssumeRoot`. The template has no other pattern with that name.
#[test]
fn the_subscription_passes_the_rules_records_and_assume_root() {
    let mut patterns =
        include_str!("../../../template.yaml").split('\'').filter(|text| text.contains("\"AssumeRoot\""));
    // YAML makes one line of several.
    let text = patterns.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let subscription = Pattern::parse(&text).unwrap();
    assert_eq!(patterns.next(), None);
    let rule = &Rule::named("root-usage").unwrap()[0];
    let inner = rule.text.trim_start_matches("{ ").trim_end_matches(" }");
    assert!(include_str!("../../../template.yaml").contains(&format!("'{{ {inner} || ")));
    let mut assumed = 0;
    for (name, _, source) in events() {
        for record in source["records"].as_array().into_iter().flatten().filter(|record| record.is_object()) {
            let text = record.to_string();
            let record = Json::parse(&text).unwrap();
            let assume_root = record.get("eventName") == Some(&Json::String("AssumeRoot".into()));
            assert_eq!(subscription.matches(&record), rule.pattern.matches(&record) || assume_root, "{name}: {text}");
            assumed += usize::from(assume_root);
        }
    }
    assert!(assumed > 0);
}

#[tokio::test]
async fn every_mail_reads_as_it_did() {
    snapshots("mails/en", &[("TRUSTED_CIDRS", "office=203.0.113.0/24")]).await;
}

#[tokio::test]
async fn every_mail_reads_as_it_did_in_japanese() {
    snapshots("mails/ja", &[("ALERT_LANGUAGE", "ja"), ("ALERT_TIME_ZONE", "Asia/Tokyo")]).await;
}

#[tokio::test]
async fn every_mail_of_the_published_rules_reads_as_it_did() {
    snapshots_of("mails/cis-en", &[("RULES", "cis")], |name| name.starts_with("cis-")).await;
    let japanese = [("RULES", "cis"), ("ALERT_LANGUAGE", "ja")];
    snapshots_of("mails/cis-ja", &japanese, |name| name.starts_with("cis-")).await;
}

#[tokio::test]
async fn a_mail_about_who_acts_for_root_reads_as_it_did() {
    snapshots_of("mails/root-en", &[("RULES", "root")], |name| name == "federated-by-root").await;
    let japanese = [("RULES", "root"), ("ALERT_LANGUAGE", "ja")];
    snapshots_of("mails/root-ja", &japanese, |name| name == "federated-by-root").await;
}

#[tokio::test]
async fn a_mail_names_the_runbook_above_its_steps() {
    const RUNBOOK: (&str, &str) = ("RUNBOOK_URL", "https://wiki.example.com/security/root-user?lang=en#who-to-call");
    for (folder, language) in [("mails/runbook-en", "en"), ("mails/runbook-ja", "ja")] {
        let vars = [RUNBOOK, ("ALERT_LANGUAGE", language)];
        // Where nothing could be read, too.
        let names = ["root-sign-in-without-mfa", "unreadable-only"];
        snapshots_of(folder, &vars, |name| names.contains(&name)).await;
    }
}

const NAMES: (&str, &str) = (
    "ACCOUNT_NAMES",
    "111122223333=payments-prod,444455556666=Sandbox (EU),777788889999=data-platform-analytics-europe",
);
const LOCKDOWN: (&str, &str) = ("SETTINGS", "LOCKDOWN_POLICY_ID=p-examplepolicyid1");

#[tokio::test]
async fn a_mail_names_accounts_and_locks_root_out_of_them() {
    for (folder, language) in [("mails/names-en", "en"), ("mails/names-ja", "ja")] {
        let vars = [NAMES, LOCKDOWN, ("ALERT_LANGUAGE", language)];
        let names = [
            "central-root-session",
            "root-mfa-failed",
            "root-sign-in-without-mfa",
            "several-actors",
            "sign-in-spray",
            "unreadable-only",
        ];
        snapshots_of(folder, &vars, |name| names.contains(&name)).await;
    }
}

#[tokio::test]
async fn every_document_with_names_is_as_its_schema_says() {
    let schema = include_str!("../../../docs/alert.schema.json");
    let schema = jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap();
    for (name, event, _) in events() {
        for mail in handle(&handler(&[NAMES, LOCKDOWN]), &event).await.1 {
            let document: Value = serde_json::from_str(&mail.document).unwrap();
            let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
    }
    let (_, mails) = handle(&handler(&[NAMES]), &event("several-actors")).await;
    let document: Value = serde_json::from_str(&mails[0].document).unwrap();
    assert_eq!(document["accounts"]["shown"], serde_json::json!(["111122223333", "444455556666"]));
    let names = serde_json::json!({ "111122223333": "payments-prod", "444455556666": "\"Sandbox (EU)\"" });
    assert_eq!(document["accountNames"], names);
    let gravest = &document["actors"][0]["gravest"];
    assert_eq!(gravest["accountName"], names[gravest["account"].as_str().unwrap()]);
}

/// How grave it is and which account, by what a telephone shows of a subject.
#[tokio::test]
async fn a_subject_begins_with_the_severity_and_the_account() {
    let digits = "111122223333";
    for (names, named) in [
        ("none", digits),
        ("444455556666=sandbox", digits),
        ("111122223333=payments-prod", "payments-prod"),
        ("111122223333=Team 1 EU", "Team 1 EU"),
        ("111122223333=payments-production-eu1", "payments-production-eu1"),
        ("111122223333=payments-production-eu-west-1", "payments-production-eu.."),
        // What would have to be changed, or could pass for something else, is not for a subject.
        ("111122223333=R&D", digits),
        ("111122223333=1. payments", digits),
        ("111122223333=evil.com", digits),
        ("111122223333=[LOW] Root", digits),
        ("111122223333=444455556666", digits),
        ("111122223333=sandbox (444455556666)", digits),
    ] {
        let (_, mails) = handle(&handler(&[("ACCOUNT_NAMES", names)]), &event("root-sign-in-without-mfa")).await;
        let (subject, sms) = (mails[0].subject.as_str(), &mails[0].sms);
        assert!(subject[..40].starts_with(&format!("[CRITICAL] {named}: r")), "{names}: {subject}");
        // The digits once, whatever stands in front.
        assert_eq!(subject.matches(digits).count(), 1, "{subject}");
        let both = if named == digits { digits.to_owned() } else { format!("{named} {digits}") };
        assert!(sms.starts_with(&format!("[CRITICAL] {both}: root ")), "{sms}");
        assert!(sms.ends_with("If none of you did this, secure root."), "{sms}");
    }
}

#[tokio::test]
async fn where_root_did_not_act_no_mail_speaks_of_root() {
    for language in ["en", "ja"] {
        for name in ["cis-changes", "cis-sign-in-failed"] {
            let handler = handler(&[("RULES", "cis"), ("ALERT_LANGUAGE", language), ("AWS_LAMBDA_FUNCTION_NAME", "f")]);
            let (_, mails) = handle(&handler, &event(name)).await;
            let told = format!("{}\n{}", mails[0].subject.as_str(), mails[0].text);
            assert!(!told.to_lowercase().contains("root") && !told.contains("ルートユーザー"), "{name}: {told}");
        }
    }
}

#[tokio::test]
async fn a_rule_bounds_the_severity_of_all_but_root() {
    let trail = "{ $.eventName = DeleteTrail }";
    let rows = [
        ("cis-changes", "cloudtrail-changes", "", "CRITICAL"),
        ("cis-changes", "security-group-changes", "", "MEDIUM"),
        ("cis-changes", "unauthorized-api-calls", "", "LOW"),
        // One record, two rules: the graver one.
        ("cis-changes", "unauthorized-api-calls,ec2-instance-changes", "", "MEDIUM"),
        // An operator's own rule has no severity, so it bounds nothing.
        ("cis-changes", "unauthorized-api-calls", trail, "CRITICAL"),
        ("cis-sign-in-failed", "cis", "", "LOW"),
        // Root's stays what it is.
        ("denied-probing", "unauthorized-api-calls", "", "CRITICAL"),
    ];
    for (name, rules, own, severity) in rows {
        let (_, mails) = handle(&handler(&[("RULES", rules), ("RULE_PATTERN", own)]), &event(name)).await;
        let subject = mails[0].subject.as_str();
        assert!(subject.starts_with(&format!("[{severity}] ")), "{name} with {rules} and {own:?}: {subject}");
    }
}

async fn snapshots(folder: &str, vars: &[(&str, &str)]) {
    snapshots_of(folder, vars, |_| true).await;
}

async fn snapshots_of(folder: &str, vars: &[(&str, &str)], wanted: impl Fn(&str) -> bool) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _guard = settings.bind_to_scope();
    for (name, event, source) in events().into_iter().filter(|(name, ..)| wanted(name)) {
        let (_, mails) = handle(&handler(vars), &event).await;
        for mail in mails {
            insta::with_settings!({ description => source["describes"].as_str().unwrap() }, {
                insta::assert_snapshot!(name.as_str(), format!("Subject: {}\n\n{}", mail.subject.as_str(), mail.text));
            });
        }
    }
}

#[tokio::test]
async fn the_facts_of_a_mail_stand_one_a_line_in_order() {
    let (_, mails) = handle(&handler(&[]), &event("long-lived-access-key")).await;
    let text = &mails[0].text;
    let labels = [
        "  When ",
        "  From ",
        "  Agent ",
        "  Region ",
        "  Action ",
        "  Account ",
        "  By ",
        "  Key ",
        "  Event ",
        "  Link ",
    ];
    let lines: Vec<&str> = text.lines().filter(|line| labels.iter().any(|label| line.starts_with(label))).collect();
    assert_eq!(lines.len(), labels.len(), "{text}");
    assert!(lines.iter().zip(labels).all(|(line, label)| line.starts_with(label)), "{text}");
    let next = text.find("What to do next").unwrap();
    assert!(text.find("https://us-east-1.console.aws.amazon.com/cloudtrailv2/").unwrap() < next);
    // What the record doesn't say has no line.
    assert!(!text.contains("  MFA ") && !text.contains("  Outcome "), "{text}");
}

#[tokio::test]
async fn what_was_mailed_is_not_mailed_again_by_the_same_function() {
    let handler = handler(&[]);
    let event = event("create-access-key");
    let (first, _) = handle(&handler, &event).await;
    let (second, mails) = handle(&handler, &event).await;
    assert_eq!((first.matched, first.duplicate, second.matched, second.duplicate), (2, 0, 0, 2));
    assert_eq!(mails, []);
}

#[tokio::test]
async fn records_without_an_id_or_with_an_addendum_are_never_repetitions() {
    for name in ["missing-fields", "late-with-addendum", "repeated-without-event-id"] {
        let handler = handler(&[]);
        let event = event(name);
        let (first, _) = handle(&handler, &event).await;
        let (second, mails) = handle(&handler, &event).await;
        assert_eq!((first.matched, 0), (second.matched, second.duplicate), "{name}");
        assert_eq!(mails.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn memory_of_what_was_mailed_is_bounded() {
    // 538 records are in one mail; eight more kinds of mail would not fit without forgetting the first.
    let handler = handler(&[]);
    let first = event("root-sign-in-with-mfa");
    let burst = event("burst-538");
    handle(&handler, &first).await;
    for round in 0..8 {
        // Another event id in each round: the last digits of every id change.
        let event = renumbered(&burst, round);
        assert_eq!(handle(&handler, &event).await.0.matched, 538);
    }
    assert_eq!(handle(&handler, &first).await.0.matched, 1, "the oldest is forgotten");
}

/// The same batch with other event ids.
fn renumbered(event: &str, round: usize) -> String {
    use base64::Engine;
    use std::io::{Read, Write};
    let engine = base64::engine::general_purpose::STANDARD;
    let outer: Value = serde_json::from_str(event).unwrap();
    let mut text = String::new();
    let data = engine.decode(outer["awslogs"]["data"].as_str().unwrap()).unwrap();
    flate2::read::GzDecoder::new(&data[..]).read_to_string(&mut text).unwrap();
    let text = text.replace(r#"\"eventID\":\""#, &format!(r#"\"eventID\":\"{round}"#));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    serde_json::json!({ "awslogs": { "data": engine.encode(gzip.finish().unwrap()) } }).to_string()
}

#[tokio::test]
async fn an_own_pattern_is_evaluated_beside_the_rules() {
    let own = "{ $.userIdentity.type = \"IAMUser\" && $.eventName = ListUsers }";
    let alone = handle(&handler(&[]), &event("iam-user")).await.0;
    let beside = handler(&[("RULE_PATTERN", own)]);
    let (report, mails) = handle(&beside, &event("iam-user")).await;
    assert_eq!((alone.matched, report.matched), (0, 1));
    assert!(mails[0].text.starts_with("IAMUser "), "{}", mails[0].text);
    assert_eq!(handle(&beside, &event("root-sign-in-with-mfa")).await.0.matched, 1);
    // Blank is unset, never "match everything".
    assert_eq!(handle(&handler(&[("RULE_PATTERN", "  ")]), &event("iam-user")).await.0.matched, 0);
}

#[tokio::test]
async fn keys_are_masked_unless_the_operator_wants_them() {
    let event = event("long-lived-access-key");
    let (_, masked) = handle(&handler(&[]), &event).await;
    let (_, plain) = handle(&handler(&[("MASK_ACCESS_KEYS", "false")]), &event).await;
    let key = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("  Key ").map(|key| key.trim().to_owned())).unwrap()
    };
    assert!(key(&plain[0].text).starts_with("AKIA") && key(&plain[0].text).len() == 20);
    assert_eq!(key(&masked[0].text), format!("****{}", &key(&plain[0].text)[16..]));
    assert!(!masked[0].text.contains("AKIA"));
}

#[tokio::test]
async fn a_key_that_was_created_is_whole_in_mail_and_document_only() {
    let (created, used) = ("AKIAI44QH8DHBEXAMPLE", "ASIAI44QH8DHBEXAMPLE");
    let (_, mails) = handle(&handler(&[]), &event("create-access-key")).await;
    for text in [&mails[0].text, &mails[0].document] {
        assert!(text.contains(created) && !text.contains(used), "{text}");
    }
    assert!(!mails[0].sms.contains("AKIA"), "{}", mails[0].sms);
}

#[tokio::test]
async fn an_alert_has_the_same_id_whatever_the_order() {
    let (name, event, _) = events().into_iter().find(|(name, ..)| name == "several-actors").unwrap();
    let (first, _) = handle(&handler(&[]), &event).await;
    let (second, _) = handle(&handler(&[]), &reversed(&event)).await;
    assert_eq!(first.alert_id, second.alert_id, "{name}");
    let (other, _) = handle(&handler(&[]), &self::event("create-access-key")).await;
    assert_ne!(first.alert_id, other.alert_id);
}

/// The same batch, its log events in the opposite order.
fn reversed(event: &str) -> String {
    use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
    let mut parsed: LogsEvent = serde_json::from_str(event).unwrap();
    parsed.aws_logs.data.log_events.reverse();
    serde_json::to_string(&parsed).unwrap()
}
