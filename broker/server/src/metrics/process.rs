//! This process, as `/proc` sees it. Names as Prometheus's client libraries have them.

use std::fs;

use super::exposition::Exposition;

/// Unit of CPU times in `/proc/self/stat`; fixed on Linux whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// What does not change while the process runs.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    start_seconds: f64,
}

/// What one look at `/proc` tells. Values that cannot be read are 0.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sample {
    cpu_seconds: f64,
    start_ticks: f64,
    threads: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl ProcessMetrics {
    pub(super) fn new() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot =
            stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0.0);
        Self { start_seconds: boot + sample().start_ticks / TICKS_PER_SECOND }
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        let now = sample();
        let open_fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        for (name, kind, help, value) in [
            ("process_cpu_seconds_total", "counter", "CPU time used, user and system.", now.cpu_seconds),
            ("process_resident_memory_bytes", "gauge", "Memory in RAM.", now.resident_bytes as f64),
            ("process_virtual_memory_bytes", "gauge", "Address space in use.", now.virtual_bytes as f64),
            ("process_threads", "gauge", "Threads.", now.threads as f64),
            ("process_open_fds", "gauge", "Open file descriptors.", open_fds as f64),
            ("process_max_fds", "gauge", "File descriptors that may be open.", max_fds()),
            ("process_start_time_seconds", "gauge", "Start, in seconds since 1970.", self.start_seconds),
        ] {
            out.family(name, kind, help);
            out.sample(name, &[], value);
        }
    }
}

fn sample() -> Sample {
    fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse_stat(&stat)).unwrap_or_default()
}

/// Fields as numbered by `proc(5)`; the name in parentheses may hold anything.
fn parse_stat(stat: &str) -> Option<Sample> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Sample {
        cpu_seconds: (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND,
        start_ticks: field(22)? as f64,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes(),
    })
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf takes no pointers and has no preconditions.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn max_fds() -> f64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_confuse_the_fields() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 1234 4096000 100 0";
        let sample = parse_stat(stat).unwrap();
        assert_eq!((sample.cpu_seconds, sample.threads, sample.start_ticks), (2.0, 9, 1234.0));
        assert_eq!((sample.virtual_bytes, sample.resident_bytes), (4_096_000, 100 * page_bytes()));
    }

    #[test]
    fn this_process_has_memory_threads_and_a_recent_start() {
        let mut out = Exposition::default();
        ProcessMetrics::new().write(&mut out);
        let text = out.into_text();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
            line.parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 500_000.0);
        assert!(value("process_threads") >= 1.0 && value("process_open_fds") >= 3.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - value("process_start_time_seconds")).abs() < 3600.0);
    }
}
