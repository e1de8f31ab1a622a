//! As much of a processor as Lambda gives a function: a control group with a quota.

use std::fs;
use std::path::{Path, PathBuf};

/// AWS Lambda Developer Guide, "Configure Lambda function memory": with this many MB a function has one whole vCPU, with
/// fewer a part of it.
pub const WHOLE_CPU: f64 = 1_769.0;

/// Microseconds in which the quota is used up and given again. AWS doesn't say what Lambda's is.
const PERIOD: f64 = 20_000.0;

/// A control group; gone when dropped, which needs the processes in it to be.
pub struct Share {
    directory: PathBuf,
}

impl Share {
    /// The share of a function with this many MB; `None` where the system doesn't let one be made: it takes root, and a
    /// CPU controller.
    ///
    /// Source: Linux, Documentation/admin-guide/cgroup-v2.rst ("CPU Interface Files") and scheduler/sched-bwc.rst.
    pub fn new(megabytes: f64) -> Option<Self> {
        let name = format!("root-usage-alert-{}-{megabytes}", std::process::id());
        let quota = PERIOD * megabytes / WHOLE_CPU;
        let (second, first) = (("/sys/fs/cgroup", "cpu.max"), ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"));
        [second, first].into_iter().find_map(|(root, file)| {
            let directory = Path::new(root).join(&name);
            fs::create_dir(&directory).ok()?;
            // Dropped, and so removed, where it turns out to be no use.
            let share = Self { directory };
            let settings = match file {
                "cpu.max" => vec![(file, format!("{quota:.0} {PERIOD}"))],
                _ => vec![("cpu.cfs_period_us", PERIOD.to_string()), (file, format!("{quota:.0}"))],
            };
            // Only where it is there: on a file system that is none of these, writing would make it.
            let set = |(file, value): &(&str, String)| {
                let file = share.directory.join(file);
                file.exists() && fs::write(file, value).is_ok()
            };
            (settings.iter().all(set) && share.directory.join("cgroup.procs").exists()).then_some(share)
        })
    }

    /// A shell script that enters the group and becomes the command in its arguments.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.directory.display())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}
