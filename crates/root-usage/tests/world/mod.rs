//! A world of several instances, made from a seed.

mod ledger;
mod wrong;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::{InMemory, Ledger, PartKey};
use root_usage::notify::{Notify, Receipt, Refusal, Remedy};

use crate::deeds::{Deed, after, count_anew, delivery};
pub use wrong::{Bug, Fault, Faults};

/// What became of a record.
pub struct Fate {
    pub id: String,
    /// When it was first delivered.
    pub invoked: i64,
    /// How long it may wait.
    pub limit: i64,
    /// When mails told it.
    pub told: Vec<i64>,
    /// Every invocation with it failed, so that it is in the queue.
    pub failed: bool,
}

pub struct Outcome {
    pub records: Vec<Fate>,
    /// Parts that nobody told in the end.
    pub left: usize,
    pub calls: usize,
    /// What went wrong. A call of the ledger that was made twice did not; a mail that was sent twice did.
    pub faults: usize,
    /// By how much the clocks of two instances differ at most.
    pub apart: i64,
    /// Of which incident, and why; in order. What was told without a ledger is of none.
    pub mails: Vec<Option<(String, String)>>,
    pub log: Vec<String>,
}

/// SplitMix64, Vigna 2015: enough to choose with.
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

struct Shared {
    dice: Dice,
    bug: Option<Bug>,
    items: InMemory,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: i64,
    calls: usize,
    /// At which calls something goes wrong.
    faults: Vec<(usize, Fault)>,
    /// How often it did.
    hit: usize,
    /// The invocation that is polled has to be dropped.
    drop: bool,
    /// The invocation that last asked for the open incidents.
    closing: Option<usize>,
    mails: Vec<(i64, Message)>,
    log: Vec<String>,
    /// The first part that was read again.
    poison: Option<PartKey>,
    invocation: usize,
}

#[derive(Clone)]
struct World(Arc<Shared>);

/// A call that did not come through, or whose answer did not.
#[derive(Debug)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lost")
    }
}

impl Error for Lost {}

impl Refusal for Lost {
    fn remedy(&self) -> Remedy {
        Remedy::Retry
    }

    fn may_have_arrived(&self) -> bool {
        true
    }
}

/// Lets others go on.
async fn step_aside() {
    let mut asked = false;
    let aside = |context: &mut Context<'_>| {
        // Of several at once, only whoever says so is polled again.
        context.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    };
    poll_fn(aside).await;
}

impl World {
    fn has(&self, bug: Bug) -> bool {
        self.0.bug == Some(bug)
    }

    /// One call, with whatever goes wrong at it.
    async fn call<T, F: Future<Output = Result<T, Infallible>>>(
        &self,
        what: &str,
        effect: impl Fn() -> F,
    ) -> Result<T, Lost> {
        step_aside().await;
        let fault = {
            let mut state = self.0.state.lock().unwrap();
            state.calls += 1;
            let number = state.calls;
            let fault = state.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
            state.hit += usize::from(fault.is_some_and(|fault| !matches!(fault, Fault::Twice) || what == "publish"));
            let line = format!(
                "{:6} invocation {} {what}{}",
                state.now,
                state.invocation,
                match fault {
                    Some(fault) => format!(" {fault:?}"),
                    None => String::new(),
                }
            );
            state.log.push(line);
            fault
        };
        let Ok(answer) = match fault {
            None => effect().await,
            Some(Fault::FailsBefore) => return Err(Lost),
            Some(Fault::DropsBefore) => self.end().await,
            Some(Fault::FailsAfter) => {
                let Ok(_) = effect().await;
                return Err(Lost);
            }
            Some(Fault::DropsAfter) => {
                let Ok(_) = effect().await;
                self.end().await
            }
            Some(Fault::Twice) => {
                let Ok(_) = effect().await;
                effect().await
            }
        };
        Ok(answer)
    }

    async fn end<T>(&self) -> T {
        self.0.state.lock().unwrap().drop = true;
        pending().await
    }
}

impl Notify for World {
    type Error = Lost;

    fn fits(&self, message: &Message) -> bool {
        root_usage::notify::topic::fits(message)
    }

    async fn publish(&self, message: &Message) -> Result<Receipt, Lost> {
        self.call("publish", || async {
            let mut state = self.0.state.lock().unwrap();
            let now = state.now;
            state.log.push(format!("{now:6} MAIL {}", message.subject.as_str()));
            state.mails.push((now, message.clone()));
            Ok(Receipt { message_id: "m".to_owned() })
        })
        .await
    }
}

/// An invocation that is planned, or that Lambda tries again.
#[derive(Clone)]
struct Planned {
    at: i64,
    /// The delivery; none for a tick.
    delivery: Option<usize>,
    attempt: u32,
}

struct Running<'a> {
    number: usize,
    planned: Planned,
    began: i64,
    future: Pin<Box<dyn Future<Output = bool> + 'a>>,
}

/// How long Lambda waits before it tries again. Source: Lambda Developer Guide, "Asynchronous invocation".
const RETRIES: [i64; 2] = [60, 120];

/// By how many seconds the clocks of the instances are wrong. More than 25 between two of them counts as a fault.
pub const SKEWS: [i64; 3] = [-10, 0, 10];

/// The function's timeout, in seconds.
const TIMEOUT: i64 = 30;

/// One run.
pub fn run(seed: u64, faults: &Faults, bug: Option<Bug>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { play(seed, faults, bug) })
}

/// Deliveries of a few kinds, close together or far apart, and records with how long they may wait.
fn deliveries(dice: &Dice) -> (Vec<(i64, String)>, Vec<Fate>, Vec<usize>) {
    let (mut all, mut fates, mut of) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for number in 0..2 + dice.roll(4) {
        at += [0, 1, 20, 70, 400, 1000, 3590, 3660][usize::try_from(dice.roll(8)).unwrap()];
        let deeds: Vec<(Deed, i64)> = (0..=dice.roll(2))
            .map(|_| match dice.roll(6) {
                0 => (Deed::sign_in(), 0),
                1 => (Deed::new("iam", "CreateRole").of("roleName", &format!("r{number}")), 0),
                2 => (Deed::new("ec2", "RunInstances").of("imageId", "a"), 15 * 60),
                3 => (Deed::failed_sign_in("444455556666"), 3600),
                4 => (Deed::read("s3", "ListBuckets").account("444455556666"), 3600),
                _ => (Deed::read("s3", "ListBuckets"), 3600),
            })
            .collect();
        for (deed, limit) in &deeds {
            fates.push(Fate { id: deed.id(), invoked: at, limit: *limit, told: Vec::new(), failed: false });
            of.push(all.len());
        }
        let deeds: Vec<Deed> = deeds.into_iter().map(|(deed, _)| deed).collect();
        all.push((at, delivery(at, &deeds)));
    }
    (all, fates, of)
}

fn play(seed: u64, faults: &Faults, bug: Option<Bug>) -> Outcome {
    let dice = Dice(AtomicU64::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)));
    count_anew();
    let (all, mut fates, of) = deliveries(&dice);
    let last = all.last().unwrap().0;
    let mut planned: Vec<Planned> = Vec::new();
    for (delivery, (at, _)) in all.iter().enumerate() {
        planned.push(Planned { at: *at, delivery: Some(delivery), attempt: 0 });
        // It comes again: at once, while it is told, or long after.
        if dice.roll(3) == 0 {
            let later = [0, 1, 40, 70, 4000][usize::try_from(dice.roll(5)).unwrap()];
            planned.push(Planned { at: at + later, delivery: Some(delivery), attempt: 0 });
        }
    }
    let ticks = last / 60 + 140;
    planned.extend((1..ticks).map(|minute| Planned { at: minute * 60, delivery: None, attempt: 0 }));
    // Two ticks at once, now and then.
    planned.extend((1..ticks).filter(|_| dice.roll(10) == 0).map(|minute| Planned {
        at: minute * 60,
        delivery: None,
        attempt: 0,
    }));
    let mut state = State::default();
    let clocks = if let Faults::Clocks(clocks) = faults { *clocks } else { SKEWS };
    match faults {
        // Each clock that far from another one is a fault.
        Faults::Clocks(clocks) => state.hit = clocks.iter().collect::<BTreeSet<_>>().len() - 1,
        Faults::At(call, fault) => state.faults.push((*call, *fault)),
        Faults::Any(count) => {
            for _ in 0..*count {
                let fault = Fault::ALL[usize::try_from(dice.roll(5)).unwrap()];
                // Most calls are those of ticks that find nothing.
                let call = 1 + if dice.roll(4) == 0 { dice.roll(400) } else { dice.roll(60) };
                state.faults.push((usize::try_from(call).unwrap(), fault));
            }
        }
    }
    let world = World(Arc::new(Shared { dice, bug, items: InMemory::default(), state: Mutex::new(state) }));
    let instance = || {
        let vars = [("HTTPS_FORMAT".to_owned(), "amazon-q".to_owned())];
        let config = Config { history: None, metrics: false, ..Config::from_vars(vars).unwrap() };
        Handler::new(config, world.clone(), Recorded::default()).with_incidents(world.clone(), Pace::default())
    };
    let instances = [instance(), instance(), instance()];

    let mut running: Vec<Running<'_>> = Vec::new();
    let mut done = vec![false; all.len()];
    let mut tries = vec![0; all.len()];
    let mut number = 0;
    let (dice, state) = (&world.0.dice, || world.0.state.lock().unwrap());
    while !planned.is_empty() || !running.is_empty() {
        let next = planned.iter().map(|planned| planned.at).min().unwrap_or(i64::MAX);
        let now = state().now;
        let ready = next <= now;
        if running.is_empty() && !ready {
            state().now = next;
            continue;
        }
        if ready && (running.is_empty() || (running.len() < 4 && dice.roll(3) == 0)) {
            let index = planned.iter().position(|planned| planned.at == next).unwrap();
            let planned = planned.remove(index);
            number += 1;
            let event = planned.delivery.map_or(r#"{"tick":{}}"#, |delivery| all[delivery].1.as_str());
            let instance = usize::try_from(dice.roll(3)).unwrap();
            let (handler, clock) = (&instances[instance], now + clocks[instance]);
            let request_id = format!("{:?}-{number}", planned.delivery);
            let future = async move {
                let time_left = Duration::from_secs(30);
                let invocation = Invocation { event, request_id: &request_id, time_left, now: after(clock) };
                handler.handle(invocation).await.done().is_ok()
            };
            running.push(Running { number, planned, began: now, future: Box::pin(future) });
            continue;
        }
        let index = usize::try_from(dice.roll(running.len() as u64)).unwrap();
        let invocation = &mut running[index];
        {
            let mut state = state();
            state.invocation = invocation.number;
            state.drop = false;
            // A call takes some time. Without a fault all of them are done in time.
            state.now += i64::from(dice.roll(12) == 0);
        }
        let mut context = Context::from_waker(Waker::noop());
        let polled = invocation.future.as_mut().poll(&mut context);
        let dropped = state().drop || state().now - invocation.began > TIMEOUT;
        let ended = match polled {
            Poll::Ready(worked) => Some(worked),
            Poll::Pending if dropped => Some(false),
            Poll::Pending => None,
        };
        let Some(worked) = ended else { continue };
        let Running { planned: ended, .. } = running.swap_remove(index);
        let Some(delivery) = ended.delivery else { continue };
        if worked {
            done[delivery] = true;
        } else if let Some(wait) = RETRIES.get(ended.attempt as usize) {
            planned.push(Planned { at: state().now + wait, delivery: Some(delivery), attempt: ended.attempt + 1 });
        } else {
            tries[delivery] += 1;
        }
    }
    let state = std::mem::take(&mut *state());
    for (fate, delivery) in fates.iter_mut().zip(of) {
        let id = format!("\"{}\"", fate.id);
        fate.told = state.mails.iter().filter(|(_, mail)| mail.document.contains(&id)).map(|(at, _)| *at).collect();
        fate.failed = !done[delivery] && tries[delivery] > 0;
    }
    let incident = |(_, mail): &(i64, Message)| {
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        // The id in full: that of the document is another's once in 65,536 times, and these runs are many.
        let chat = parsed(mail.chat.as_deref()?);
        let id = chat["metadata"]["threadId"].as_str()?;
        Some((id.to_owned(), parsed(&mail.document)["incident"]["kind"].as_str()?.to_owned()))
    };
    let apart = clocks.iter().max().unwrap() - clocks.iter().min().unwrap();
    let mails = state.mails.iter().map(incident).collect();
    let left = futures_util::FutureExt::now_or_never(world.0.items.parts()).unwrap().unwrap().len();
    Outcome { records: fates, left, calls: state.calls, faults: state.hit, apart, mails, log: state.log }
}
