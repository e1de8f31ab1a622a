//! Who did what: matches by actor.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::access::{self, SIGN_IN_SECONDS};
use super::{Access, Action, Actor, Identity, Issued, Match};
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

/// Who made each of many records, and by what means, decided over all of them together, in a time that grows as their
/// number does.
///
/// Account and session creation identify a console session; its access key alone does not, for the console gets a new
/// one for each service and Region. A sign-in has no session yet: it joins the one of its account and address that
/// began nearest to it, or one that began with it.
#[derive(Debug)]
pub struct Attribution {
    /// For each record, in their order, the number of its actor.
    places: Vec<usize>,
    /// For each actor by what means they acted, and the record of the `AssumeRoot` call, where it is known.
    actors: Vec<(Access, Option<Record>)>,
}

impl Attribution {
    /// Decides for these records, given what is known of where keys came from.
    #[must_use]
    pub fn new(records: &[&Record], issued: &Issued) -> Self {
        let (places, count) = places(records);
        let mut theirs: Vec<Vec<&Record>> = vec![Vec::new(); count];
        for (record, place) in records.iter().zip(&places) {
            theirs[*place].push(record);
        }
        let actors = theirs.iter().map(|records| access::decide(&records.iter().copied(), issued)).collect();
        Self { places, actors }
    }

    /// By what means whoever made a record acted, given its index.
    #[must_use]
    pub fn access(&self, index: usize) -> Access {
        self.actors[self.places[index]].0
    }

    /// Those who did this, given the index of each match's record.
    pub(super) fn actors(&self, matches: Vec<(usize, Match)>) -> Vec<Actor> {
        let mut groups: BTreeMap<usize, Vec<Match>> = BTreeMap::new();
        for (index, found) in matches {
            groups.entry(self.places[index]).or_default().push(found);
        }
        let actor = |(place, group): (usize, Vec<Match>)| {
            let identity = Identity::of(&group.first()?.record);
            let (access, root_call) = self.actors[place].clone();
            let mut actions: Vec<Action> = group.into_iter().map(|found| Action::new(found, access)).collect();
            // Of several records of one event the corrected one says what was done.
            let superseded = |action: &Action| action.record.addendum() != Some("UPDATED_DATA");
            actions.sort_by_cached_key(|action| (action.gravity(), superseded(action)));
            Some(Actor { identity, access, root_call, actions })
        };
        groups.into_iter().filter_map(actor).collect()
    }
}

/// For each record the number of its actor, and how many actors there are.
fn places(records: &[&Record]) -> (Vec<usize>, usize) {
    let mut places = vec![0; records.len()];
    let mut known: HashMap<(Whose<'_>, Mark<'_>), usize> = HashMap::new();
    let mut sessions: HashMap<Whose<'_>, Sessions<'_>> = HashMap::new();
    let is_loose = |record: &Record| record.is_sign_in() && record.session_created().is_none();
    for (index, record) in records.iter().copied().enumerate().filter(|(_, record)| !is_loose(record)) {
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
    for (index, record) in records.iter().copied().enumerate().filter(|(_, record)| is_loose(record)) {
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
