//! The day of one person with root, `events/day-*.json`, and the night of an intruder, `events/incident-*.json`: the counts that its sources state, and what `events/README.md`
//! says of it. Tests of what is told over time rest on that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
use jiff::Timestamp;
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::notify::Outbox;
use serde_json::{Value, json};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;

struct Delivery {
    name: String,
    event: String,
    expect: Value,
    /// In milliseconds.
    timestamps: Vec<i64>,
    records: Vec<Value>,
}

impl Delivery {
    fn arrives(&self) -> i64 {
        *self.timestamps.iter().max().unwrap()
    }

    fn texts(&self, field: &str) -> BTreeSet<&str> {
        self.records.iter().map(|record| record[field].as_str().unwrap()).collect()
    }
}

fn day() -> Vec<Delivery> {
    story("day", 38)
}

/// The deliveries of a story, in their order.
fn story(name: &str, count: usize) -> Vec<Delivery> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events");
    let read = |number: usize| {
        let name = if count > 9 { format!("{name}-{number:02}") } else { format!("{name}-{number}") };
        let source: Value =
            serde_json::from_slice(&fs::read(folder.join(format!("source/{name}.json"))).unwrap()).unwrap();
        let event = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let log_events = serde_json::from_str::<LogsEvent>(&event).unwrap().aws_logs.data.log_events;
        Delivery {
            name,
            event,
            expect: source["expect"].clone(),
            timestamps: log_events.iter().map(|log_event| log_event.timestamp).collect(),
            records: log_events.iter().map(|log_event| serde_json::from_str(&log_event.message).unwrap()).collect(),
        }
    };
    (1..=count).map(read).collect()
}

#[tokio::test]
async fn every_delivery_is_counted_as_its_source_says() {
    let mut matched = 0;
    for Delivery { name, event, expect, .. } in day() {
        let config = Config { history: None, metrics: false, ..Config::from_vars([]).unwrap() };
        let handler = Handler::new(config, Outbox::default(), Recorded::default());
        let invocation =
            Invocation { event: &event, request_id: "r", time_left: Duration::from_secs(60), now: Timestamp::now() };
        let report = handler.handle(invocation).await.done().unwrap();
        let counts = json!({
            "ignored": report.ignored, "matched": report.matched,
            "duplicate": report.duplicate, "unreadable": report.unreadable,
        });
        assert_eq!(counts, expect, "{name}");
        matched += report.matched;
    }
    assert_eq!(matched, 727);
}

#[test]
fn the_deliveries_arrive_in_order_with_five_breaks() {
    let day = day();
    let mut groups = vec![1];
    for pair in day.windows(2) {
        let pause = pair[1].arrives() - pair[0].arrives();
        assert!(pause >= 0, "{}", pair[1].name);
        if pause > HOUR {
            groups.push(1);
        } else {
            *groups.last_mut().unwrap() += 1;
        }
    }
    assert_eq!(groups, [3, 17, 1, 8, 8, 1]);
}

#[test]
fn the_day_has_thirteen_regions_and_no_record_twice() {
    let day = day();
    let (mut regions, mut ids, mut records, mut only_reads, mut sign_ins) = (BTreeSet::new(), BTreeSet::new(), 0, 0, 0);
    for delivery in &day {
        // A log stream, so a delivery, is one Region's.
        assert_eq!(delivery.texts("awsRegion").len(), 1, "{}", delivery.name);
        regions.extend(delivery.texts("awsRegion"));
        ids.extend(delivery.texts("eventID"));
        records += delivery.records.len();
        only_reads += usize::from(delivery.records.iter().all(|record| record["readOnly"] == true));
        let signed_in = |record: &&Value| record["responseElements"]["ConsoleLogin"] == "Success";
        sign_ins += delivery.records.iter().filter(signed_in).count();
    }
    assert_eq!((regions.len(), only_reads, sign_ins), (13, 25, 5));
    assert_eq!((records, ids.len()), (728, 728));
}

#[test]
fn one_click_in_eleven_regions_arrives_within_a_second() {
    let day = day();
    let sweep = &day[5..16];
    let regions: BTreeSet<_> = sweep.iter().flat_map(|delivery| delivery.texts("awsRegion")).collect();
    assert_eq!(regions.len(), 11);
    assert!(sweep.iter().all(|delivery| delivery.texts("eventSource") == BTreeSet::from(["lambda.amazonaws.com"])));
    let timestamps: BTreeSet<_> = sweep.iter().flat_map(|delivery| &delivery.timestamps).collect();
    assert!(*timestamps.last().unwrap() - *timestamps.first().unwrap() <= SECOND, "{timestamps:?}");
}

/// The stories as their mails: what goes out when, in both languages. Read them in their order.
#[tokio::test(start_paused = true)]
async fn each_reads_as_a_story() {
    let operator = [
        ("ACCOUNT_NAMES", "111122223333=payments-prod"),
        ("RUNBOOK_URL", "https://wiki.example.com/root-alert"),
        ("LOCKDOWN_POLICY_ID", "p-denyroot01"),
        ("TRUSTED_CIDRS", "office=203.0.113.0/24"),
    ];
    for (name, count, mails, vars) in [("day", 38, 18, &[][..]), ("incident", 5, 5, &operator[..])] {
        for language in ["en", "ja"] {
            let vars = vars.iter().copied().chain([("ALERT_LANGUAGE", language)]);
            let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let config = Config { history: None, metrics: false, ..Config::from_vars(vars).unwrap() };
            let told = told(config, &story(name, count)).await;
            assert_eq!(told.len(), mails);
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(format!("mails/{name}-{language}"));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            let _bound = settings.bind_to_scope();
            for (time, mail) in told {
                insta::assert_snapshot!(time, format!("Subject: {}\n\n{}", mail.subject.as_str(), mail.text));
            }
        }
    }
}

/// The mails of deliveries that arrive in this order, ticks between them, each with its time.
async fn told(config: Config, deliveries: &[Delivery]) -> Vec<(String, Message)> {
    let handler = Handler::new(config, Outbox::default(), Recorded::default())
        .with_incidents(InMemory::default(), Pace::default());
    let mut steps: Vec<(i64, &str)> =
        deliveries.iter().map(|delivery| (delivery.arrives(), delivery.event.as_str())).collect();
    let (first, last) = (steps[0].0, steps[steps.len() - 1].0 + 2 * HOUR);
    let minute = 60 * SECOND;
    steps.extend((first / minute + 1..=last / minute).map(|each| (each * minute, r#"{"tick":{}}"#)));
    steps.sort_by_key(|(at, _)| *at);
    let mut mails = Vec::new();
    for (number, (at, event)) in steps.into_iter().enumerate() {
        let now = Timestamp::from_millisecond(at).unwrap();
        let request_id = number.to_string();
        let time_left = Duration::from_secs(30);
        handler.handle(Invocation { event, request_id: &request_id, time_left, now }).await.done().unwrap();
        let time = now.strftime("%H.%M.%S").to_string();
        mails.extend(handler.notify().take().into_iter().map(|mail| (time.clone(), mail)));
    }
    mails
}
