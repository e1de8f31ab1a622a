//! Finds where each record begins and ends in a stream of JSON, without parsing any of them.
//!
//! Records stand one after the other, in an array, or in an array of an object, as `Records` in CloudTrail's files and
//! `logEvents` in what CloudWatch Logs sends. Which bracket closes which is decided by quotation marks and
//! escapes, as JSON has it, so nothing that somebody wrote into a record can end it. Blocks of 64 bytes are looked at as
//! bits: a bracket inside a text costs nothing.

mod bits;
mod gap;
mod piece;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};

use bits::{BLOCK, Marks, brackets};
pub use gap::is_label;
use gap::{Token, Until, tokens};
pub use piece::{Flaw, Piece};

/// The most bytes that may stand around such arrays in their object: 1 MiB.
const AROUND_MAX: usize = 1 << 20;

/// Where in the stream's structure reading is. Positions are those in the buffer that the caller keeps.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The names of the arrays of an object whose elements are given one by one.
    arrays: &'static [&'static str],
    /// How many objects and arrays are open.
    depth: usize,
    /// Up to this depth, each bracket may begin or end a record, or open one of the arrays.
    floor: usize,
    /// Records stand in an array.
    array: bool,
    /// Records stand in one of an object's arrays.
    wrapped: bool,
    /// That object as far as it was seen, with its arrays emptied.
    around: Vec<u8>,
    /// Whatever is wrong, reading goes on behind it.
    lenient: bool,
    /// All ones inside a text.
    text: u64,
    /// One if the next byte is escaped.
    escaped: u64,
    /// One if the last byte is a backslash, itself escaped or not.
    backslash: u64,
    /// Behind the last block that has a `\u`.
    unicode: usize,
    /// Up to where the buffer was looked at.
    scanned: usize,
    /// Where the record began that is open, or what follows one of the arrays in its object.
    start: Option<usize>,
    /// It is the latter.
    rest: bool,
    /// Up to where everything is dealt with, if no record is open.
    free: usize,
}

impl Splitter {
    /// One that gives the elements of an object's arrays of these names one by one, so that memory does not grow with
    /// them.
    #[must_use]
    pub fn new(arrays: &'static [&'static str]) -> Self {
        Self { arrays, ..Self::default() }
    }

    /// The same for a text that is in memory as a whole: nothing ends its reading, as reading a stream ends where records
    /// that stand in nothing are not JSON.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

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
        self.unicode = self.unicode.saturating_sub(bytes);
        self.free -= bytes;
        self.start = self.start.map(|start| start - bytes);
    }

    /// Gives up the record that is open: it is counted as a flaw, and reading goes on behind it.
    pub fn give_up(&mut self) {
        self.start = None;
        self.rest = false;
        self.around = Vec::new();
        self.free = self.scanned;
    }

    /// Looks at what is new in the buffer; at the `end` of the stream, at all of it.
    ///
    /// `each` says whether it can do with a record. If not, and the record stands in nothing, reading ends before it.
    ///
    /// # Errors
    ///
    /// A [`Flaw`] where records stand in nothing: from [`kept`](Self::kept) on this is no stream of records.
    pub fn scan(&mut self, buffer: &[u8], end: bool, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Flaw> {
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
    ) -> Result<(), Flaw> {
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
            self.gap(buffer, self.scanned, if end { Until::End } else { Until::More }, each)?;
        } else if self.start.is_none() {
            self.free = self.scanned;
        }
        if end && (self.depth > 0 || self.text != 0) {
            self.flaw(Flaw::BreaksOff, self.kept(), each)?;
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
    ) -> Result<(), Flaw> {
        let Marks { mut quote, backslash, u } = Marks::of(simd, block);
        if backslash | self.backslash != 0 {
            if (backslash << 1 | self.backslash) & u != 0 {
                self.unicode = self.scanned + BLOCK;
            }
            quote &= !self.escapes(backslash);
            self.backslash = backslash >> 63;
        }
        // Of log events, nearly all blocks are inside a message, from one end to the other.
        if quote == 0 && self.text != 0 {
            self.scanned += BLOCK;
            return Ok(());
        }
        // Each quotation mark turns over every bit from its own on.
        let mut text = quote;
        for distance in [1, 2, 4, 8, 16, 32] {
            text ^= text << distance;
        }
        text ^= self.text;
        self.text = if text >> 63 == 1 { u64::MAX } else { 0 };
        let (open, close) = brackets(simd, block);
        let (open, close) = (open & !text, close & !text);
        if open | close != 0 {
            let closing = close.count_ones() as usize;
            // Where no record can begin or end and none of the arrays can open, counting is enough.
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
    ) -> Result<(), Flaw> {
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

    /// The bytes that are escaped.
    ///
    /// In a run of backslashes every other one escapes what follows it, the first one first, without a look at each: a
    /// run that begins at an even place is told from one that begins at an odd place by the carry of an addition.
    #[inline(always)]
    fn escapes(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = u64::MAX / 3;
        let runs = backslash & !self.escaped;
        let starts = runs & !(runs << 1);
        let even = runs & !runs.wrapping_add(starts & EVEN);
        let escaping = even & EVEN | (runs ^ even) & !EVEN;
        let escapes = escaping << 1 | self.escaped;
        self.escaped = escaping >> 63;
        escapes
    }

    #[inline]
    fn opened(&mut self, buffer: &[u8], at: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Flaw> {
        let level = self.level();
        if self.depth == level {
            self.gap(buffer, at, Until::Value, each)?;
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
            && (self.rest || buffer[start] == b'{')
            && self.names_array(&buffer[start..at])
        {
            self.keep_around(&buffer[start..=at]);
            self.wrapped = true;
            self.rest = false;
            self.start = None;
            self.free = at + 1;
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn closed(&mut self, buffer: &[u8], at: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Flaw> {
        let level = self.level();
        if self.depth == level {
            self.gap(buffer, at, Until::End, each)?;
            if level == 0 || buffer[at] == b'}' {
                self.flaw(Flaw::Bracket, at, each)?;
            }
            self.free = at + 1;
            self.depth = self.depth.saturating_sub(1);
            if self.wrapped {
                self.wrapped = false;
                self.rest = true;
                self.start = Some(at);
            } else {
                self.array = false;
            }
            return Ok(());
        }
        self.depth -= 1;
        if self.depth == level {
            if let Some(start) = self.start {
                let (text, bare) = (&buffer[start..=at], level == 0);
                if self.rest {
                    self.keep_around(text);
                    let around = std::mem::take(&mut self.around);
                    each(match around.len() {
                        0..=AROUND_MAX => Piece::Around { text: &around, at: start },
                        _ => Piece::Flaw { flaw: Flaw::TooLong, at: start, bare: level == 0 },
                    });
                } else if !each(Piece::Value { text, at: start, bare, escapes: self.unicode > start })
                    && bare
                    && !self.lenient
                {
                    return Err(Flaw::Stray);
                }
            }
            self.start = None;
            self.rest = false;
            self.free = at + 1;
        }
        Ok(())
    }

    /// Keeps what stands around one of the arrays in its object.
    fn keep_around(&mut self, part: &[u8]) {
        if !self.rest {
            self.around.clear();
        }
        if self.around.len() <= AROUND_MAX {
            self.around.extend_from_slice(part);
        }
    }

    /// Deals with what stands between records, up to `end`.
    #[inline]
    fn gap(
        &mut self,
        buffer: &[u8],
        end: usize,
        until: Until,
        each: &mut impl FnMut(Piece<'_>) -> bool,
    ) -> Result<(), Flaw> {
        let nothing = |byte: &u8| b" \t\r\n,".contains(byte);
        if self.start.is_none() && self.free < end && !buffer[self.free..end].iter().all(nothing) {
            return self.strays(buffer, end, until, each);
        }
        self.free = self.free.max(end);
        Ok(())
    }

    #[inline(never)]
    fn strays(
        &mut self,
        buffer: &[u8],
        end: usize,
        until: Until,
        each: &mut impl FnMut(Piece<'_>) -> bool,
    ) -> Result<(), Flaw> {
        let bare = self.is_bare();
        let from = self.free;
        let mut told = false;
        for (at, token) in tokens(&buffer[from..end], bare, until) {
            let at = from + at;
            match token {
                Token::Text(text) => {
                    self.free = at;
                    if !each(Piece::Text { text, at, bare }) && bare && !self.lenient {
                        return Err(Flaw::Stray);
                    }
                }
                Token::Stray if told => {}
                Token::Stray => {
                    told = true;
                    self.flaw(Flaw::Stray, at, each)?;
                }
                Token::Unfinished => {
                    self.free = at;
                    return Ok(());
                }
            }
        }
        self.free = end;
        Ok(())
    }

    fn flaw(&self, flaw: Flaw, at: usize, each: &mut impl FnMut(Piece<'_>) -> bool) -> Result<(), Flaw> {
        if self.is_bare() && !self.lenient {
            return Err(flaw);
        }
        each(Piece::Flaw { flaw, at, bare: self.is_bare() });
        Ok(())
    }

    /// Whether an object's text up to here ends with the name of one of the arrays.
    ///
    /// Not so if it looks like a record: then it is given as a whole, whatever arrays it has.
    fn names_array(&self, before: &[u8]) -> bool {
        let text = before.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        let text = text.and_then(|text| text.strip_suffix(b"\""));
        let Some((text, name)) = text.and_then(|text| Some(text.split_at(memchr::memrchr(b'"', text)?))) else {
            return false;
        };
        let before = text.trim_ascii_end();
        self.arrays.iter().any(|array| array.as_bytes() == &name[1..])
            && (before.ends_with(b"{") || before.ends_with(b","))
            && memchr::memmem::find(before, b"\"userIdentity\"").is_none()
    }

    /// What stands around the arrays of the object that is open, up to the last of them.
    #[must_use]
    pub fn around(&self) -> &[u8] {
        &self.around
    }
}

#[cfg(test)]
mod tests;
