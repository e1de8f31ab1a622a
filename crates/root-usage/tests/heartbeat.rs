//! The hourly look: a call that CloudTrail records, whether the record of an earlier one has arrived, whether anybody reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod topic;

use std::sync::Mutex;

use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::{By, History, LookUpError, Page, Query, Why};
use root_usage::notify::{Notify, Receipt};
use root_usage::report::Report;
use root_usage::watch::WatchError;
use serde_json::json;
use tokio::time::{Duration, Instant};

use topic::{Failing, NotTaken, config};

const HEARTBEAT: &str = r#"{"heartbeat":{"logGroup":"trail/one"}}"#;
const NOW: &str = "2026-11-26T03:00:00Z";

/// What is answered to a question of the hourly look.
#[derive(Debug, Clone, Copy)]
enum Said<T> {
    This(T),
    Refused,
    Nothing,
}

impl<T> Said<T> {
    async fn answer(self) -> Result<T, WatchError> {
        match self {
            Self::This(answer) => Ok(answer),
            Self::Refused => Err(WatchError { what: "it", advice: "allow it", source: "it denies".to_owned().into() }),
            Self::Nothing => std::future::pending().await,
        }
    }
}

/// The function's surroundings: pages of its own calls, and the log group.
struct Trail {
    pages: Vec<Vec<String>>,
    arrived: Said<Option<bool>>,
    asked: Mutex<Vec<Query>>,
    looked_for: Mutex<Vec<(String, String)>>,
}

impl Trail {
    fn new(pages: &[&[String]], arrived: Said<Option<bool>>) -> Self {
        let pages = pages.iter().map(|page| page.to_vec()).collect();
        Self { pages, arrived, asked: Mutex::default(), looked_for: Mutex::default() }
    }
}

impl History for &Trail {
    async fn look_up(&self, query: &Query, _: Instant) -> Result<Page, LookUpError> {
        self.asked.lock().unwrap().push(query.clone());
        let page: usize = query.page.as_ref().map_or(0, |page| page.parse().unwrap());
        let next = (page + 1 < self.pages.len()).then(|| (page + 1).to_string());
        Ok(Page { events: self.pages.get(page).cloned().unwrap_or_default(), next })
    }

    async fn has_arrived(
        &self,
        log_group: &str,
        event_id: &str,
        since: jiff::Timestamp,
        _: Instant,
    ) -> Result<Option<bool>, WatchError> {
        assert_eq!(log_group, "trail/one");
        self.looked_for.lock().unwrap().push((event_id.to_owned(), since.to_string()));
        self.arrived.answer().await
    }
}

struct Readers(Said<Option<usize>>);

impl Notify for Readers {
    type Error = NotTaken;

    fn fits(&self, _: &Message) -> bool {
        true
    }

    async fn publish(&self, _: &Message) -> Result<Receipt, NotTaken> {
        panic!("a heartbeat makes no mail")
    }

    async fn readers(&self) -> Result<Option<usize>, WatchError> {
        self.0.answer().await
    }
}

fn call(name: &str, id: &str, time: &str) -> String {
    json!({"eventVersion": "1.11", "eventName": name, "eventID": id, "eventTime": format!("2026-11-26T{time}Z")})
        .to_string()
}

async fn beat(readers: Said<Option<usize>>, history: impl History) -> (Report, bool) {
    let vars = [
        ("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:alerts"),
        ("HISTORY_MINUTES", "0"),
        ("AWS_LAMBDA_FUNCTION_NAME", "root-usage-alert"),
    ];
    let handler = Handler::new(config(&vars), Readers(readers), history);
    let invocation =
        Invocation { event: HEARTBEAT, request_id: "r", time_left: Duration::from_secs(30), now: NOW.parse().unwrap() };
    let handled = handler.handle(invocation).await;
    let quiet = handled.quiet;
    (handled.done().unwrap(), quiet)
}

/// (The function's calls as the history has them, whether the log group has the record, readers, unheard, without readers,
/// look-ups that failed.)
#[tokio::test(start_paused = true)]
async fn the_record_of_an_earlier_heartbeat_must_be_there_and_a_reader() {
    use Said::{Nothing, Refused, This};
    let own = [call("LookupEvents", "the-newest", "02:00:07"), call("LookupEvents", "older", "01:00:07")];
    let behind = [call("Decrypt", "a-key", "02:20:00"), "no JSON".to_owned()];
    let found: &[&[String]] = &[&own];
    let later: &[&[String]] = &[&behind, &behind, &own];
    let too_late: &[&[String]] = &[&behind, &behind, &behind, &own];
    let rows = [
        (found, This(Some(true)), This(Some(1)), 0, 0, 0),
        (later, This(Some(true)), This(Some(4)), 0, 0, 0),
        // A topic that can't say how many read it.
        (found, This(Some(true)), This(None), 0, 0, 0),
        // The log group is so full that the search came to no end, whoever filled it.
        (found, This(None), This(Some(1)), 1, 0, 0),
        // Somebody keeps the log group busy, and the trail is gone.
        (found, This(Some(false)), This(Some(1)), 1, 0, 0),
        (found, Refused, This(Some(1)), 1, 0, 0),
        (found, Nothing, This(Some(1)), 1, 0, 0),
        (&[], This(Some(true)), This(Some(1)), 1, 0, 0),
        (too_late, This(Some(true)), This(Some(1)), 1, 0, 0),
        (found, This(Some(true)), This(Some(0)), 0, 1, 0),
        (found, This(Some(true)), Refused, 0, 1, 0),
        (found, This(Some(true)), Nothing, 0, 0, 0),
        (found, This(Some(false)), This(Some(0)), 1, 1, 0),
    ];
    for (number, (pages, arrived, readers, unheard, without_readers, history_failures)) in rows.into_iter().enumerate()
    {
        let trail = Trail::new(pages, arrived);
        let (report, quiet) = beat(readers, &trail).await;
        let expected = Report { unheard, without_readers, history_failures, ..Report::default() };
        assert_eq!(report, expected, "row {number}");
        // A metric costs money for each hour that has a value.
        assert_eq!(quiet, expected == Report::default(), "row {number}");
        for query in &*trail.asked.lock().unwrap() {
            assert_eq!((query.region.as_str(), &query.by), ("eu-west-1", &By::Session("root-usage-alert".to_owned())));
            // A record of the last half hour may be on its way.
            assert_eq!(query.from.to_string(), "2026-11-26T00:00:00Z");
            assert_eq!(query.to.to_string(), "2026-11-26T02:30:00Z");
        }
        let looked_for = trail.looked_for.lock().unwrap();
        assert!(
            looked_for
                .iter()
                .all(|(id, since)| (id.as_str(), since.as_str()) == ("the-newest", "2026-11-26T02:00:07Z"))
        );
        assert!(!trail.asked.lock().unwrap().is_empty());
    }
}

/// Whoever keeps the function from asking could stop the trail as well.
#[tokio::test(start_paused = true)]
async fn a_history_that_fails_is_counted_and_hides_no_missing_reader() {
    for why in [Why::Denied, Why::Time] {
        let (report, quiet) = beat(Said::This(Some(0)), Failing(Some(why))).await;
        assert_eq!(report, Report { history_failures: 1, unheard: 1, without_readers: 1, ..Report::default() });
        assert!(!quiet);
    }
}
