//! The line at the end of each program.

use std::fs;
use std::time::Instant;

/// Times since the program began to work.
pub struct Clock {
    started: Instant,
    cpu: (f64, f64),
}

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu_seconds() }
    }

    /// Prints what `program` did since.
    pub fn report(&self, program: &str, bytes: u64, frames: u64) {
        let seconds = self.started.elapsed().as_secs_f64();
        let (user, system) = cpu_seconds();
        let (user, system) = (user - self.cpu.0, system - self.cpu.1);
        let gigabytes = bytes as f64 / 1e9;
        println!(
            "{{\"program\":\"{program}\",\"bytes\":{bytes},\"frames\":{frames},\"seconds\":{seconds:.3},\
             \"mb_per_s\":{:.1},\"cpu_user_s\":{user:.2},\"cpu_system_s\":{system:.2},\"cpu_s_per_gb\":{:.3}}}",
            gigabytes * 1e3 / seconds,
            (user + system) / gigabytes,
        );
    }
}

/// User and system time of this process, in units of the clock tick (10 ms).
fn cpu_seconds() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) / 100.0, ticks(12) / 100.0)
}
