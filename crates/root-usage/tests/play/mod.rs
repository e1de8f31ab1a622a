//! Deliveries played with a tick each minute, and the mails that they make.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::time::Duration;

use root_usage::config::Config;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::notify::Outbox;
use serde_json::Value;

use crate::deeds::{Deed, after, delivery};
use crate::topic;

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3600;

/// What is delivered, and when, in seconds.
pub type Delivery = (i64, String);

/// The mails, with the second in which each goes out.
pub type Mails = Vec<(i64, String)>;

pub async fn play(deliveries: &[Delivery], rules: &str) -> (Mails, Vec<String>) {
    let (mails, texts, _) = play_all(deliveries, rules).await;
    (mails, texts)
}

/// Plays deliveries with a tick each minute, until nothing can come any more: mails, their texts and their documents.
pub async fn play_all(deliveries: &[Delivery], rules: &str) -> (Mails, Vec<String>, Vec<String>) {
    let vars = [("RULES".to_owned(), rules.to_owned())];
    let config = Config { history: None, metrics: false, ..Config::from_vars(vars).unwrap() };
    let handler = Handler::new(config, Outbox::default(), Recorded::default())
        .with_incidents(InMemory::default(), Pace::default());
    let last = deliveries.iter().map(|(at, _)| *at).max().unwrap() + 3 * HOUR;
    let mut steps: Vec<(i64, &str)> = deliveries.iter().map(|(at, event)| (*at, event.as_str())).collect();
    steps.extend((1..=last / MINUTE).map(|minute| (minute * MINUTE, r#"{"tick":{}}"#)));
    steps.sort_by_key(|(at, _)| *at);
    let (mut mails, mut texts, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (at, event)) in steps.into_iter().enumerate() {
        let request_id = number.to_string();
        let invocation =
            Invocation { event, request_id: &request_id, time_left: Duration::from_secs(30), now: after(at) };
        handler.handle(invocation).await.done().unwrap();
        for message in handler.notify().take() {
            topic::valid(&message);
            let document: Value = serde_json::from_str(&message.document).unwrap();
            let kind = document["incident"]["kind"].as_str().unwrap_or("no incident").to_owned();
            mails.push((at, kind));
            texts.push(format!("{}\n\n{}", message.subject.as_str(), message.text));
            documents.push(message.document);
        }
    }
    (mails, texts, documents)
}

pub fn role(name: &str) -> Deed {
    Deed::new("iam", "CreateRole").of("roleName", name)
}

pub fn launch(id: &str) -> Deed {
    Deed::new("ec2", "RunInstances").of("imageId", id)
}

pub fn list() -> Deed {
    Deed::read("s3", "ListBuckets")
}

/// One delivery after the other: when, and what.
pub fn each(deliveries: &[(i64, &[Deed])]) -> Vec<Delivery> {
    deliveries.iter().map(|(at, deeds)| (*at, delivery(*at, deeds))).collect()
}
