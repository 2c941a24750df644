//! This process, as `/proc` sees it. Names as Prometheus's client libraries have them.

use prometheus::{Counter, IntGauge, Registry};
use std::fs;

/// Unit of CPU times in `/proc/self/stat`; fixed on Linux whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Process {
    cpu_seconds: Counter,
    resident_bytes: IntGauge,
}

impl Process {
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let this = Self {
            cpu_seconds: Counter::new("process_cpu_seconds_total", "CPU time used, user and system.")?,
            resident_bytes: IntGauge::new("process_resident_memory_bytes", "Memory in RAM.")?,
        };
        registry.register(Box::new(this.cpu_seconds.clone()))?;
        registry.register(Box::new(this.resident_bytes.clone()))?;
        Ok(this)
    }

    /// Reads them anew; what cannot be read stays as it was.
    pub fn look(&self) {
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu(&text)) {
            self.cpu_seconds.inc_by((seconds - self.cpu_seconds.get()).max(0.0));
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text)) {
            self.resident_bytes.set(bytes);
        }
    }
}

/// Fields as numbered by `proc(5)`; the name in parentheses may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_confuse_the_fields() {
        assert_eq!(cpu("7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 1234 4096000 100 0"), Some(2.0));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
    }

    #[test]
    fn this_process_has_memory() {
        let process = Process::new(&Registry::new()).unwrap();
        process.look();
        assert!(process.resident_bytes.get() > 500_000);
    }
}
