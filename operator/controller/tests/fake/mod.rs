//! A Kubernetes of a few lines, and brokers that answer what they are told to. Both write down what they were asked.

pub mod brokers;
pub mod kubernetes;

use brokers::FakeBrokers;
use kubernetes::FakeKubernetes;
use ottla_operator::context::Context;
use ottla_operator::events::Events;
use ottla_operator::fault::Writes;
use ottla_operator::lease::Standing;
use ottla_operator::metrics::Metrics;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked, of whom, in order.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

pub struct World {
    pub context: Arc<Context>,
    pub kubernetes: FakeKubernetes,
    pub brokers: Arc<FakeBrokers>,
    pub log: Log,
}

pub fn world() -> World {
    let log = Log::default();
    let kubernetes = FakeKubernetes::new(log.clone());
    let brokers = Arc::new(FakeBrokers::new(log.clone()));
    let client = kubernetes.client();
    let context = Context {
        connect: brokers.clone(),
        writes: Writes::default(),
        standing: Arc::new(Standing::default()),
        metrics: Metrics::new().unwrap(),
        events: Events::new(client.clone(), "me".to_owned()),
        default_image: "ottla:1".to_owned(),
        read_nodes: false,
        resync: Duration::from_secs(60),
        memory: Mutex::default(),
        client,
    };
    World { context: Arc::new(context), kubernetes, brokers, log }
}
