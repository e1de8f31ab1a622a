//! What a stream of JSON is split into.

/// What is found, and where it begins in the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole object or array that stands where a record should.
    Value {
        text: &'a [u8],
        at: usize,
        /// It stands in nothing.
        bare: bool,
        /// A backslash may be in it.
        escapes: bool,
    },
    /// A JSON string, with its quotation marks, that stands where a record should.
    Text { text: &'a [u8], at: usize, bare: bool },
    /// The object that the elements before it stand in, with its arrays emptied.
    Around { text: &'a [u8], at: usize },
    /// Something is not as it should be, and reading goes on behind it.
    Fault { fault: Fault, at: usize },
}

/// What is wrong with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Between the records is something that is not JSON, or a number.
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
            Self::Stray => "something between the records is not a JSON object",
            Self::Bracket => "a bracket closes that was never opened",
            Self::BreaksOff => "it breaks off inside a record or array",
            Self::TooLong => "a record is too long to be kept in memory (16 MiB)",
        }
    }
}
