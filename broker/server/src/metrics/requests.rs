//! Requests by API and version, their times by stage, their bytes, and errors by code.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ottla_protocol::ApiKey;
use ottla_types::ErrorCode;

use super::exposition::Exposition;
use super::histogram::DurationHistogram;
use crate::net::RequestDone;

/// API keys with metrics; Kafka's keys end at 92.
const APIS: usize = 128;
/// Versions counted one by one; higher ones count as the last.
const VERSIONS: usize = 24;
/// Error codes counted one by one, beginning with -1; higher ones count as the last.
const ERRORS: usize = 192;

const STAGES: [&str; 6] = ["queue", "local", "remote", "response_queue", "send", "total"];

/// The metrics of all APIs; those of one come into being with its first request.
#[derive(Debug)]
pub(super) struct RequestMetrics {
    apis: [OnceLock<Box<ApiMetrics>>; APIS],
}

#[derive(Debug)]
struct ApiMetrics {
    versions: [AtomicU64; VERSIONS],
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    stages: [DurationHistogram; STAGES.len()],
    errors: OnceLock<Box<[AtomicU64; ERRORS]>>,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self { apis: [const { OnceLock::new() }; APIS] }
    }
}

impl Default for ApiMetrics {
    fn default() -> Self {
        Self {
            versions: [const { AtomicU64::new(0) }; VERSIONS],
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            stages: Default::default(),
            errors: OnceLock::new(),
        }
    }
}

impl RequestMetrics {
    pub(super) fn done(&self, done: &RequestDone) {
        let Some(api) = self.api(done.api_key) else { return };
        let version = usize::try_from(done.api_version).unwrap_or(0).min(VERSIONS - 1);
        api.versions[version].fetch_add(1, Relaxed);
        api.request_bytes.fetch_add(done.request_bytes, Relaxed);
        api.response_bytes.fetch_add(done.response_bytes, Relaxed);
        let times = [done.queue, done.local, done.remote, done.response_queue, done.send, done.total];
        for (stage, time) in api.stages.iter().zip(times) {
            stage.observe(time);
        }
    }

    pub(super) fn error(&self, api_key: i16, code: ErrorCode) {
        let Some(api) = self.api(api_key) else { return };
        let errors = api.errors.get_or_init(|| Box::new([const { AtomicU64::new(0) }; ERRORS]));
        let index = usize::try_from(i32::from(code.code()) + 1).unwrap_or(0).min(ERRORS - 1);
        errors[index].fetch_add(1, Relaxed);
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        self.write_requests(out);
        self.write_bytes(out, "ottla_request_bytes_total", "Request frames received.", |api| {
            &api.request_bytes
        });
        self.write_bytes(out, "ottla_response_bytes_total", "Response frames sent.", |api| {
            &api.response_bytes
        });
        self.write_errors(out);
        const TIMES: &str = "ottla_request_duration_seconds";
        out.family(TIMES, "histogram", "Time of requests by stage; total is all stages together.");
        for (name, api) in self.used() {
            for (stage, times) in STAGES.iter().zip(&api.stages) {
                times.write(out, TIMES, &[("api", name), ("stage", stage)]);
            }
        }
    }

    fn write_requests(&self, out: &mut Exposition) {
        const NAME: &str = "ottla_requests_total";
        out.family(NAME, "counter", "Requests answered.");
        for (api, metrics) in self.used() {
            for (version, count) in metrics.versions.iter().enumerate() {
                let count = count.load(Relaxed);
                if count > 0 {
                    out.sample(NAME, &[("api", api), ("version", &version.to_string())], count);
                }
            }
        }
    }

    fn write_bytes(&self, out: &mut Exposition, name: &str, help: &str, of: fn(&ApiMetrics) -> &AtomicU64) {
        out.family(name, "counter", help);
        for (api, metrics) in self.used() {
            out.sample(name, &[("api", api)], of(metrics).load(Relaxed));
        }
    }

    fn write_errors(&self, out: &mut Exposition) {
        const NAME: &str = "ottla_request_errors_total";
        out.family(NAME, "counter", "Error codes in responses.");
        for (api, metrics) in self.used() {
            let Some(errors) = metrics.errors.get() else { continue };
            for (index, count) in errors.iter().enumerate() {
                let count = count.load(Relaxed);
                if count > 0 {
                    let error = ErrorCode::from_code(index as i16 - 1).to_string();
                    out.sample(NAME, &[("api", api), ("error", &error)], count);
                }
            }
        }
    }

    fn api(&self, api_key: i16) -> Option<&ApiMetrics> {
        let slot = self.apis.get(usize::try_from(api_key).ok()?)?;
        Some(slot.get_or_init(Box::default))
    }

    fn used(&self) -> impl Iterator<Item = (&'static str, &ApiMetrics)> {
        self.apis.iter().enumerate().filter_map(|(key, slot)| {
            let name = ApiKey::from_code(key as i16).map_or("Unknown", ApiKey::name);
            Some((name, &**slot.get()?))
        })
    }
}
