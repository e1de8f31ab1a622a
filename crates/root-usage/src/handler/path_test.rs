//! The answer to `make test-path`: a call that somebody marked has come all the way from CloudTrail.

use std::error::Error;

use jiff::SignedDuration;

use super::memory::Limited;
use super::{Handler, HandlerError, Run};
use crate::alert::Origin;
use crate::detect::reading::PathTest;
use crate::directory::Directory;
use crate::email::{Message, PathTestMail, marker};
use crate::fault::Fault;
use crate::history::History;
use crate::ledger::Ledger;
use crate::notify::Notify;
use crate::report::PathTested;

/// How old such a call may be: as long as Lambda tries a batch again. What a replay brings is older, and tests nothing.
const RECENT: SignedDuration = SignedDuration::from_hours(6);

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Mails the first of the calls that test the way here, at most one in 15 minutes: anyone with credentials can mark a
    /// call, and is not to flood the topic. Each is in the log, with the mail that told it if there is one.
    pub(super) async fn tell_path_test(
        &self,
        run: &mut Run<'_>,
        origin: Origin,
        tests: &[PathTest],
    ) -> Result<(), HandlerError<N::Error>> {
        let now = run.now;
        let is_recent = |time| now.duration_since(time) <= RECENT;
        let mut tests = tests.iter().filter(|test| test.record.event_time().is_some_and(is_recent));
        let Some(first) = tests.next() else { return Ok(()) };
        let mut message_id = None;
        if self.memory.is_open(&[Limited::PathTest]).await {
            let mail = PathTestMail { test: first, origin: &origin, now };
            match Message::path_test(&mail, &self.config.style) {
                Ok(message) => self.publish(run, &message).await?,
                Err(error) => return Err(Fault::from(&error as &dyn Error).into()),
            }
            self.memory.sent(&[Limited::PathTest]).await;
            message_id.clone_from(&run.report.message_id);
        }
        run.report.path_tests.push(PathTested { marker: marker(&first.record), message_id });
        let others = tests.map(|test| PathTested { marker: marker(&test.record), message_id: None });
        run.report.path_tests.extend(others);
        Ok(())
    }
}
