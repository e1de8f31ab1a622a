//! Incidents as they happened, by the times of their events.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use root_usage::alert::{Alert, Attribution, Origin};
use root_usage::directory::Listed;
use root_usage::email::{Story, Style};
use root_usage::incident::{IncidentId, Pace, Whose};
use root_usage::ledger::PartKey;

use super::found::Found;

/// What one identity did without a long pause.
struct Incident {
    whose: Whose,
    /// `None` for all that says no time.
    opened: Option<Timestamp>,
    last: Option<Timestamp>,
    found: Vec<usize>,
}

/// The incidents of matches that are in order of time. Each match learns the name of its own.
pub fn stories(
    found: &mut [Found],
    pace: Pace,
    attribution: &Attribution,
    listed: &Listed,
    style: &Style,
) -> Vec<Story> {
    let mut incidents: Vec<Incident> = Vec::new();
    let mut open: HashMap<&Whose, usize> = HashMap::new();
    for (index, each) in found.iter().enumerate() {
        let Some(whose) = &each.whose else { continue };
        let goes_on = open.get(whose).copied().filter(|place| incidents[*place].goes_on(each.time, pace));
        let place = goes_on.unwrap_or(incidents.len());
        if goes_on.is_none() {
            incidents.push(Incident { whose: whose.clone(), opened: each.time, last: each.time, found: Vec::new() });
            open.insert(whose, place);
        }
        incidents[place].last = each.time;
        incidents[place].found.push(index);
    }
    let mut names = HashSet::new();
    let mut stories = Vec::new();
    for incident in &incidents {
        let matches = incident.found.iter().map(|index| (*index, found[*index].matched.clone())).collect();
        let Some(alert) = Alert::attributed(Origin::default(), matches, Vec::new(), attribution) else { continue };
        let first = &found[incident.found[0]];
        // As in the mails, unless those tell two of these as one.
        let mailed = first.mailed.filter(|id| names.insert(*id));
        let id = mailed.unwrap_or_else(|| IncidentId::of(&incident.whose, PartKey(*first.matched.record.hash())));
        incident.found.iter().for_each(|index| found[*index].incident = Some(id.to_string().into()));
        stories.push(Story::new(id, &incident.whose, &alert, &listed.names(&alert), style));
    }
    stories
}

impl Incident {
    fn goes_on(&self, time: Option<Timestamp>, pace: Pace) -> bool {
        match (self.opened, self.last, time) {
            (Some(opened), Some(last), Some(time)) => !pace.is_over(opened, last, time),
            (opened, _, time) => opened.is_none() && time.is_none(),
        }
    }
}
