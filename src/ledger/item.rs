//! What stands in the table, and how it is read back.
//!
//! | `pk` | `sk` | holds | until |
//! | --- | --- | --- | --- |
//! | `P` | part | a part that is not told yet | it is told |
//! | `R#part` | chunk | the delivery of a part, as it arrived | it is told |
//! | `T#part` | `T` | that a part was told | 30 days |
//! | `K#record` | `K` | that a record was told | 30 days |
//! | `C` | identity | the open incident of an identity | it is closed |
//! | `I#incident` | `N#topic` | what an incident has seen | 7 days |
//! | `I#incident` | `B#topic#slot` | a slot of a budget (`I#all`: of all incidents) | 7 days |
//! | `I#incident` | `M` | how many mails it had | 7 days |
//! | `I#incident` | `S#time#part` | what a mail told of it | 7 days |
//! | `A#key` | `A` | the `AssumeRoot` call that returned a key | an hour |
//!
//! Times are milliseconds, and compared here: DynamoDB deletes what has expired days late.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use root_usage::incident::{IncidentId, Whose};
use root_usage::ledger::{Current, Owner, Part, PartKey};
use sha2::{Digest, Sha256};

/// An item, by the names of its attributes.
pub type Item = HashMap<String, AttributeValue>;

/// How long it is remembered that something was told.
pub const TOLD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long an incident is remembered, which lasts a day and is quiet for up to four hours before it is closed.
pub const INCIDENT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long it is remembered who got a key.
pub const CALL: SignedDuration = SignedDuration::from_hours(1);

/// The most bytes of a delivery in one item, which may have 400 KB.
const CHUNK_MAX: usize = 350_000;

pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub fn time(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}

pub fn owner(owner: Owner) -> AttributeValue {
    text(format!("{:016x}", owner.0))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What [`hex`] has written: conditions compare texts, so nothing else is taken for the same.
pub fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    (hex(&bytes) == text).then_some(bytes)
}

/// The name of an item.
pub fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Of what is remembered for a while, until when.
pub fn expires(mut item: Item, now: Timestamp, after: SignedDuration) -> Item {
    let until = now.saturating_add(after).unwrap_or(Timestamp::MAX);
    item.insert("expires".to_owned(), number(until.as_second()));
    item
}

/// Whether it is remembered still: DynamoDB deletes late.
pub fn is_remembered(item: &Item, now: Timestamp) -> bool {
    until(item).is_none_or(|until| until > now.as_second())
}

/// When a part or record was told that is remembered for as long as those are.
pub fn told_at(item: &Item) -> Timestamp {
    let until = until(item).and_then(|until| Timestamp::from_second(until).ok());
    until.and_then(|until| until.checked_sub(TOLD).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn until(item: &Item) -> Option<i64> {
    item.get("expires")?.as_n().ok()?.parse().ok()
}

pub fn part_key(key_: PartKey) -> Item {
    key("P", hex(&key_.0))
}

pub fn chunk_key(part: PartKey, chunk: usize) -> Item {
    key(format!("R#{}", hex(&part.0)), piece(chunk))
}

/// What a piece of a delivery is called in it.
pub fn piece(chunk: usize) -> String {
    format!("{chunk:03}")
}

/// The name of an item that was read.
pub fn name_alone(mut item: Item) -> Item {
    item.retain(|name, _| name == "pk" || name == "sk");
    item
}

pub fn told_key(part: PartKey) -> Item {
    key(format!("T#{}", hex(&part.0)), "T")
}

pub fn record_key(record: &[u8; 32]) -> Item {
    key(format!("K#{}", hex(record)), "K")
}

pub fn current_key(whose: &Whose) -> Item {
    key("C", hex(&Sha256::digest(whose.to_string())))
}

pub fn incident_pk(incident: Option<IncidentId>) -> String {
    incident.map_or_else(|| "I#all".to_owned(), |id| format!("I#{}", hex(&id.to_bytes())))
}

/// A delivery in pieces that fit into an item each.
pub fn chunks(event: &str) -> Vec<&str> {
    let (mut rest, mut chunks) = (event, Vec::new());
    while rest.len() > CHUNK_MAX {
        let (chunk, more) = rest.split_at(rest.floor_char_boundary(CHUNK_MAX));
        chunks.push(chunk);
        rest = more;
    }
    chunks.push(rest);
    chunks
}

fn whose_text(whose: &Whose) -> AttributeValue {
    // Texts can always be written.
    text(serde_json::to_string(whose).unwrap_or_default())
}

/// The version of what is written here. Of a part that has another one all is told, and such an incident is none.
const VERSION: i64 = 1;

/// What a part is claimed by.
pub const CLAIMED_BY: [&str; 3] = ["holder", "lease", "tries"];

/// What an incident that can't be read is replaced by: whoever opens one or adds to one changes these.
pub const REPLACED_BY: [&str; 3] = ["incident", "opener", "latest"];

/// The item of a part whose delivery has so many pieces.
pub fn part(part: &Part, chunks: u16) -> Item {
    let mut item = part_key(part.key);
    item.extend([
        ("version".to_owned(), number(VERSION)),
        ("whose".to_owned(), whose_text(&part.whose)),
        ("closes".to_owned(), AttributeValue::Bool(part.closes)),
        ("due".to_owned(), time(part.due)),
        ("lease".to_owned(), time(part.lease)),
        ("holder".to_owned(), owner(part.owner)),
        ("tries".to_owned(), number(part.tries.into())),
        ("chunks".to_owned(), number(i64::from(chunks))),
    ]);
    if let Some(opened) = part.opened {
        item.insert("opened".to_owned(), time(opened));
    }
    if let Some(id) = part.incident {
        item.insert("incident".to_owned(), text(hex(&id.to_bytes())));
    }
    item
}

fn get_text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub fn get_number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn get_time(item: &Item, name: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(get_number(item, name)?).ok()
}

fn get_whose(item: &Item) -> Option<Whose> {
    serde_json::from_str(get_text(item, "whose")?).ok()
}

fn get_id(item: &Item, name: &str) -> Option<IncidentId> {
    Some(IncidentId::from_bytes(bytes(get_text(item, name)?)?))
}

/// What a part is called that has this name in the table: what it says, or, where that is no part's, a hash of it, so that
/// it is told and deleted as any other is.
pub fn named(sk: &str) -> PartKey {
    PartKey(bytes(sk).unwrap_or_else(|| Sha256::digest(sk).into()))
}

/// A part, as far as it can be read: of what can't be, all of the delivery is told, and now. Nothing if it is no part.
pub fn read_part(item: &Item) -> Option<Part> {
    let key = named(get_text(item, "sk")?);
    let whose = get_whose(item);
    let (due, lease) = (get_time(item, "due"), get_time(item, "lease"));
    let is_whole = !is_own(item) || whose.is_none() || due.is_none() || lease.is_none();
    let incident = get_id(item, "incident").filter(|_| !is_whole);
    // What closes an incident closes the one that it names. Of one that names none it is told that it can't be read.
    let closes = incident.is_some() && item.get("closes").is_some_and(|closes| closes.as_bool() == Ok(&true));
    Some(Part {
        key,
        whose: whose.unwrap_or(Whose::Unreadable),
        closes,
        opened: get_time(item, "opened"),
        incident,
        due: due.filter(|_| !is_whole).unwrap_or(Timestamp::UNIX_EPOCH),
        lease: lease.unwrap_or(Timestamp::UNIX_EPOCH),
        owner: get_text(item, "holder").and_then(|holder| u64::from_str_radix(holder, 16).ok()).map_or(Owner(0), Owner),
        tries: get_number(item, "tries").and_then(|tries| u32::try_from(tries).ok()).unwrap_or_default(),
        whole: is_whole,
    })
}

/// Whether an item has the version that is written here.
fn is_own(item: &Item) -> bool {
    get_number(item, "version") == Some(VERSION)
}

pub fn current(current: &Current) -> Item {
    let mut item = current_key(&current.whose);
    item.extend([
        ("version".to_owned(), number(VERSION)),
        ("whose".to_owned(), whose_text(&current.whose)),
        ("incident".to_owned(), text(hex(&current.id.to_bytes()))),
        ("opener".to_owned(), text(hex(&current.first.0))),
        ("opened".to_owned(), time(current.opened)),
        ("latest".to_owned(), time(current.last)),
    ]);
    item
}

/// An open incident; nothing if it can't be read, so that another one is opened in its place.
pub fn read_current(item: &Item) -> Option<Current> {
    let whose = get_whose(item).filter(|whose| is_own(item) && item.get("sk") == current_key(whose).get("sk"))?;
    Some(Current {
        whose,
        id: get_id(item, "incident")?,
        first: PartKey(bytes(get_text(item, "opener")?)?),
        opened: get_time(item, "opened")?,
        last: get_time(item, "latest")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::call::as_found;
    use super::*;

    fn a_part() -> Part {
        Part {
            key: PartKey([7; 32]),
            whose: Whose::Other { account: "111122223333".to_owned(), issuer: "arn:aws:iam::1:role/é".to_owned() },
            closes: true,
            opened: Timestamp::from_millisecond(1_794_000_000_000).ok(),
            incident: Some(IncidentId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8])),
            due: Timestamp::from_millisecond(1_795_000_000_123).unwrap(),
            lease: Timestamp::UNIX_EPOCH,
            owner: Owner(u64::MAX),
            tries: 3,
            whole: false,
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let stored = a_part();
        assert_eq!(read_part(&part(&stored, 1)), Some(stored));
        let open = Current {
            whose: Whose::FailedSignIns,
            id: IncidentId::from_bytes([9; 8]),
            first: PartKey([3; 32]),
            opened: Timestamp::from_millisecond(5).unwrap(),
            last: Timestamp::from_millisecond(6).unwrap(),
        };
        assert_eq!(read_current(&current(&open)), Some(open));
    }

    #[test]
    fn of_a_part_of_another_version_all_is_told_now() {
        for (name, value) in
            [("whose", text("{\"tribe\":1}")), ("due", text("soon")), ("lease", AttributeValue::N("1e400".to_owned()))]
        {
            let mut item = part(&a_part(), 1);
            item.insert(name.to_owned(), value);
            let read = read_part(&item).unwrap();
            assert!(read.whole && read.incident.is_none() && read.due == Timestamp::UNIX_EPOCH, "{name}");
            assert_eq!(read.key, a_part().key);
        }
    }

    #[test]
    fn whatever_is_stored_of_a_part_is_read_and_claimed_as_it_is() {
        let odd = |name: &str, value: Option<AttributeValue>| {
            let mut item = part(&a_part(), 1);
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            item
        };
        let n = |number: &str| Some(AttributeValue::N(number.to_owned()));
        for (name, value) in [
            ("holder", None),
            ("holder", Some(text("FF"))),
            ("holder", n("7")),
            ("tries", None),
            ("tries", n("1e50")),
            ("lease", n("1.5")),
            ("lease", n("1e100")),
            ("lease", None),
            ("version", n("2")),
            ("sk", Some(text("nonsense"))),
            ("sk", Some(text("0A".repeat(32)))),
        ] {
            let item = odd(name, value.clone());
            let read = read_part(&item).unwrap();
            // What is stored under another name than the part's own is another one.
            assert_eq!(hex(&read.key.0) == get_text(&item, "sk").unwrap(), name != "sk", "{name} {value:?}");
            let condition = as_found(&item, &CLAIMED_BY);
            let (condition, values) = condition.parts();
            for name in CLAIMED_BY {
                let lacks = condition.contains(&format!("attribute_not_exists({name})"));
                let found = values.get(&format!(":found_{name}"));
                assert_eq!((lacks, found), (!item.contains_key(name), item.get(name)), "{name}: {condition}");
            }
        }
    }

    #[test]
    fn what_closes_an_incident_that_it_does_not_name_is_told_as_what_cannot_be_read() {
        for (name, value) in [("lease", AttributeValue::N("1.5".to_owned())), ("incident", text("later"))] {
            let mut item = part(&a_part(), 0);
            assert!(read_part(&item).unwrap().closes);
            item.insert(name.to_owned(), value);
            assert!(!read_part(&item).unwrap().closes, "{name}");
        }
    }

    #[test]
    fn an_incident_of_another_version_or_under_another_name_is_none() {
        let open = current(&Current {
            whose: Whose::FailedSignIns,
            id: IncidentId::from_bytes([0xab; 8]),
            first: PartKey([3; 32]),
            opened: Timestamp::from_millisecond(5).unwrap(),
            last: Timestamp::from_millisecond(6).unwrap(),
        });
        assert!(read_current(&open).is_some());
        for (name, value) in [
            ("version", number(2)),
            ("sk", text("other")),
            ("incident", text("AB".repeat(8))),
            ("latest", AttributeValue::N("6.5".to_owned())),
        ] {
            let mut item = open.clone();
            item.insert(name.to_owned(), value);
            assert_eq!(read_current(&item), None, "{name}");
        }
    }

    #[test]
    fn a_delivery_comes_apart_between_letters() {
        let event = "é".repeat(CHUNK_MAX);
        let chunks = chunks(&event);
        assert_eq!((chunks.len(), chunks.concat()), (2 + usize::from(CHUNK_MAX % 2 == 1), event));
    }
}
