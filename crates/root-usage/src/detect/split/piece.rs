//! What a stream of JSON is split into.

/// What is found, and where it begins in the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole object or array that stands where a record should.
    Value {
        /// All of it.
        text: &'a [u8],
        /// Its place, in bytes.
        at: usize,
        /// It stands in nothing.
        bare: bool,
        /// A `\u` may be in it.
        escapes: bool,
    },
    /// A JSON string that stands where a record should.
    Text {
        /// All of it, with its quotation marks.
        text: &'a [u8],
        /// Its place, in bytes.
        at: usize,
        /// It stands in nothing.
        bare: bool,
    },
    /// The object that the elements before it stand in, with its arrays emptied.
    Around {
        /// All of it but the elements.
        text: &'a [u8],
        /// The place of what follows the last of the arrays, in bytes.
        at: usize,
    },
    /// Something is not as it should be, and reading goes on behind it.
    Flaw {
        /// What is wrong.
        flaw: Flaw,
        /// Its place, in bytes.
        at: usize,
        /// It stands in nothing.
        bare: bool,
    },
}

/// What is wrong with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Between the records is something that is not JSON, or a number.
    Stray,
    /// A bracket closes that was never opened, or is of the wrong kind.
    Bracket,
    /// The stream ends inside a record, an array or a text.
    BreaksOff,
    /// A record is longer than anybody keeps in memory.
    TooLong,
}

impl Flaw {
    /// What is wrong, for a reader.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stray => "something between the records is not a JSON object",
            Self::Bracket => "a bracket closes that was never opened",
            Self::BreaksOff => "it breaks off inside a record or array",
            Self::TooLong => "a record is too long to be kept in memory (16 MiB)",
        }
    }
}
