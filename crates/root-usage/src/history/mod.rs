//! What else an actor did: look-ups in CloudTrail's event history, best effort within a deadline.
//!
//! An alert is better with it and complete without it: whatever goes wrong here becomes a line of the mail, and no
//! look-up goes on after its deadline.

mod recorded;
mod related;

use std::collections::BTreeSet;
use std::error::Error;
use std::future::ready;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

pub use recorded::Recorded;
pub(crate) use related::EARLIER_DAYS;
pub use related::{Activity, Answer, Answered, Answers, Earlier, Gap, Related, Why};
use related::{Seen, activity, is_activity};

use crate::alert::{Access, Actor, Alert, Identity, Issued};
use crate::error::chain;
use crate::fault::caught_async;
use crate::record::Record;
use crate::region;
use crate::watch::WatchError;
use filter_pattern::json::Json;

/// The most pages read of one look-up.
const PAGES_MAX: usize = 3;

/// The most bytes of records read of one look-up: all that the function does has to fit into 96 MiB.
const BYTES_MAX: usize = 2 << 20;

/// The most actors looked up for one alert, the gravest first.
const ACTORS_MAX: usize = 5;

/// How many minutes before its first use a central root session can have begun.
///
/// Source: STS API Reference, `AssumeRoot`: at most 900 seconds. A minute more, for clocks.
const ROOT_SESSION_MINUTES: i64 = 16;

/// How far and how long the history is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// How many minutes back from an actor's newest event.
    pub minutes: u32,
    /// How long all look-ups together may take.
    pub timeout: Duration,
}

/// By what events are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By an access key id.
    AccessKey(String),
    /// By the user name `root`. An IAM user may be called so too.
    Root,
    /// By the event name `AssumeRoot`: who began a central root session.
    AssumeRoot,
    /// By the name of a role's session. A function's is the function's name.
    Session(String),
}

/// One request to the event history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The Region whose history is asked.
    pub region: String,
    /// Whose events.
    pub by: By,
    /// The oldest time, inclusive.
    pub from: Timestamp,
    /// The newest time, inclusive.
    pub to: Timestamp,
    /// The page, as the page before it named it; `None` is the first.
    pub page: Option<String>,
}

/// One answer of the event history.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// CloudTrail records as JSON texts, the newest first.
    pub events: Vec<String>,
    /// The name of the next page.
    pub next: Option<String>,
}

/// A look-up that failed.
#[derive(Debug, Error)]
#[error("the event history could not be looked up")]
pub struct LookUpError {
    /// What it means for the mail.
    pub why: Why,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// A history of events.
pub trait History {
    /// Asks for one page, and gives up at the deadline.
    fn look_up(&self, query: &Query, deadline: Instant) -> impl Future<Output = Result<Page, LookUpError>> + Send;

    /// Whether a record of this history has arrived since a time in the log group that a trail writes to. `None` where
    /// there is no time to find out.
    ///
    /// # Errors
    ///
    /// A [`WatchError`] if it can't be asked.
    fn has_arrived(
        &self,
        log_group: &str,
        event_id: &str,
        since: Timestamp,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<bool>, WatchError>> + Send {
        let _ = (log_group, event_id, since, deadline);
        ready(Ok(Some(true)))
    }
}

/// Which of an actor's questions a look-up answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Call,
    Key(usize),
    Root,
    Before,
}

/// A look-up that has ended.
struct Ended {
    part: Part,
    region: String,
    records: Vec<Record>,
    seen: usize,
    gaps: Vec<Why>,
}

/// An actor who is looked up, and over which time.
struct Subject {
    index: usize,
    root: bool,
    regions: Vec<String>,
    from: Timestamp,
    to: Timestamp,
}

/// Looks up what the alert's actors did before it, and who began their central root sessions. Never fails, and never takes
/// longer than until the deadline.
pub async fn ask(history: &impl History, alert: &Alert, reach: Reach, deadline: Instant) -> Answers {
    let mut by_actor: Vec<Answer> = vec![Answer::default(); alert.actors.len()];
    let mut subjects = Vec::new();
    for (index, (actor, answer)) in alert.actors.iter().zip(&mut by_actor).enumerate() {
        match subject(alert, index, actor, reach) {
            Ok(subject) => subjects.extend(subject),
            Err(why_not) => answer.related = Some(why_not),
        }
    }
    let mut plan = plan(&alert.actors, &subjects);
    plan.splice(0..0, calls(&alert.actors));
    let look_ups = plan.into_iter().map(|(part, query)| async move {
        let region = query.region.clone();
        // No fault in here may cost the alert.
        let ended = caught_async(look_up(history, part, query, deadline)).await;
        ended.unwrap_or_else(|_| Ended { part, region, records: Vec::new(), seen: 0, gaps: vec![Why::Fault] })
    });
    let ended = join_all(look_ups).await;
    let issued = Issued::of(ended.iter().filter(|ended| ended.part == Part::Call).flat_map(|ended| &ended.records));
    for (actor, answer) in alert.actors.iter().zip(&mut by_actor).filter(|(actor, _)| needs_call(actor)) {
        let keys = actor.each(Record::access_key_id);
        answer.root_call = keys.iter().find_map(|key| issued.root_call(key)).cloned();
    }
    let actions = alert.actors.iter().flat_map(|actor| &actor.actions);
    let told: BTreeSet<&str> = actions.filter_map(|action| action.record.event_id()).collect();
    for subject in &subjects {
        let activity = of(&alert.actors[subject.index], subject, &ended, &told, reach);
        by_actor[subject.index].related = Some(Related::Activity(activity));
    }
    let failed = |ended: &&Ended| ended.gaps.iter().any(Why::is_failure);
    let failures = ended.iter().filter(failed).count();
    Answers { by_actor, look_ups: ended.len(), failures, ..Answers::default() }
}

/// Whether it is worth a look-up who began the session.
fn needs_call(actor: &Actor) -> bool {
    let open = matches!(actor.access, Access::CentralRootSession | Access::TemporaryKey { mfa: false });
    actor.identity == Identity::Root && open && actor.root_call.is_none()
}

/// The look-ups for the calls that began central root sessions: in this account, which is the organization's where its
/// trail is, and in the Regions where the call can be recorded.
fn calls(actors: &[Actor]) -> Vec<(Part, Query)> {
    let mut queries: Vec<(Part, Query)> = Vec::new();
    for actor in actors.iter().take(ACTORS_MAX).filter(|actor| needs_call(actor)) {
        let Some((first, last)) = actor.span() else { continue };
        let from = earlier(first, SignedDuration::from_mins(ROOT_SESSION_MINUTES));
        for region in regions(actor) {
            let query = Query { region, by: By::AssumeRoot, from, to: last, page: None };
            if !queries.iter().any(|(_, other)| *other == query) {
                queries.push((Part::Call, query));
            }
        }
    }
    queries
}

/// The Regions that can hold what somebody did: theirs, and the one of its partition that records what has no Region.
/// None in a partition that is not known.
fn regions(actor: &Actor) -> Vec<String> {
    let Some(partition) = actor.actions.iter().find_map(|action| action.record.partition()) else { return Vec::new() };
    let region = actor.first(|record| record.region().filter(|region| region::partition(region).is_some()));
    let mut regions: Vec<String> = region.into_iter().chain([partition.home]).map(str::to_owned).collect();
    regions.dedup();
    regions
}

/// Who is looked up, and over which time; or why that can't be. Of an actor without a time there is nothing to say.
fn subject(alert: &Alert, index: usize, actor: &Actor, reach: Reach) -> Result<Option<Subject>, Related> {
    let owner = &alert.origin.owner;
    if index >= ACTORS_MAX {
        return Err(Related::LeftOut);
    }
    if !owner.is_empty() && actor.first(Record::account).is_some_and(|account| account != owner) {
        return Err(Related::OtherAccount);
    }
    let times = actor.actions.iter().filter_map(|action| action.record.event_time().or(action.received));
    let Some(to) = times.max() else { return Ok(None) };
    let regions = regions(actor);
    if regions.is_empty() {
        return Err(Related::UnknownPartition);
    }
    let from = earlier(to, SignedDuration::from_mins(reach.minutes.into()));
    Ok(Some(Subject { index, root: actor.identity == Identity::Root, regions, from, to }))
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The look-ups, the most telling first: they are asked in this order where not all can be at once.
fn plan(actors: &[Actor], subjects: &[Subject]) -> Vec<(Part, Query)> {
    let mut plan = Vec::new();
    let query = |region: &str, by: By, from, to| Query { region: region.to_owned(), by, from, to, page: None };
    let roots = || subjects.iter().filter(|subject| subject.root);
    let regions: BTreeSet<&String> = roots().flat_map(|subject| &subject.regions).collect();
    let span = roots().map(|subject| subject.from).min().zip(roots().map(|subject| subject.to).max());
    if let Some((from, to)) = span {
        plan.extend(regions.iter().map(|region| (Part::Root, query(region, By::Root, from, to))));
    }
    for subject in subjects {
        let key = actors[subject.index].first(Record::access_key_id);
        // What can't be a key is not asked for.
        let key = key.filter(|key| key.len() >= 16 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if let Some(key) = key {
            let by = || By::AccessKey(key.to_owned());
            let each = subject.regions.iter().map(|region| query(region, by(), subject.from, subject.to));
            plan.extend(each.map(|query| (Part::Key(subject.index), query)));
        }
    }
    if let Some((from, to)) = span {
        let first = earlier(to, SignedDuration::from_hours(24 * i64::from(EARLIER_DAYS)));
        let last = earlier(from, SignedDuration::from_secs(1));
        plan.extend(regions.iter().map(|region| (Part::Before, query(region, By::Root, first, last))));
    }
    plan
}

/// One look-up, page after page.
async fn look_up(history: &impl History, part: Part, mut query: Query, deadline: Instant) -> Ended {
    let mut ended = Ended { part, region: query.region.clone(), records: Vec::new(), seen: 0, gaps: Vec::new() };
    let mut unreadable = false;
    let mut bytes = 0;
    for number in 1.. {
        let page = match timeout_at(deadline, history.look_up(&query, deadline)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::warn!(region = query.region, error = chain(&error), "look-up failed");
                ended.gaps.push(error.why);
                break;
            }
            Err(_) => {
                ended.gaps.push(Why::Time);
                break;
            }
        };
        for event in &page.events {
            ended.seen += 1;
            bytes += event.len();
            match Json::parse(event) {
                Ok(json @ Json::Object(_)) if bytes <= BYTES_MAX => ended.records.push(Record::new(event, json)),
                Ok(Json::Object(_)) => {}
                _ => unreadable = true,
            }
        }
        // The newest of root's that came before is all that is asked for.
        if part == Part::Before && ended.records.iter().any(is_activity) {
            break;
        }
        let Some(next) = page.next else { break };
        if number == PAGES_MAX || bytes > BYTES_MAX {
            ended.gaps.push(Why::Cut);
            break;
        }
        query.page = Some(next);
    }
    ended.gaps.extend(unreadable.then_some(Why::UnreadableEvents));
    ended
}

/// What the look-ups say of one actor.
fn of(actor: &Actor, subject: &Subject, ended: &[Ended], told: &BTreeSet<&str>, reach: Reach) -> Activity {
    let about = |part: Part| {
        let theirs = move |each: &&Ended| each.part == part && subject.regions.contains(&each.region);
        ended.iter().filter(theirs)
    };
    let records = |part: Part| about(part).flat_map(|each| &each.records).collect();
    let seen = Seen {
        by_key: records(Part::Key(subject.index)),
        of_root: if subject.root { records(Part::Root) } else { Vec::new() },
        before: if subject.root { records(Part::Before) } else { Vec::new() },
    };
    let (actions, newest) = activity(actor, &seen, (subject.from, subject.to), told);
    let parts = [Part::Root, Part::Key(subject.index), Part::Before];
    let parts = parts.into_iter().filter(|part| subject.root || matches!(part, Part::Key(_)));
    let gaps: Vec<(Part, Gap)> = parts
        .flat_map(about)
        .flat_map(|each| {
            let gap = |why: &Why| Gap { region: each.region.clone(), seen: each.seen, why: why.clone() };
            each.gaps.iter().map(gap).map(|gap| (each.part, gap)).collect::<Vec<_>>()
        })
        .collect();
    let earlier = match newest {
        _ if !subject.root => Earlier::NotAsked,
        Some((time, region)) => Earlier::At(time, region),
        None if gaps.iter().any(|(part, _)| *part == Part::Before) => Earlier::Unknown,
        None => Earlier::None,
    };
    let gaps = gaps.into_iter().map(|(_, gap)| gap).collect();
    Activity { minutes: reach.minutes, regions: subject.regions.clone(), actions, earlier, gaps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Match, Origin};

    #[test]
    fn a_partition_that_is_not_known_is_not_asked() {
        let china = Some("arn:aws-cn:iam::111122223333:root");
        for (region, arn, asked) in [
            (Some("eu-west-1"), None, Some(vec!["eu-west-1", "us-east-1"])),
            (Some("us-east-1"), None, Some(vec!["us-east-1"])),
            (Some("cn-northwest-1"), None, Some(vec!["cn-northwest-1", "cn-north-1"])),
            (Some("eusc-de-east-1"), None, Some(vec!["eusc-de-east-1"])),
            (Some("us-iso-west-1"), None, Some(vec!["us-iso-west-1", "us-iso-east-1"])),
            (None, china, Some(vec!["cn-north-1"])),
            (Some("xx-north-1"), china, None),
            (Some("evil.example/"), china, None),
            (None, Some("arn:aws-xx:iam::111122223333:root"), None),
            (None, None, None),
        ] {
            let text = serde_json::json!({
                "eventTime": "2026-11-20T02:51:26Z", "awsRegion": region, "userIdentity": { "type": "Root", "arn": arn },
            })
            .to_string();
            let record = Record::new(&text, Json::parse(&text).unwrap());
            let origin = Origin { owner: String::new(), log_group: String::new(), log_stream: String::new() };
            let found = vec![Match { record, rules: Vec::new(), received: None }];
            let alert = Alert::new(origin, found, Vec::new(), &[]).unwrap();
            let reach = Reach { minutes: 60, timeout: Duration::from_secs(3) };
            let subject = subject(&alert, 0, &alert.actors[0], reach);
            let why_not = matches!(subject, Err(Related::UnknownPartition));
            let regions = subject.ok().flatten().map(|subject| subject.regions);
            let found = regions.as_ref().map(|regions| regions.iter().map(String::as_str).collect());
            assert_eq!(found, asked, "{region:?} {arn:?}");
            assert_eq!(why_not, asked.is_none(), "{region:?} {arn:?}");
        }
    }
}
