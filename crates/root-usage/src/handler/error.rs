//! How an invocation fails.

use std::error::Error;

use thiserror::Error;

use crate::batch::BatchError;
use crate::error::chain;
use crate::fault::Fault;
use crate::notify::Refusal;

/// Why an invocation failed. Lambda tries it again, and then puts the event into the dead-letter queue.
#[derive(Debug, Error)]
pub enum HandlerError<E: Error + 'static> {
    /// The event can't be read.
    #[error("the event could not be read")]
    Batch(#[from] BatchError),
    /// The mail can't be sent.
    #[error("the mail could not be sent")]
    Notify(#[source] E),
    /// There was no time left to read all log events, or to wait for the answer about a mail that may have been sent.
    #[error("the function's time is over: log events were not read, or a mail was not answered")]
    Time,
    /// What anyone can cause without end was told a while ago, and without the ledger the rest of it can't be kept.
    #[error("too much of this was told a short while ago, and the ledger that would keep the rest fails")]
    Limited,
    /// This program has a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<E: Refusal> HandlerError<E> {
    /// Whether a mail may have arrived all the same.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Time => true,
            Self::Notify(error) => error.may_have_arrived(),
            Self::Batch(_) | Self::Limited | Self::Fault(_) => false,
        }
    }
}

impl<E: Error + 'static> HandlerError<E> {
    /// What kind of error it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Batch(_) => "BatchError",
            Self::Notify(_) => "NotifyError",
            Self::Time => "TimeError",
            Self::Limited => "LimitError",
            Self::Fault(_) => "Fault",
        }
    }

    /// The error and everything that caused it, for a reader.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}
