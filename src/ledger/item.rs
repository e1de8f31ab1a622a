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

pub fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
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
    key(format!("R#{}", hex(&part.0)), format!("{chunk:03}"))
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

/// The item of a part whose delivery has so many pieces.
pub fn part(part: &Part, chunks: u16) -> Item {
    let mut item = part_key(part.key);
    item.extend([
        ("version".to_owned(), number(1)),
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

/// A part, as far as it can be read: of what can't be, all of the delivery is told, and now. Nothing if it has not even a
/// name.
pub fn read_part(item: &Item) -> Option<Part> {
    let key = PartKey(bytes(get_text(item, "sk")?)?);
    let whose = get_whose(item);
    let (due, lease) = (get_time(item, "due"), get_time(item, "lease"));
    let is_whole = whose.is_none() || due.is_none() || lease.is_none();
    Some(Part {
        key,
        whose: whose.unwrap_or(Whose::Unreadable),
        closes: item.get("closes").is_some_and(|closes| closes.as_bool() == Ok(&true)),
        opened: get_time(item, "opened"),
        incident: get_id(item, "incident").filter(|_| !is_whole),
        due: due.filter(|_| !is_whole).unwrap_or(Timestamp::UNIX_EPOCH),
        lease: lease.unwrap_or(Timestamp::UNIX_EPOCH),
        owner: get_text(item, "holder").and_then(|holder| u64::from_str_radix(holder, 16).ok()).map_or(Owner(0), Owner),
        tries: get_number(item, "tries").and_then(|tries| u32::try_from(tries).ok()).unwrap_or_default(),
        whole: is_whole,
    })
}

pub fn current(current: &Current) -> Item {
    let mut item = current_key(&current.whose);
    item.extend([
        ("version".to_owned(), number(1)),
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
    Some(Current {
        whose: get_whose(item)?,
        id: get_id(item, "incident")?,
        first: PartKey(bytes(get_text(item, "opener")?)?),
        opened: get_time(item, "opened")?,
        last: get_time(item, "latest")?,
    })
}

#[cfg(test)]
mod tests {
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
    fn a_delivery_comes_apart_between_letters() {
        let event = "é".repeat(CHUNK_MAX);
        let chunks = chunks(&event);
        assert_eq!((chunks.len(), chunks.concat()), (2 + usize::from(CHUNK_MAX % 2 == 1), event));
    }
}
