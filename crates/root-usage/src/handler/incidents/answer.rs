//! The ledger's answers: how long they are waited for, and what follows where there is none.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::{Handler, Run};
use crate::directory::Directory;
use crate::error::chain;
use crate::history::History;
use crate::ledger::Ledger;
use crate::notify::Notify;

/// How long the mails of an invocation wait for the ledger, all in all, before they go out; and a question of any other kind.
pub(in super::super) const LEDGER_TIME: Duration = Duration::from_millis(1500);

/// How long the ledger is left alone after it failed.
const LEDGER_RESTS: Duration = Duration::from_secs(60);

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Whether the ledger is left alone: it failed a short while ago.
    pub(super) fn is_resting(&self, run: &Run<'_>) -> bool {
        run.now < *self.ledger_rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the ledger asked again, though it failed a short while ago.
    pub(super) fn wake_ledger(&self) {
        *self.ledger_rests.lock().unwrap_or_else(PoisonError::into_inner) = Timestamp::MIN;
    }

    /// What the ledger answers in time; nothing while it is left alone.
    pub(super) async fn ask_ledger<T>(
        &self,
        run: &mut Run<'_>,
        call: impl Future<Output = Result<T, L::Error>>,
    ) -> Option<T> {
        let answer = if self.is_resting(run) { None } else { Some(timeout(LEDGER_TIME, call).await) };
        self.answered(run, answer)
    }

    /// What the ledger answers before a mail that somebody waits for: all such questions of an invocation have one time.
    pub(super) async fn ask_before_mail<T>(
        &self,
        run: &mut Run<'_>,
        call: impl Future<Output = Result<T, L::Error>>,
    ) -> Option<T> {
        let began = Instant::now();
        let answer = if self.is_resting(run) { None } else { Some(timeout(run.ledger, call).await) };
        run.ledger = run.ledger.saturating_sub(began.elapsed());
        self.answered(run, answer)
    }

    /// What is read again, much of which is our own work, until then. That it takes long is no fault of the ledger's.
    pub(super) async fn ask_until<T>(
        &self,
        run: &mut Run<'_>,
        deadline: Instant,
        call: impl Future<Output = Result<T, L::Error>>,
    ) -> Option<T> {
        if self.is_resting(run) {
            return None;
        }
        match timeout_at(deadline, call).await {
            Ok(answer) => self.answered(run, Some(Ok(answer))),
            Err(_) => {
                tracing::warn!(request_id = run.request_id, "there was no time to read again what the ledger has");
                None
            }
        }
    }

    /// What the ledger answered, if it was asked and did so in time. A failure is counted and logged, and it is left alone
    /// for a while.
    pub(super) fn answered<T>(
        &self,
        run: &mut Run<'_>,
        answer: Option<Result<Result<T, L::Error>, Elapsed>>,
    ) -> Option<T> {
        let error = match answer? {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => chain(&error),
            Err(_) => "there was no answer in time".to_owned(),
        };
        let seconds = LEDGER_RESTS.as_secs();
        tracing::error!(request_id = run.request_id, error, "the ledger failed: it is left alone for {seconds} s");
        run.report.ledger_failures += 1;
        let until = run.now.saturating_add(LEDGER_RESTS).unwrap_or(Timestamp::MAX);
        *self.ledger_rests.lock().unwrap_or_else(PoisonError::into_inner) = until;
        None
    }
}
