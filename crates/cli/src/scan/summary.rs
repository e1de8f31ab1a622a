//! What all files hold, each record once, and the mails that it would have caused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use root_usage::alert::{Attribution, Issued};
use root_usage::directory::Listed;
use root_usage::email::{Story, Style};
use root_usage::incident::Pace;
use root_usage::record::Record;
use serde::Serialize;

use super::delivery::{Batch, Source, deliveries};
use super::found::{File, Found, Misread};
use super::incident::stories;
use super::letter::{Letter, Writing};
use super::object::DIGEST;
use super::telling::tell;

/// What all files hold.
#[derive(Default)]
pub struct Everything {
    files: u64,
    without_records: u64,
    skipped: BTreeMap<&'static str, u64>,
    records: u64,
    bytes: u64,
    duplicates: u64,
    span: Option<(Timestamp, Timestamp)>,
    found: Vec<Found>,
    /// Where in `found` a record is.
    keys: HashMap<[u8; 32], usize>,
    left_out: Vec<Record>,
    beside: Vec<Record>,
    batches: Vec<Batch>,
    unreadable: Vec<Unread>,
}

/// A file that could not be read, or not to its end.
#[derive(Debug, Serialize)]
pub struct Unread {
    pub file: Arc<str>,
    /// At which byte, after inflating, the first fault is.
    pub at: Option<u64>,
    /// Why that was not understood.
    pub reason: String,
    /// How many more faults it has.
    pub more: u64,
}

/// The answer, in figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub files: u64,
    /// Of these, CloudTrail's digest files, which hold no records.
    pub digest_files: u64,
    /// Of these, files that were understood and hold no record, without those that [`skipped`](Self::skipped) tells.
    pub files_without_records: u64,
    /// What else is known to hold no record, and how often it is there.
    pub skipped: BTreeMap<&'static str, u64>,
    pub records: u64,
    /// Bytes of JSON, after inflating.
    pub bytes: u64,
    /// The time that is covered, as far as it was seen and asked for.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub matches: u64,
    pub duplicates: u64,
    pub mails: Mails,
    /// Who is in most matches, and in how many.
    pub noisiest: Option<Noisiest>,
    /// How many objects, lines or files were not understood.
    pub faults: u64,
    /// The files that they are in.
    pub unreadable: Vec<Unread>,
}

/// Who is in most matches.
#[derive(Debug, Serialize)]
pub struct Noisiest {
    pub actor: String,
    pub matches: u64,
}

/// All that there is to say.
pub struct Outcome {
    pub found: Vec<Found>,
    pub incidents: Vec<Story>,
    pub letters: Vec<Letter>,
    pub summary: Summary,
}

/// The mails that would have gone out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mails {
    pub total: u64,
    /// Whether some of them are reckoned from the records' times, as the batches are not known.
    pub estimated: bool,
    /// How many days the files cover.
    pub days: u64,
    pub per_day: f64,
    /// The days that have any, in UTC.
    pub by_day: BTreeMap<civil::Date, u64>,
}

impl Everything {
    /// Adds a file.
    pub fn add(&mut self, file: File<'_>) {
        self.files += 1;
        self.without_records += u64::from(file.records == 0 && file.fault.is_none() && file.skipped.is_empty());
        for (name, count) in file.skipped {
            *self.skipped.entry(name).or_default() += count;
        }
        self.records += file.records;
        self.bytes += file.bytes;
        self.span = match (self.span, file.span) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
        for found in file.found {
            let known = found.key.and_then(|key| self.keys.get(&key)).copied();
            if let Some(known) = known {
                self.duplicates += 1;
                // Whichever file was read first: it is always the same one that counts.
                if (&found.file, found.nth) < (&self.found[known].file, self.found[known].nth) {
                    self.found[known] = found;
                }
                continue;
            }
            if let Some(key) = found.key {
                self.keys.insert(key, self.found.len());
            }
            self.found.push(found);
        }
        self.left_out.extend(file.left_out);
        self.beside.extend(file.beside);
        self.batches.extend(file.batches);
        if let Some(Misread { at, reason, more }) = file.fault {
            self.unreadable.push(Unread { file: file.name, at, reason, more });
        }
    }

    /// Decides who did what and by what means, over all files: what one record doesn't say, another may.
    fn decide(&mut self) -> Attribution {
        // Whichever file was read first.
        self.left_out.sort_unstable_by_key(|record| *record.hash());
        self.beside.sort_unstable_by_key(|record| *record.hash());
        let matched = self.found.iter().map(|found| &found.matched.record);
        let records: Vec<&Record> = matched.chain(&self.left_out).collect();
        let issued = Issued::of(records.iter().copied().chain(&self.beside));
        let attribution = Attribution::new(&records, &issued);
        for (index, found) in self.found.iter_mut().enumerate() {
            found.decide(attribution.access(index));
        }
        attribution
    }

    /// The matches in order of time, their incidents, the mails about them if they are asked for (their records were kept
    /// then), and the figures.
    pub fn finish(
        mut self,
        asked: (Option<Timestamp>, Option<Timestamp>),
        style: &Style,
        listed: &Listed,
        mail: bool,
    ) -> anyhow::Result<Outcome> {
        self.keys.clear();
        self.found.sort_by(|a, b| (a.time, &a.file, a.nth).cmp(&(b.time, &b.file, b.nth)));
        let attribution = self.decide();
        self.unreadable.sort_by(|a, b| a.file.cmp(&b.file));
        let from = self.span.map(|(from, _)| asked.0.map_or(from, |since| since.max(from)));
        let to = self.span.map(|(_, to)| asked.1.map_or(to, |until| until.min(to)));
        let days = from.zip(to).map_or(0, |(from, to)| (day(to) - day(from)).get_days().max(0).unsigned_abs() + 1);
        let (mut found, pace) = (self.found, Pace::default());
        let deliveries = deliveries(self.batches, &mut found, &attribution);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let told = runtime.block_on(tell(&deliveries, pace));
        for ((delivery, part), incident) in &told.by_part {
            for index in &deliveries[*delivery].parts[*part].found {
                found[*index].mailed = Some(told.incidents[*incident].id);
            }
        }
        let incidents = stories(&mut found, pace, &attribution, listed, style);
        let mut by_day = BTreeMap::new();
        for time in told.mails.iter().filter_map(|mail| mail.time) {
            *by_day.entry(day(time)).or_default() += 1;
        }
        let total = told.mails.len() as u64;
        let estimated = found.iter().any(|found| matches!(found.source, Source::Window(..)));
        let mut actors: BTreeMap<&str, u64> = BTreeMap::new();
        found.iter().for_each(|found| *actors.entry(&found.actor).or_default() += 1);
        let noisiest = actors.into_iter().rev().max_by_key(|(_, count)| *count);
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many mails or days")]
        let per_day = if days > 0 { total as f64 / f64::from(days) } else { 0.0 };
        let summary = Summary {
            files: self.files,
            digest_files: self.skipped.remove(DIGEST).unwrap_or_default(),
            files_without_records: self.without_records,
            skipped: self.skipped,
            records: self.records,
            bytes: self.bytes,
            from,
            to,
            matches: found.len() as u64,
            duplicates: self.duplicates,
            mails: Mails { total, estimated, days: days.into(), per_day, by_day },
            noisiest: noisiest.map(|(actor, matches)| Noisiest { actor: actor.to_owned(), matches }),
            faults: self.unreadable.iter().map(|unread| unread.more + 1).sum(),
            unreadable: self.unreadable,
        };
        let letters = if mail {
            let attribution = &attribution;
            Writing { found: &found, deliveries: &deliveries, attribution, listed, style, pace }.letters(&told)?
        } else {
            Vec::new()
        };
        Ok(Outcome { found, incidents, letters, summary })
    }
}

/// The day in UTC.
fn day(time: Timestamp) -> civil::Date {
    TimeZone::UTC.to_datetime(time).date()
}
