//! Who did what: the matches of a batch, by actor.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::access::{self, SIGN_IN_SECONDS};
use super::{Action, Actor, Identity, Issued, Match};
use crate::record::Record;

/// What makes two records one actor's: the session, else the key, else the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark<'r> {
    Session(&'r str),
    Key(&'r str),
    Address(&'r str),
}

/// Whoever acted, and in which account.
type Whose<'r> = (Option<(&'r str, &'r str)>, Option<&'r str>);

/// The sessions of one identity, by when they began.
#[derive(Default)]
struct Sessions<'r> {
    all: BTreeMap<i64, usize>,
    by_source: HashMap<&'r str, BTreeMap<i64, usize>>,
}

/// Groups matches by who did it, in a time that grows as their number does.
///
/// Account and session creation identify a console session; its access key alone does not, for the console gets a new
/// one for each service and Region. A sign-in has no session yet: it joins the one of its account and address that
/// began nearest to it, or one that began with it.
pub(super) fn group(matches: Vec<Match>, issued: &Issued) -> Vec<Actor> {
    let (places, count) = places(&matches);
    let mut groups: Vec<Vec<Match>> = (0..count).map(|_| Vec::new()).collect();
    for (found, place) in matches.into_iter().zip(places) {
        groups[place].push(found);
    }
    let actor = |group: Vec<Match>| {
        let first = group.first()?;
        let identity = Identity::of(&first.record);
        let (access, root_call) = access::decide(&group.iter().map(|found| &found.record), issued);
        let mut actions: Vec<Action> = group.into_iter().map(|found| Action::new(found, access)).collect();
        // Of several records of one event the corrected one says what was done.
        let superseded = |action: &Action| action.record.addendum() != Some("UPDATED_DATA");
        actions.sort_by_cached_key(|action| (action.gravity(), superseded(action)));
        Some(Actor { identity, access, root_call, actions, related: None })
    };
    groups.into_iter().filter_map(actor).collect()
}

/// For each match the number of its group, and how many groups there are.
fn places(matches: &[Match]) -> (Vec<usize>, usize) {
    let mut places = vec![0; matches.len()];
    let mut known: HashMap<(Whose<'_>, Mark<'_>), usize> = HashMap::new();
    let mut sessions: HashMap<Whose<'_>, Sessions<'_>> = HashMap::new();
    let is_loose = |record: &Record| record.is_sign_in() && record.session_created().is_none();
    for (index, found) in matches.iter().enumerate().filter(|(_, found)| !is_loose(&found.record)) {
        let record = &found.record;
        let whose = whose(record);
        let mark = match (record.session_created(), record.access_key_id()) {
            (Some(created), _) => Mark::Session(created),
            (None, Some(key)) => Mark::Key(key),
            (None, None) => Mark::Address(record.source_ip().unwrap_or_default()),
        };
        let next = known.len();
        let place = *known.entry((whose, mark)).or_insert(next);
        if let Mark::Session(created) = mark {
            let began = created.parse::<Timestamp>().map_or(i64::MAX, Timestamp::as_second);
            let theirs = sessions.entry(whose).or_default();
            theirs.all.entry(began).or_insert(place);
            theirs.by_source.entry(record.source_ip().unwrap_or_default()).or_default().entry(began).or_insert(place);
        }
        places[index] = place;
    }
    for (index, found) in matches.iter().enumerate().filter(|(_, found)| is_loose(&found.record)) {
        let record = &found.record;
        let whose = whose(record);
        let address = record.source_ip().unwrap_or_default();
        let time = record.event_time().map_or(i64::MAX, Timestamp::as_second);
        let session = sessions.get(&whose).and_then(|theirs| {
            let from_there = theirs.by_source.get(address).and_then(|sessions| nearest(sessions, time));
            let begun = || {
                let at_once = |(began, _): &(i64, usize)| began.abs_diff(time) <= SIGN_IN_SECONDS.unsigned_abs();
                nearest(&theirs.all, time).filter(at_once).filter(|_| record.outcome().may_have_worked())
            };
            from_there.or_else(begun)
        });
        let next = known.len();
        places[index] = match session {
            Some((_, place)) => place,
            None => *known.entry((whose, Mark::Address(address))).or_insert(next),
        };
    }
    (places, known.len())
}

fn whose(record: &Record) -> Whose<'_> {
    let identity = (!record.is_root()).then(|| Identity::parts(record));
    (identity, record.identity_account().or_else(|| record.account()))
}

/// The session that began nearest to a time.
fn nearest(sessions: &BTreeMap<i64, usize>, time: i64) -> Option<(i64, usize)> {
    let before = sessions.range(..=time).next_back();
    let after = sessions.range(time..).next();
    let both = before.into_iter().chain(after).map(|(began, place)| (*began, *place));
    both.min_by_key(|(began, _)| began.abs_diff(time))
}
