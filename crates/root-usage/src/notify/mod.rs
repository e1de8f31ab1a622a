//! Publishing a message.

pub mod topic;

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use crate::email::Message;
use crate::watch::WatchError;

/// What to do about a message that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again later: throttled, timed out, no connection, a fault on the other side.
    Retry,
    /// Say it in another way: this message will never be taken.
    Rephrase,
    /// Repair the deployment: no message will be taken before that.
    Repair,
}

/// An error that knows what to do about it.
pub trait Refusal: Error + Send + Sync + 'static {
    /// What to do about it.
    fn remedy(&self) -> Remedy;

    /// Whether the message may have been taken all the same, because the answer was lost.
    fn may_have_arrived(&self) -> bool;
}

/// Where messages go.
pub trait Notify {
    /// Why a message could not be published.
    type Error: Refusal;

    /// Whether a message is small enough to be taken.
    fn fits(&self, message: &Message) -> bool;

    /// Publishes a message and says under which id it was taken.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<Receipt, Self::Error>> + Send;

    /// How many confirmed to receive what is published here; `None` where that isn't known.
    ///
    /// # Errors
    ///
    /// A [`WatchError`] if it can't be asked.
    fn readers(&self) -> impl Future<Output = Result<Option<usize>, WatchError>> + Send {
        ready(Ok(None))
    }
}

/// That a message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id that the receiver gave it.
    pub message_id: String,
}

/// Keeps messages instead of sending them: what the `root-usage` command uses.
#[derive(Debug, Default)]
pub struct Outbox {
    messages: Mutex<Vec<Message>>,
}

impl Outbox {
    /// Takes out the messages published so far, oldest first.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Refusal for Infallible {
    fn remedy(&self) -> Remedy {
        match *self {}
    }

    fn may_have_arrived(&self) -> bool {
        match *self {}
    }
}

impl Notify for Outbox {
    type Error = Infallible;

    /// What a topic takes: that is where the function sends them.
    fn fits(&self, message: &Message) -> bool {
        topic::fits(message)
    }

    async fn publish(&self, message: &Message) -> Result<Receipt, Infallible> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message.clone());
        Ok(Receipt { message_id: format!("outbox-{}", messages.len()) })
    }
}
