//! Publishing: an alert in the form that is taken, and what is critical to the pager, after the mail.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Deadlines, Form, Handler, HandlerError, Run};
use crate::alert::Alert;
use crate::directory::Directory;
use crate::email::{Chapter, Message, Short};
use crate::error::chain;
use crate::fault::{caught, caught_async};
use crate::history::{Answers, History};
use crate::ledger::Ledger;
use crate::notify::{Notify, Receipt, Refusal, Remedy};

/// The longest that all pages of an invocation may take together. With a pager that doesn't answer, the other mails of the
/// same invocation still have their time.
pub(super) const PAGING: Duration = Duration::from_secs(4);

/// What is left of an invocation's time after a page, for the ledger to remember the mail.
const REMEMBERING: Duration = Duration::from_secs(2);

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Publishes an alert; if there is no time to write it out, or if that message will never be taken, in a form that is
    /// short and sure to be.
    pub(super) async fn publish_alert(
        &self,
        run: &mut Run<'_>,
        alert: &Alert,
        answers: &Answers,
        chapter: Option<&Chapter>,
    ) -> Result<Form, HandlerError<N::Error>> {
        let (why, error) = match self.write(alert, answers, chapter, run.deadlines) {
            Ok(message) => match self.publish(run, &message).await {
                Err(HandlerError::Notify(error)) if error.remedy() == Remedy::Rephrase => {
                    (Short::Refused, chain(&error))
                }
                result => return result.map(|()| Form::Whole),
            },
            Err(short) => short,
        };
        let (request_id, alert_id) = (run.request_id, alert.id.to_string());
        tracing::error!(request_id, alert_id, error, "the alert is sent in its short form");
        let short = Message::short(alert, &answers.names, why, chapter, &self.config.style);
        let result = match self.publish(run, &short).await {
            // What nobody refuses: the same text for all.
            Err(HandlerError::Notify(error)) if error.remedy() == Remedy::Rephrase && short.chat.is_some() => {
                self.publish(run, &Message { chat: None, ..short }).await
            }
            result => result,
        };
        result.map(|()| Form::Short)
    }

    /// Writes an alert out, or says why that can't be.
    fn write(
        &self,
        alert: &Alert,
        answers: &Answers,
        chapter: Option<&Chapter>,
        deadlines: Deadlines,
    ) -> Result<Message, (Short, String)> {
        let in_time = || (self.clock)() < deadlines.writing;
        let late = || (Short::Time, "there is no time to write it out".to_owned());
        if !in_time() {
            return Err(late());
        }
        let fits = |message: &Message| self.notify.fits(message);
        match caught(|| Message::within(alert, answers, chapter, &self.config.style, fits, in_time)) {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(late()),
            Ok(Err(error)) => Err((Short::Fault, chain(&error))),
            Err(fault) => Err((Short::Fault, fault.to_string())),
        }
    }

    /// Publishes a message, and gives up while there is time to say so.
    pub(super) async fn publish(&self, run: &mut Run<'_>, message: &Message) -> Result<(), HandlerError<N::Error>> {
        let result = match timeout_at(run.deadlines.publishing, self.notify.publish(message)).await {
            Ok(result) => result.map_err(HandlerError::Notify),
            Err(_) => Err(HandlerError::Time),
        };
        match result {
            Ok(Receipt { message_id }) => {
                run.report.mails += 1;
                run.report.message_id = Some(message_id);
                self.page(run, message).await;
                Ok(())
            }
            Err(error) => {
                run.report.publish_failures += 1;
                Err(error)
            }
        }
    }

    /// Tells the pager of a message that was mailed, if it is one to be woken for. A failure is counted and logged, and fails
    /// nothing: the mail is out.
    async fn page(&self, run: &mut Run<'_>, message: &Message) {
        let Some(pager) = self.pager.as_ref().filter(|_| message.attributes.is_urgent()) else { return };
        let began = Instant::now();
        let last = run.deadlines.publishing.checked_sub(REMEMBERING).unwrap_or(began);
        let deadline = last.min(began + run.paging);
        let error = if deadline <= began {
            Some("there was no time left for it".to_owned())
        } else {
            match timeout_at(deadline, caught_async(pager.publish(message))).await {
                Ok(Ok(Ok(_))) => None,
                Ok(Ok(Err(error))) => Some(chain(&error)),
                Ok(Err(fault)) => Some(fault.to_string()),
                Err(_) => Some("there was no answer in time".to_owned()),
            }
        };
        run.paging = run.paging.saturating_sub(began.elapsed());
        match error {
            None => run.report.pages += 1,
            Some(error) => {
                run.report.pager_failures += 1;
                tracing::error!(request_id = run.request_id, error, "the pager was not told of what was mailed");
            }
        }
    }
}
