//! Finds the records in a stream of JSON without parsing any of them.
//!
//! Records stand one after the other, in an array, or in an object's array `Records`, as in CloudTrail's files. Which
//! bracket closes which is decided by quotation marks and escapes, as JSON has it, so nothing that somebody wrote into
//! a record can end it. Blocks of 64 bytes are looked at as bits: a bracket inside a text costs nothing.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// What is found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole object or array that stands where a record should.
    Record {
        text: &'a [u8],
        /// It stands in nothing.
        bare: bool,
        /// A backslash may be in it.
        escapes: bool,
    },
    /// Something is not as it should be, and reading goes on behind it.
    Fault(Fault),
}

/// What is wrong with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Between the records is something that is no object.
    Stray,
    /// A bracket closes that was never opened, or is of the wrong kind.
    Bracket,
    /// The stream ends inside a record, an array or a text.
    BreaksOff,
    /// A record is longer than anybody keeps in memory.
    TooLong,
}

impl Fault {
    /// What is wrong, for a reader.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stray => "something between the records is no JSON object",
            Self::Bracket => "a bracket closes that was never opened",
            Self::BreaksOff => "it breaks off inside a record or array",
            Self::TooLong => "a record is too long to be kept in memory",
        }
    }
}

/// Where in the stream's structure reading is. Positions are those in the buffer that the caller keeps.
#[derive(Debug, Default)]
pub struct Splitter {
    /// How many objects and arrays are open.
    depth: usize,
    /// Up to this depth, each bracket may begin or end a record, or open an array `Records`.
    floor: usize,
    /// Records stand in an array.
    array: bool,
    /// Records stand in an object's array `Records`.
    wrapped: bool,
    /// All ones inside a text.
    text: u64,
    /// One if the next byte is escaped.
    escaped: u64,
    /// Behind the last block that has a backslash.
    backslash: usize,
    /// Up to where the buffer was looked at.
    scanned: usize,
    /// Where the record began that is open, or what follows an array `Records` in its object.
    start: Option<usize>,
    /// It is the latter.
    rest: bool,
    /// Up to where everything is dealt with, if no record is open.
    free: usize,
}

/// One bit for each byte of a block.
struct Bits {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
}

impl Bits {
    #[inline(always)]
    fn of<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        // `[` and `{` differ in this bit only, and so do `]` and `}`.
        let folded = bytes | u8x64::splat(simd, 0x20);
        Self {
            quote: bytes.simd_eq(u8x64::splat(simd, b'"')).to_bitmask(),
            backslash: bytes.simd_eq(u8x64::splat(simd, b'\\')).to_bitmask(),
            open: folded.simd_eq(u8x64::splat(simd, b'{')).to_bitmask(),
            close: folded.simd_eq(u8x64::splat(simd, b'}')).to_bitmask(),
        }
    }
}

impl Splitter {
    /// The depth at which records begin.
    fn level(&self) -> usize {
        usize::from(self.array) + 2 * usize::from(self.wrapped)
    }

    /// Whether records stand one after the other, in nothing.
    pub fn is_bare(&self) -> bool {
        self.level() == 0
    }

    /// From where on the buffer has to be kept.
    pub fn kept(&self) -> usize {
        self.start.unwrap_or(self.free)
    }

    /// The buffer has lost its first bytes, none of which had to be kept.
    pub fn shift(&mut self, bytes: usize) {
        self.scanned -= bytes;
        self.backslash = self.backslash.saturating_sub(bytes);
        self.free -= bytes;
        self.start = self.start.map(|start| start - bytes);
    }

    /// Gives up the record that is open: it is counted as a fault, and reading goes on behind it.
    pub fn give_up(&mut self) {
        self.start = None;
        self.rest = false;
        self.free = self.scanned;
    }

    /// Looks at what is new in the buffer; at the `end` of the stream, at all of it.
    ///
    /// `each` says whether it can do with a record. If not, and the record stands in nothing, reading ends before it.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where records stand in nothing: from [`kept`](Self::kept) on this is no stream of records.
    pub fn scan(&mut self, buffer: &[u8], end: bool, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        // With the instructions that this processor has: what is inlined here is compiled for each set of them.
        dispatch!(Level::new(), simd => self.blocks(simd, buffer, end, each))
    }

    #[inline(always)]
    fn blocks<S: Simd>(
        &mut self,
        simd: S,
        buffer: &[u8],
        end: bool,
        each: &mut impl FnMut(Piece<'_>) -> bool,
    ) -> Result<(), Fault> {
        let (blocks, rest) = buffer[self.scanned..].as_chunks::<BLOCK>();
        for block in blocks {
            self.block(simd, buffer, block, each)?;
        }
        if end {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            self.block(simd, buffer, &block, each)?;
            self.scanned = buffer.len();
        }
        if self.depth == self.level() {
            self.gap(buffer, self.scanned, each)?;
        } else if self.start.is_none() {
            self.free = self.scanned;
        }
        if end && (self.depth > 0 || self.text != 0) {
            self.fault(Fault::BreaksOff, each)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        simd: S,
        buffer: &[u8],
        block: &[u8; BLOCK],
        each: &mut impl FnMut(Piece<'_>) -> bool,
    ) -> Result<(), Fault> {
        let Bits { mut quote, backslash, mut open, mut close } = Bits::of(simd, block);
        if backslash | self.escaped != 0 {
            self.backslash = self.scanned + BLOCK;
            quote &= !self.escapes(backslash);
        }
        // Each quotation mark turns over every bit from its own on.
        let mut text = quote;
        for distance in [1, 2, 4, 8, 16, 32] {
            text ^= text << distance;
        }
        text ^= self.text;
        self.text = if text >> 63 == 1 { u64::MAX } else { 0 };
        open &= !text;
        close &= !text;
        if open | close != 0 {
            let closing = close.count_ones() as usize;
            // Where no record can begin or end and no array `Records` can open, counting is enough.
            if self.depth > self.floor + closing {
                self.depth = self.depth + open.count_ones() as usize - closing;
            } else {
                self.brackets(buffer, open, close, each)?;
            }
        }
        self.scanned += BLOCK;
        Ok(())
    }

    /// Looks at the brackets of a block one by one.
    #[inline(never)]
    fn brackets(
        &mut self,
        buffer: &[u8],
        open: u64,
        close: u64,
        each: &mut impl FnMut(Piece<'_>) -> bool,
    ) -> Result<(), Fault> {
        let mut brackets = open | close;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            brackets ^= bit;
            let at = self.scanned + bit.trailing_zeros() as usize;
            if open & bit != 0 {
                self.opened(buffer, at, each)?;
            } else {
                self.closed(buffer, at, each)?;
            }
        }
        self.floor = self.level() + usize::from(!self.wrapped);
        Ok(())
    }

    /// The bytes that a backslash stands before.
    fn escapes(&mut self, backslash: u64) -> u64 {
        let mut escapes = self.escaped;
        let mut left = backslash & !self.escaped;
        self.escaped = 0;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            // What it escapes, and if that is a backslash, it escapes nothing.
            let next = bit << 1;
            escapes |= next;
            left &= !(bit | next);
            self.escaped = u64::from(next == 0);
        }
        escapes
    }

    #[inline]
    fn opened(&mut self, buffer: &[u8], at: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        let level = self.level();
        if self.depth == level {
            self.gap(buffer, at, each)?;
            if level == 0 && buffer[at] == b'[' {
                self.array = true;
                self.free = at + 1;
            } else {
                self.start = Some(at);
            }
        } else if self.depth == level + 1
            && !self.wrapped
            && buffer[at] == b'['
            && let Some(start) = self.start
            && names_records(&buffer[start..at])
        {
            self.around(&buffer[start..=at], b"]}", each)?;
            self.wrapped = true;
            self.rest = false;
            self.start = None;
            self.free = at + 1;
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn closed(&mut self, buffer: &[u8], at: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        let level = self.level();
        if self.depth == level {
            self.gap(buffer, at, each)?;
            if level == 0 || buffer[at] == b'}' {
                self.fault(Fault::Bracket, each)?;
            }
            self.free = at + 1;
            self.depth = self.depth.saturating_sub(1);
            if self.wrapped {
                self.wrapped = false;
                self.rest = true;
                self.start = Some(at + 1);
            } else {
                self.array = false;
            }
            return Ok(());
        }
        self.depth -= 1;
        if self.depth == level {
            if self.rest
                && let Some(start) = self.start
            {
                self.around(&buffer[start..=at], b"", each)?;
            } else if let Some(start) = self.start {
                let (text, bare) = (&buffer[start..=at], level == 0);
                if !each(Piece::Record { text, bare, escapes: self.backslash > start }) && bare {
                    return Err(Fault::Stray);
                }
            }
            self.start = None;
            self.rest = false;
            self.free = at + 1;
        }
        Ok(())
    }

    /// Looks at what stands around an array `Records` in its object, which may be no JSON.
    fn around(&self, part: &[u8], end: &[u8], each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        let begin: &[u8] = if self.rest { b"{\"\":[]" } else { b"" };
        let whole = [begin, part, end].concat();
        let valid = serde_json::from_slice::<serde::de::IgnoredAny>(&whole).is_ok();
        if valid { Ok(()) } else { self.fault(Fault::Stray, each) }
    }

    /// Deals with what stands between records, up to `end`.
    #[inline]
    fn gap(&mut self, buffer: &[u8], end: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        let nothing = |byte: &u8| b" \t\r\n,".contains(byte);
        let stray = self.start.is_none() && self.free < end && !buffer[self.free..end].iter().all(nothing);
        if stray {
            self.fault(Fault::Stray, each)?;
        }
        self.free = self.free.max(end);
        Ok(())
    }

    fn fault(&self, fault: Fault, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Fault> {
        if self.is_bare() {
            return Err(fault);
        }
        each(Piece::Fault(fault));
        Ok(())
    }
}

/// Whether an object's text up to here ends with the name of its array of records.
fn names_records(before: &[u8]) -> bool {
    let name = before.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
    let before = name.and_then(|name| name.strip_suffix(b"\"Records\"")).map(<[u8]>::trim_ascii_end);
    before.is_some_and(|before| before.ends_with(b"{") || before.ends_with(b","))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a stream that comes in portions, and how it ends.
    fn split(stream: &str, portion: usize) -> (Vec<String>, Vec<Fault>, Option<Fault>) {
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        let mut splitter = Splitter::default();
        let mut buffer = Vec::new();
        let mut each = |piece: Piece<'_>| {
            match piece {
                Piece::Record { text, escapes, .. } => {
                    assert!(escapes || !text.contains(&b'\\'));
                    records.push(String::from_utf8_lossy(text).into_owned());
                }
                Piece::Fault(fault) => faults.push(fault),
            }
            true
        };
        let mut result = Ok(());
        for part in stream.as_bytes().chunks(portion) {
            buffer.extend_from_slice(part);
            result = result.and_then(|()| splitter.scan(&buffer, false, &mut each));
            let kept = splitter.kept();
            buffer.drain(..kept);
            splitter.shift(kept);
        }
        let end = result.and_then(|()| splitter.scan(&buffer, true, &mut each)).err();
        (records, faults, end)
    }

    #[test]
    fn records_are_found_wherever_they_stand() {
        let a = r#"{"a":"}{][\"\\","b":[[1],{"Records":[2]}]}"#;
        let b = r#"{"x\"Records":[{"c":1}],"d":",\"Records\":["}"#;
        for stream in [
            format!("{a}{b}"),
            format!("{a}\n{b}\n"),
            format!(" [\n {a} , {b}]\n"),
            format!(r#"{{"Records":[{a},{b}]}}"#),
            format!(r#"{{"Records":[{a}]}}{{"Records":[{b}]}}"#),
            format!(r#"{{"x":[1,{{}}],"Records" : [ {a}, {b} ] , "y":["Records"]}}"#),
            format!(r#"[{{"Records":[{a}]}},{b}]"#),
            format!(r#"[{a}][] [{b}]{{"Records":[]}}"#),
        ] {
            for portion in [1, 7, 63, 64, 65, 1000] {
                let (records, faults, end) = split(&stream, portion);
                assert_eq!((faults, end), (vec![], None), "{stream}");
                assert_eq!(records, [a, b], "{stream}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        use Fault::{Bracket, BreaksOff, Stray};
        for (stream, records, faults, end) in [
            ("", 0, &[][..], None),
            ("text", 0, &[], Some(Stray)),
            ("{} x {}", 1, &[], Some(Stray)),
            ("{}}", 1, &[], Some(Bracket)),
            ("{\"a\":1", 0, &[], Some(BreaksOff)),
            ("\"", 0, &[], Some(Stray)),
            ("[{},1,{}]", 2, &[Stray], None),
            ("[{},{\"a\":\"", 1, &[BreaksOff], None),
            ("{\"Records\":[{},{}", 2, &[BreaksOff], None),
            ("{\"Records\":[{}}{}", 1, &[Bracket], Some(BreaksOff)),
            ("{\"Records\":[]{,{}]}", 0, &[], Some(Stray)),
            ("{x,\"Records\":[{}]}", 0, &[], Some(Stray)),
            ("[{\"Records\":[{}],x}]", 1, &[Stray], None),
        ] {
            for portion in [1, 64, 1000] {
                let (found, told, ended) = split(stream, portion);
                assert_eq!((found.len(), &told[..], ended), (records, faults, end), "{stream}");
            }
        }
    }

    #[test]
    fn backslashes_count_across_blocks() {
        for length in 50..80 {
            for end in [r#"\\"#, r#"\\\""#, r#"\\\\\\"#] {
                let a = format!("{{\"a\":\"{}{end}\"}}", "x".repeat(length));
                let (records, faults, stop) = split(&format!("{a}{{\"b\":\"}}\"}}"), 1000);
                assert_eq!((records.len(), faults.len(), stop), (2, 0, None), "{a}");
                assert_eq!(records[0], a);
            }
        }
    }
}
