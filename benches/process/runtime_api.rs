//! A function as its own process, and the Lambda Runtime API that it talks to.
//!
//! Source of the API: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::share::Share;

const DEADLINE: Duration = Duration::from_secs(60);

/// What the function did.
enum Step {
    Polled,
    Answered(String),
    Failed(String),
}

pub struct Function {
    child: Child,
    events: Sender<Arc<[u8]>>,
    steps: Receiver<(Instant, Step)>,
    /// From the start of the process to its first poll.
    pub start: Duration,
    started: Instant,
    answered: Instant,
}

impl Function {
    /// Starts the process and waits until it asks for its first event.
    pub fn start(command: &[&Path], vars: &[(&str, &str)]) -> Self {
        Self::start_in(None, command, vars)
    }

    /// The same with a share of a processor.
    pub fn start_in(share: Option<&Share>, command: &[&Path], vars: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, next) = channel();
        let (step, steps) = channel();
        let next = Arc::new(Mutex::new(next));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (next, step) = (Arc::clone(&next), step.clone());
                // A function that has ended closes its connection.
                thread::spawn(move || serve(stream.unwrap(), &next, &step).unwrap_or_default());
            }
        });
        let mut process = Command::new(if share.is_some() { Path::new("/bin/sh") } else { command[0] });
        if let Some(share) = share {
            process.args(["-c", &share.enter(), "sh"]).arg(command[0]);
        }
        process
            .args(&command[1..])
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            .env("ALERT_TOPIC_ARN", "arn:aws:sns:us-east-1:111122223333:alerts")
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let started = Instant::now();
        let child = process.spawn().unwrap_or_else(|error| panic!("{}: {error}", command[0].display()));
        let mut function = Self { child, events, steps, start: Duration::ZERO, started, answered: started };
        function.start = function.polled() - started;
        function.rest();
        function
    }

    /// Hands over one event and waits for the answer and the next poll. How much CPU time that took, and the answer.
    pub fn invoke(&mut self, event: &Arc<[u8]>) -> (Duration, String) {
        self.try_invoke(event).expect("an answer")
    }

    /// The same; `None` if there is no answer in a minute, and then there will be none to anything else.
    pub fn try_invoke(&mut self, event: &Arc<[u8]>) -> Option<(Duration, String)> {
        let before = self.cpu();
        self.events.send(Arc::clone(event)).unwrap();
        let (answered, step) = self.steps.recv_timeout(DEADLINE).ok()?;
        self.answered = answered;
        let answer = match step {
            Step::Answered(answer) => answer,
            Step::Failed(error) => panic!("the function failed: {error}"),
            Step::Polled => panic!("the function polled without an answer"),
        };
        self.polled();
        self.rest();
        Some((self.cpu() - before, answer))
    }

    /// CPU time of all threads that live.
    ///
    /// Source: Linux, Documentation/scheduler/sched-stats.rst: the first number is nanoseconds on the CPU.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = tasks.map(|task| {
            let stat = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
            stat.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// A line of `/proc/PID/status` that counts memory, in bytes: `VmRSS`, `VmHWM` (the peak).
    pub fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// When the process was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// When it last answered.
    pub fn answered(&self) -> Instant {
        self.answered
    }

    fn polled(&self) -> Instant {
        match self.steps.recv_timeout(DEADLINE).expect("the function polls") {
            (at, Step::Polled) => at,
            (_, Step::Answered(text) | Step::Failed(text)) => panic!("expected a poll: {text}"),
        }
    }

    /// Waits until the process has nothing left to do but wait.
    fn rest(&self) {
        loop {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
            if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
                return;
            }
            thread::yield_now();
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one HTTP request: its first line and its body.
pub fn request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first, body)))
}

fn serve(stream: TcpStream, next: &Mutex<Receiver<Arc<[u8]>>>, step: &Sender<(Instant, Step)>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some((first, body)) = request(&mut reader)? {
        if first.starts_with("GET") {
            let _ = step.send((Instant::now(), Step::Polled));
            let Ok(event) = next.lock().unwrap().recv() else { return Ok(()) };
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                 Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:111122223333:function:function\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\r\n",
                event.len()
            )?;
            writer.write_all(&event)?;
        } else {
            let text = String::from_utf8_lossy(&body).into_owned();
            let failed = first.contains("/error");
            let _ = step.send((Instant::now(), if failed { Step::Failed(text) } else { Step::Answered(text) }));
            writer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
    Ok(())
}
