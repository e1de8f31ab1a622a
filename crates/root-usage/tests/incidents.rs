//! When mails of an incident go out: each sentence of the policy is a row.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod deeds;
mod play;
mod topic;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use deeds::{Deed, delivery, messages};
use play::{Delivery, HOUR, MINUTE, Mails, each, launch, list, play, play_all, role};

struct Row {
    what: &'static str,
    deliveries: Vec<Delivery>,
    mails: &'static [(i64, &'static str)],
}

fn shared_with(account: &str) -> Deed {
    let added = json!({ "add": { "items": [{ "userId": account }] } });
    let parameters =
        json!({ "snapshotId": "snap-1", "createVolumePermission": added, "attributeType": "CREATE_VOLUME_PERMISSION" });
    Deed::new("ec2", "ModifySnapshotAttribute").with("requestParameters", parameters)
}

fn rows() -> Vec<Row> {
    let row = |what, deliveries: &[(i64, &[Deed])], mails| Row { what, deliveries: each(deliveries), mails };
    let sign_in = &[Deed::sign_in()][..];
    let opened = (0, sign_in);
    let twice = delivery(300, &[role("a")]);
    vec![
        row("the first mail goes out at once, and is closed by none", &[opened], &[(0, "first")]),
        row("a read opens an incident too", &[(0, &[list()])], &[(0, "first")]),
        row(
            "a read waits an hour, and the quiet hour tells it",
            &[opened, (300, &[list()])],
            &[(0, "first"), (3900, "closing")],
        ),
        row(
            "a read is told after an hour while more comes",
            &[opened, (300, &[list()]), (1800, &[list()]), (3600, &[list()])],
            &[(0, "first"), (3900, "update"), (7200, "closing")],
        ),
        row(
            "the first change of each service and event goes out at once",
            &[opened, (300, &[launch("a")])],
            &[(0, "first"), (300, "at-once"), (3900, "closing")],
        ),
        row(
            "another of the same waits 15 minutes, and takes the read along",
            &[opened, (300, &[launch("a")]), (400, &[list()]), (420, &[launch("b")])],
            &[(0, "first"), (300, "at-once"), (1320, "update"), (4020, "closing")],
        ),
        row(
            "a due time never moves later",
            &[opened, (60, &[launch("a")]), (120, &[launch("b")]), (900, &[launch("c")])],
            &[(0, "first"), (60, "at-once"), (1020, "update"), (4500, "closing")],
        ),
        row(
            "a call that is denied waits 15 minutes",
            &[opened, (300, &[launch("a").denied()])],
            &[(0, "first"), (1200, "update"), (3900, "closing")],
        ),
        row(
            "so does a read that is denied",
            &[opened, (300, &[list().denied()])],
            &[(0, "first"), (1200, "update"), (3900, "closing")],
        ),
        row(
            "a read that fails for another reason waits as others do",
            &[opened, (300, &[list().with("errorCode", json!("NoSuchBucket"))])],
            &[(0, "first"), (3900, "closing")],
        ),
        row(
            "each new grave deed goes out at once",
            &[opened, (300, &[role("a")]), (420, &[role("b")])],
            &[(0, "first"), (300, "at-once"), (420, "at-once"), (4020, "closing")],
        ),
        row(
            "the same deed again does not",
            &[opened, (300, &[role("a")]), (420, &[role("a")])],
            &[(0, "first"), (300, "at-once"), (1320, "update"), (4020, "closing")],
        ),
        row(
            "in another Region it is another",
            &[opened, (300, &[role("a")]), (420, &[role("a").region("eu-west-1")])],
            &[(0, "first"), (300, "at-once"), (420, "at-once"), (4020, "closing")],
        ),
        row(
            "a deed without parameters is always new",
            &[opened, (300, &[Deed::new("iam", "CreateAccessKey")]), (420, &[Deed::new("iam", "CreateAccessKey")])],
            &[(0, "first"), (300, "at-once"), (420, "at-once"), (4020, "closing")],
        ),
        row(
            "of a deed all parameters count, those in a list too",
            &[opened, (300, &[shared_with("444455556666")]), (420, &[shared_with("777788889999")])],
            &[(0, "first"), (300, "at-once"), (420, "at-once"), (4020, "closing")],
        ),
        row(
            "a grave deed that was denied waits",
            &[opened, (300, &[role("a").denied()])],
            &[(0, "first"), (1200, "update"), (3900, "closing")],
        ),
        row(
            "what comes within a minute goes into one mail when it is over",
            &[opened, (300, &[role("a")]), (310, &[role("b")]), (320, &[role("c")])],
            &[(0, "first"), (300, "at-once"), (360, "at-once"), (3960, "closing")],
        ),
        row(
            "a deed within the first mail's minute too",
            &[opened, (10, &[role("a")])],
            &[(0, "first"), (60, "at-once"), (3660, "closing")],
        ),
        row(
            "each sign-in goes out at once",
            &[opened, (600, &[Deed::sign_in()])],
            &[(0, "first"), (600, "at-once"), (4200, "closing")],
        ),
        row(
            "a sign-in that fails past the password too",
            &[opened, (600, &[Deed::failed_mfa()])],
            &[(0, "first"), (600, "at-once"), (4200, "closing")],
        ),
        row(
            "the session that a sign-in began is announced by it",
            &[opened, (300, &[list().session(10)])],
            &[(0, "first"), (3900, "closing")],
        ),
        row(
            "another session goes out at once",
            &[opened, (300, &[list().session(200)])],
            &[(0, "first"), (300, "at-once"), (3900, "closing")],
        ),
        row(
            "a long-lived key goes out at once",
            &[opened, (300, &[list().by_key("AKIAIOSFODNN7EXAMPLE")])],
            &[(0, "first"), (300, "at-once"), (3900, "closing")],
        ),
        row(
            "and is told once",
            &[(0, &[list().by_key("AKIAIOSFODNN7EXAMPLE")]), (300, &[list().by_key("AKIAIOSFODNN7EXAMPLE")])],
            &[(0, "first"), (3900, "closing")],
        ),
        row(
            "a new address goes out at once, three in 15 minutes",
            &[
                opened,
                (120, &[list().from("203.0.113.1")]),
                (240, &[list().from("203.0.113.2")]),
                (360, &[list().from("203.0.113.3")]),
                (1200, &[list().from("203.0.113.4")]),
            ],
            &[(0, "first"), (120, "at-once"), (240, "at-once"), (1200, "at-once"), (4800, "closing")],
        ),
        row(
            "addresses of one IPv6 network are one",
            &[
                (0, &[list().from("2001:db8::1")]),
                (300, &[list().from("2001:db8::2")]),
                (600, &[list().from("2001:db8:0:1::1")]),
            ],
            &[(0, "first"), (600, "at-once"), (4200, "closing")],
        ),
        row(
            "a service is no address",
            &[opened, (300, &[list().from("cloudformation.amazonaws.com")])],
            &[(0, "first"), (3900, "closing")],
        ),
        row(
            "each account has its own",
            &[opened, (300, &[list().account("444455556666")])],
            &[(0, "first"), (300, "first")],
        ),
        row(
            "what comes after the quiet hour is the next incident's",
            &[opened, (300, &[list()]), (2 * HOUR, sign_in)],
            &[(0, "first"), (3900, "closing"), (2 * HOUR, "first")],
        ),
        row(
            "failed sign-ins are one incident for all accounts, and wait as reads do",
            &[
                (0, &[Deed::failed_sign_in("111122223333")]),
                (300, &[Deed::failed_sign_in("444455556666")]),
                (600, &[Deed::failed_sign_in("111122223333")]),
            ],
            &[(0, "first"), (3900, "update"), (4200, "closing")],
        ),
        row(
            "and hold nothing of root's back",
            &[(0, &[Deed::failed_sign_in("111122223333")]), (300, &[Deed::sign_in()])],
            &[(0, "first"), (300, "first")],
        ),
        Row {
            what: "a delivery that comes again is told once",
            deliveries: vec![(0, delivery(0, sign_in)), (300, twice.clone()), (310, twice.clone()), (5 * HOUR, twice)],
            mails: &[(0, "first"), (300, "at-once"), (3900, "closing")],
        },
        Row {
            what: "what can't be read is an incident of its own",
            deliveries: vec![
                (0, messages(0, &[batches::broken(1)])),
                (300, messages(300, &[batches::broken(2)])),
                (310, messages(310, &[batches::broken(3)])),
            ],
            mails: &[(0, "first"), (1200, "update"), (3960, "closing")],
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn each_sentence_of_the_policy_holds() {
    let mut wrong = Vec::new();
    for Row { what, deliveries, mails } in rows() {
        let (found, _) = play(&deliveries, "root-usage").await;
        let expected: Mails = mails.iter().map(|(at, kind)| (*at, (*kind).to_owned())).collect();
        if found != expected {
            wrong.push(format!("{what}:\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn an_action_has_ten_mails_at_once_and_then_waits() {
    let deliveries: Vec<Delivery> = (0..14).map(|n| (n * 120, delivery(n * 120, &[role(&format!("r{n}"))]))).collect();
    let (mails, _) = play(&deliveries, "root-usage").await;
    let count = |kind: &str| mails.iter().filter(|(_, found)| found == kind).count();
    assert_eq!((count("first"), count("at-once"), count("update"), count("closing")), (1, 9, 1, 1), "{mails:?}");
}

/// A failed sign-in beside root's session is part of its story, and a record that two deliveries hold is told once.
#[tokio::test(start_paused = true)]
async fn what_two_deliveries_hold_is_told_once_and_in_one_story() {
    let (read, failed) = (list(), Deed::failed_sign_in("111122223333"));
    let mut deliveries = each(&[(0, &[Deed::sign_in()]), (300, &[failed.clone(), read.clone()])]);
    // Word for word, so of the same second.
    deliveries.push((400, delivery(300, &[read.clone(), role("a")])));
    let (mails, _, documents) = play_all(&deliveries, "root-usage").await;
    for deed in [&read, &failed] {
        let told = documents.iter().filter(|document| document.contains(&format!("\"{}\"", deed.id()))).count();
        assert_eq!(told, 1, "{mails:?}");
    }
    let at_once: serde_json::Value = serde_json::from_str(&documents[1]).unwrap();
    assert_eq!(at_once["matched"], 3, "{at_once}");
}

#[tokio::test(start_paused = true)]
async fn after_a_day_the_next_incident_follows() {
    let deliveries: Vec<Delivery> = (0..60).map(|n| (n * 1800, delivery(n * 1800, &[list()]))).collect();
    let (mails, _) = play(&deliveries, "root-usage").await;
    let firsts: Vec<i64> = mails.iter().filter(|(_, kind)| kind == "first").map(|(at, _)| *at).collect();
    assert_eq!(firsts, [0, 24 * HOUR], "{mails:?}");
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_all_incidents_has_eleven_mails() {
    let account = |n: i64| format!("{:012}", 100_000_000_000 + n);
    let deliveries: Vec<Delivery> =
        (0..30).map(|n| (n, delivery(n, &[Deed::sign_in().account(&account(n))]))).collect();
    let (mails, _) = play(&deliveries, "root-usage").await;
    assert_eq!(mails.iter().filter(|(at, _)| *at < MINUTE).count(), 11, "{mails:?}");
    // The others are in time.
    assert_eq!(mails.iter().filter(|(at, _)| *at <= 2 * MINUTE).count(), 30, "{mails:?}");
}

#[tokio::test(start_paused = true)]
async fn more_identities_than_incidents_are_told_in_one_mail() {
    let deeds: Vec<Deed> = (0..21).map(|n| role("a").account(&format!("{:012}", 100_000_000_000_u64 + n))).collect();
    // It comes twice, and is told once.
    let delivery = delivery(0, &deeds);
    let (mails, _) = play(&[(0, delivery.clone()), (90, delivery)], "root-usage").await;
    assert_eq!(mails, [(0, "no incident".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_has_an_incident_by_who_they_are() {
    let change = || Deed::new("cloudtrail", "StopLogging").of("name", "trail");
    let deliveries = each(&[
        (0, &[change().by("alice")]),
        (300, &[change().by("bob")]),
        (600, &[change().by("alice").of("name", "other")]),
    ]);
    let (mails, _) = play(&deliveries, "cis").await;
    let kinds: Vec<&str> = mails.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds, ["first", "first", "at-once", "closing"], "{mails:?}");
}

/// Some of each kind, with when they may be told at the latest after they came, in seconds.
fn kinds() -> Vec<(Deed, i64)> {
    let grave = MINUTE + MINUTE;
    vec![
        (Deed::sign_in(), grave),
        (Deed::failed_mfa(), grave),
        // Without parameters it is new each time.
        (Deed::new("iam", "CreateAccessKey"), grave),
        (Deed::new("iam", "CreateUser"), grave),
        (launch("a"), 16 * MINUTE),
        (launch("b"), 16 * MINUTE),
        (role("c").denied(), 16 * MINUTE),
        (list(), HOUR + MINUTE),
        (list().from("203.0.113.9"), HOUR + MINUTE),
        (list().account("444455556666"), HOUR + MINUTE),
        (Deed::failed_sign_in("777788889999"), HOUR + MINUTE),
    ]
}

proptest! {
    /// However records are put into deliveries, each is told exactly once, and none later than it may.
    #[test]
    fn any_order_and_any_deliveries_tell_the_same(
        which in vec(0..kinds().len(), 1..40),
        pauses in vec(prop_oneof![0..5_i64, 0..120_i64, 0..2000_i64, 3500..3700_i64], 40),
        ends in vec(any::<bool>(), 40),
    ) {
        let kinds = kinds();
        let mut deliveries: Vec<(i64, Vec<Deed>)> = vec![(0, Vec::new())];
        let mut limits = Vec::new();
        for ((index, pause), end) in which.iter().zip(pauses).zip(ends) {
            let (deed, limit) = &kinds[*index];
            let deed = deed.clone().again();
            // After ten mails for one action it waits as a change does.
            let often = which.iter().filter(|other| *other == index).count() > 10;
            let limit = if often { (*limit).max(16 * MINUTE) } else { *limit };
            let (at, deeds) = deliveries.last_mut().unwrap();
            limits.push((deed.id(), *at, limit));
            deeds.push(deed);
            let next = *at + pause;
            if end {
                deliveries.push((next, Vec::new()));
            }
        }
        let deliveries: Vec<Delivery> = deliveries.iter().filter(|(_, deeds)| !deeds.is_empty())
            .map(|(at, deeds)| (*at, delivery(*at, deeds))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (mails, _, documents) = runtime.block_on(play_all(&deliveries, "root-usage"));
        for (id, at, limit) in limits {
            let id = format!("\"{id}\"");
            let told: Vec<i64> = mails.iter().zip(&documents)
                .filter(|(_, document)| document.contains(&id)).map(|((at, _), _)| *at).collect();
            prop_assert_eq!(told.len(), 1, "{} came at {} and is told at {:?}: {:?}", id, at, told, mails);
            prop_assert!(told[0] - at <= limit, "{} came at {} and is told at {}: {:?}", id, at, told[0], mails);
        }
    }
}
