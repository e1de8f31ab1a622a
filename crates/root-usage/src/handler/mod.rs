//! The pipeline: from the event that Lambda hands over to the mail, and a report of what was done.

mod error;
mod heartbeat;
mod incidents;
mod memory;
mod notice;
mod path_test;
mod publish;
mod reading;
mod request;

use std::error::Error;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::alert::{Alert, Origin};
use crate::batch::{Batch, BatchError, Inflated};
use crate::config::Config;
use crate::directory::{Directory, Listed, names};
use crate::fault::caught_async;
use crate::history::{Answers, History, ask};
use crate::incident::Pace;
use crate::ledger::{InMemory, Ledger};
use crate::notify::Notify;
use crate::report::Report;
pub use error::HandlerError;
use incidents::LEDGER_TIME;
use memory::{Key, Limited, Memory};
use publish::PAGING;
pub use reading::key;
use request::Request;

/// What publishing may need of an invocation's time, and what is left of it afterwards.
const PUBLISHING: Duration = Duration::from_secs(20);

/// What must be left of an invocation's time for an alert to be written out; with less it goes out in its short form.
const WRITING: Duration = Duration::from_secs(12);

/// What must be left for more log events to be read. What is not read by then fails the invocation, so Lambda tries again.
const READING: Duration = Duration::from_secs(14);

/// What is left of an invocation's time to say why it fails.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One invocation of the function.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The event, as it arrives.
    pub event: &'a str,
    /// Lambda's id of the request.
    pub request_id: &'a str,
    /// How long the invocation may still take.
    pub time_left: Duration,
    /// What the clock says.
    pub now: Timestamp,
}

/// The pipeline, with what it remembers from one invocation to the next.
pub struct Handler<N, H, D = Listed, L = InMemory> {
    config: Config,
    notify: N,
    /// Where what is critical goes besides.
    pager: Option<N>,
    history: H,
    directory: D,
    memory: Memory,
    /// Where incidents are remembered, and how fast they are told; `None` where each delivery has its own mail.
    incidents: Option<(L, Pace)>,
    /// Until when the ledger is left alone, because it failed.
    ledger_rests: Mutex<Timestamp>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

/// How an invocation ended.
#[derive(Debug)]
pub struct Handled<E: Error + 'static> {
    /// What was done, also before it failed.
    pub report: Report,
    /// [`HandlerError`] if the event can't be read or the mail can't be sent.
    pub result: Result<(), HandlerError<E>>,
    /// It was a heartbeat that came through, or a tick with nothing to do. A metric costs money for each hour that has a
    /// value, and this has none.
    pub quiet: bool,
}

impl<E: Error + 'static> Handled<E> {
    /// What was done, if all was.
    ///
    /// # Errors
    ///
    /// The [`HandlerError`] that it failed with.
    pub fn done(self) -> Result<Report, HandlerError<E>> {
        self.result.map(|()| self.report)
    }
}

/// One invocation, as far as it has got.
struct Run<'a> {
    event: &'a str,
    request_id: &'a str,
    now: Timestamp,
    started: Instant,
    deadlines: Deadlines,
    /// How long pages may still take.
    paging: Duration,
    /// How long mails may still wait for the ledger.
    ledger: Duration,
    report: &'a mut Report,
}

/// How much of an alert a mail told.
#[derive(PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it.
    Whole,
    /// The worst, and nothing of what was held back before.
    Short,
}

/// By when an invocation must have got how far.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    reading: Instant,
    lookups: Instant,
    writing: Instant,
    publishing: Instant,
}

impl<N: Notify, H: History> Handler<N, H> {
    /// The pipeline with this configuration. Accounts' names are those that it lists.
    pub fn new(config: Config, notify: N, history: H) -> Self {
        let directory = config.names.listed();
        let (memory, clock) = (Memory::default(), Box::new(Instant::now));
        let ledger_rests = Mutex::new(Timestamp::MIN);
        Self { config, notify, pager: None, history, directory, memory, incidents: None, ledger_rests, clock }
    }

    /// The same with a pager, which is told what is critical as soon as it is mailed.
    #[must_use]
    pub fn with_pager(self, pager: Option<N>) -> Self {
        Self { pager, ..self }
    }
}

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// The same with accounts' names from elsewhere.
    #[must_use]
    pub fn with_directory<E: Directory>(self, directory: E) -> Handler<N, H, E, L> {
        let Self { config, notify, pager, history, directory: _, memory, incidents, ledger_rests, clock } = self;
        Handler { config, notify, pager, history, directory, memory, incidents, ledger_rests, clock }
    }

    /// The same with incidents, remembered in a ledger and told at this pace. At a pace that is [off](Pace::is_off), each
    /// delivery has a mail of its own, and what the ledger still has is told.
    #[must_use]
    pub fn with_incidents<M: Ledger>(self, ledger: M, pace: Pace) -> Handler<N, H, D, M> {
        self.with_ledger(Some(ledger), pace)
    }

    /// The same where there may be no ledger: then each delivery has a mail of its own.
    #[must_use]
    pub fn with_ledger<M: Ledger>(self, ledger: Option<M>, pace: Pace) -> Handler<N, H, D, M> {
        let Self { config, notify, pager, history, directory, memory, incidents: _, ledger_rests, clock } = self;
        let incidents = ledger.map(|ledger| (ledger, pace));
        Handler { config, notify, pager, history, directory, memory, incidents, ledger_rests, clock }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Where messages go.
    pub fn notify(&self) -> &N {
        &self.notify
    }

    /// Where what is critical goes besides, if anywhere.
    pub fn pager(&self) -> Option<&N> {
        self.pager.as_ref()
    }

    /// Handles one invocation.
    pub async fn handle(&self, Invocation { event, request_id, time_left, now }: Invocation<'_>) -> Handled<N::Error> {
        let started = Instant::now();
        let by = |rest: Duration| started + time_left.saturating_sub(rest);
        // Of an invocation that has little time from the start, half is for reading.
        let deadlines = Deadlines {
            reading: by(READING.min(time_left / 2)),
            lookups: by(PUBLISHING),
            writing: by(WRITING.min(time_left * 2 / 5)),
            publishing: by(LAST_WORDS),
        };
        let request = Request::of(event);
        let mut report = Report::default();
        let run = Run {
            event,
            request_id,
            now,
            started,
            deadlines,
            paging: PAGING,
            ledger: LEDGER_TIME,
            report: &mut report,
        };
        // Boxed: with the SDK's futures inside each other, the compiler's limit for the depth of a type is passed.
        let run: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(self.run(run, request.as_ref()));
        let result = caught_async(run).await.unwrap_or_else(|fault| Err(HandlerError::Fault(fault)));
        let quiet = match request {
            Some(Request::Heartbeat { .. }) => report == Report::default(),
            Some(Request::Tick { .. } | Request::Incidents) => report.says_nothing() && result.is_ok(),
            _ => false,
        };
        Handled { report, result, quiet }
    }

    async fn run(&self, mut run: Run<'_>, request: Option<&Request>) -> Result<(), HandlerError<N::Error>> {
        let result = self.own_work(&mut run, request).await;
        // After it, so that nothing which is due waits because much comes.
        let asked = match request {
            Some(Request::Tick { all }) => (true, *all),
            _ => (false, false),
        };
        let ticked = match (&self.incidents, request) {
            // Whoever asks what waits is told, also while no mail goes out.
            (_, Some(Request::Incidents)) | (None, _) => Ok(()),
            (Some(incidents), _) => self.tick(&mut run, incidents, asked).await,
        };
        result.and(ticked)
    }

    async fn own_work(&self, run: &mut Run<'_>, request: Option<&Request>) -> Result<(), HandlerError<N::Error>> {
        match request {
            Some(Request::Test) => return self.test(run).await,
            Some(Request::Heartbeat { log_group }) => {
                self.heartbeat(run, log_group.as_deref()).await;
                return Ok(());
            }
            Some(Request::Tick { .. }) if self.incidents.is_some() => return Ok(()),
            Some(Request::Incidents) => {
                if let Some(incidents) = &self.incidents {
                    self.list(run, incidents).await;
                }
                return Ok(());
            }
            Some(Request::Tick { .. }) | None => {}
        }
        let inflated = match Inflated::from_event(run.event, self.config.max_batch_bytes) {
            Ok(inflated) => inflated,
            Err(fault @ (BatchError::Empty | BatchError::Envelope(_))) => return Err(fault.into()),
            Err(fault) => {
                self.tell_damaged(run, 0, &Batch::default(), &fault).await;
                return Err(fault.into());
            }
        };
        let mut batch = reading::candidates(&inflated, &self.config.rules);
        run.report.inflated_bytes = inflated.len();
        run.report.ignored = batch.others;
        if batch.is_control_message() {
            run.report.ignored += batch.log_events.len();
        } else {
            self.read(run, &batch, inflated.is_forced()).await?;
        }
        // What could be read is mailed by now; the rest will be unreadable for ever.
        let Some(fault) = batch.fault.take() else { return Ok(()) };
        self.tell_damaged(run, inflated.len(), &batch, &fault).await;
        Err(fault.into())
    }

    /// Reads log events, and mails what there is to tell: as much at once as fits into memory.
    async fn read(&self, run: &mut Run<'_>, batch: &Batch<'_>, forced: bool) -> Result<(), HandlerError<N::Error>> {
        let incidents = self.incidents.as_ref().filter(|(_, pace)| !pace.is_off());
        let mut reading = reading::Batch::new(&batch.log_events, &self.config.rules);
        let mut portion = 0;
        loop {
            let in_time = || (self.clock)() < run.deadlines.reading;
            let mut found = reading.next(run.report, &in_time);
            if incidents.is_none() && !forced {
                let mailed = incidents::lately(self.memory.mailed(&found.keys()).await, run.now);
                found.forget(&mailed, run.report);
            }
            let cut = found.cut;
            let keys = if forced { Vec::new() } else { found.keys() };
            let matches = found.matches.into_iter().map(|(found, _)| found).collect();
            if let Some(alert) = Alert::new(Origin::from(&batch.data), matches, found.unreadable, reading.beside()) {
                // What is cut off here comes with the next try, which has another name for all of it.
                let portion = if cut { usize::MAX - alert.matched() } else { portion };
                match incidents {
                    Some(incidents) => self.arrive(run, alert, (portion, &keys), incidents).await?,
                    None => self.tell(run, alert, &keys).await?,
                }
            }
            portion += 1;
            if cut {
                return Err(HandlerError::Time);
            }
            if reading.is_over() {
                if let Some((ledger, _)) = incidents {
                    self.remember_calls(run, ledger, &reading.calls()).await;
                }
                return self.tell_path_test(run, Origin::from(&batch.data), reading.path_tests()).await;
            }
        }
    }

    /// Mails an alert, or holds it back where too many of its kind come.
    async fn tell(&self, run: &mut Run<'_>, alert: Alert, keys: &[Key]) -> Result<(), HandlerError<N::Error>> {
        run.report.alert_id = Some(alert.id.to_string());
        let limits = Limited::of(&alert);
        let alert = match self.memory.admit(alert, limits.as_deref(), (keys, run.now)).await {
            Ok(alert) => alert,
            Err(held_back) => {
                run.report.held_back += held_back;
                run.report.reported += held_back;
                return Ok(());
            }
        };
        let answers = self.ask(&alert, run.deadlines.lookups).await;
        run.report.history_failures += answers.failures;
        let result = self.publish_alert(run, &alert, &answers, None).await;
        match &result {
            Err(error) if error.may_have_arrived() => self.memory.lost(alert.id).await,
            Err(_) => {}
            // Only what was mailed is remembered: what was not must be found again when Lambda retries.
            Ok(form) => {
                run.report.reported += alert.matched();
                self.memory.told(&alert, form, &limits.unwrap_or_default(), (keys, run.now)).await;
            }
        }
        result.map(|_| ())
    }

    /// Looks up what there is to know about an alert, all at once, while there is time for it.
    async fn ask(&self, alert: &Alert, last: Instant) -> Answers {
        let now = Instant::now();
        let late = (self.clock)() >= last;
        let by = |timeout: Duration| if late { now } else { last.min(now + timeout) };
        let history = async {
            match self.config.history {
                Some(reach) => ask(&self.history, alert, reach, by(reach.timeout)).await,
                None => Answers::default(),
            }
        };
        let names = names(&self.directory, alert, by(self.config.names.timeout()));
        let (history, names) = join(history, names).await;
        history.with_names(names)
    }
}
