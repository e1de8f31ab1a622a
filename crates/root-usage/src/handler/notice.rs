//! What is not about a record: batches that can't be read, and tests.

use std::error::Error;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::memory::Limited;
use super::{Handler, HandlerError, Run};
use crate::alert::Origin;
use crate::batch::{Batch, BatchError};
use crate::directory::{Directory, look_up};
use crate::email::{DamagedBatch, Message};
use crate::error::chain;
use crate::fault::Fault;
use crate::history::History;
use crate::ledger::Ledger;
use crate::notify::Notify;

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Mails that a batch can't be read: once for each, and one in a while for all. The invocation fails whatever comes of
    /// this.
    pub(super) async fn tell_damaged(
        &self,
        run: &mut Run<'_>,
        inflated_bytes: usize,
        batch: &Batch<'_>,
        fault: &BatchError,
    ) {
        let key = Sha256::digest(run.event).into();
        if !self.memory.admit_damaged(key).await {
            return;
        }
        let damaged = DamagedBatch {
            origin: Origin::from(&batch.data),
            reason: chain(fault),
            event_bytes: run.event.len(),
            inflated_bytes,
            log_events: batch.others + batch.log_events.len(),
            time: run.now,
        };
        let deadline = run.deadlines.lookups.min(Instant::now() + self.config.names.timeout());
        let names = look_up(&self.directory, std::iter::once(damaged.origin.owner.as_str()), deadline).await;
        let Ok(message) = Message::damaged(&damaged, &names, &self.config.style) else { return };
        match self.publish(run, &message).await {
            Ok(()) => self.memory.told_damaged(key).await,
            Err(error) => {
                tracing::error!(error = error.chain(), "the mail about an unreadable batch could not be sent");
            }
        }
    }

    /// Mails a test, at most one in a minute: whoever may invoke the function is not to flood the topic.
    pub(super) async fn test(&self, run: &mut Run<'_>) -> Result<(), HandlerError<N::Error>> {
        if !self.memory.admit_limited(Limited::Test).await {
            tracing::warn!("a test went out less than a minute ago");
            return Ok(());
        }
        match Message::test(&self.config.style, &self.config.rules, run.now) {
            Ok(message) => self.publish(run, &message).await,
            Err(error) => Err(Fault::from(&error as &dyn Error).into()),
        }
    }
}
