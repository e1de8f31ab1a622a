//! Tells the people responsible that the root user of an AWS account was used: who, what, from where, when, and
//! whether it worked.
//!
//! ```text
//! awslogs.data ──batch──▶ log events ──record──▶ Record ──rule──▶ Match ──alert──▶ Alert ──history──▶ Answers
//!  (base64, gzip)                                                           │      (beside it, best effort) │
//!                                                   Report ◀──handler── Receipt ◀──notify── Message ◀──email──┘
//! ```
//!
//! One direction, no way back: nothing is changed after it is made. [`batch`], [`detect`], [`record`], [`detail`],
//! [`region`], [`severity`], [`rule`], [`alert`], [`email`], [`error`] and [`report`] are pure: no I/O, no clock, no environment. [`history`],
//! [`directory`] and [`notify`] do I/O. [`handler`] puts the pipeline together and is the only module that knows them all.
//!
//! The promise: every record that reaches the function and matches a rule reaches the topic at least once, or the
//! invocation fails, so that Lambda retries it and then keeps its payload in the dead-letter queue. Every log event is
//! counted in exactly one of the first four fields of a [`report::Report`].

pub mod alert;
pub mod batch;
pub mod config;
pub mod detail;
pub mod detect;
pub mod directory;
pub mod email;
pub mod error;
pub mod fault;
pub mod handler;
pub mod history;
pub mod incident;
pub mod ledger;
pub mod notify;
pub mod record;
pub mod region;
pub mod report;
pub mod rule;
pub mod severity;
pub mod watch;
