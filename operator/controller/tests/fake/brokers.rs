//! Brokers that answer what they are told to.

use super::Log;
use futures::FutureExt;
use ottla_operator::brokers::{
    Alteration, Answer, AskPermit, Brokers, Connect, Growth, NewTopic, Permit, Refusals, Seen,
};
use ottla_operator_core::config::Settings;
use ottla_operator_core::observed::PartitionView;
use ottla_operator_core::plan::Move;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Hook = Box<dyn Fn() + Send + Sync>;

pub struct FakeBrokers {
    log: Log,
    pub seen: Mutex<Seen>,
    pub permit: Mutex<Result<Permit, String>>,
    /// Happens while the permit is given.
    pub meanwhile: Mutex<Option<Hook>>,
}

impl FakeBrokers {
    pub fn new(log: Log) -> Self {
        Self {
            log,
            seen: Mutex::default(),
            permit: Mutex::new(Ok(Permit::Granted { epoch: 7 })),
            meanwhile: Mutex::default(),
        }
    }

    fn done<T: Send + 'static>(&self, what: String, answer: T) -> Answer<'_, T> {
        self.log.note(what);
        async move { Ok(answer) }.boxed()
    }
}

impl Connect for FakeBrokers {
    fn connect<'a>(&'a self, _: &'a str, _: Vec<String>) -> Answer<'a, Arc<dyn Brokers>> {
        let this = Self {
            log: self.log.clone(),
            seen: Mutex::new(self.seen.lock().unwrap().clone()),
            permit: Mutex::new(self.permit.lock().unwrap().clone()),
            meanwhile: Mutex::new(self.meanwhile.lock().unwrap().take()),
        };
        async move { Ok(Arc::new(Shared { this, seen: self.seen.lock().unwrap().clone() }) as Arc<dyn Brokers>) }.boxed()
    }

    fn forget(&self, _: &str) {}
}

struct Shared {
    this: FakeBrokers,
    seen: Seen,
}

impl Brokers for Shared {
    fn look(&self) -> Answer<'_, Seen> {
        let seen = self.seen.clone();
        async move { if seen.view.cluster_id.is_empty() { Err("no answer".to_owned()) } else { Ok(seen) } }
            .boxed()
    }

    fn bytes_on(&self, _: i32) -> Answer<'_, i64> {
        async { Ok(0) }.boxed()
    }

    fn topic_configs(&self, names: Vec<String>) -> Answer<'_, BTreeMap<String, Settings>> {
        let found = names.into_iter().map(|name| (name, Settings::new())).collect();
        async move { Ok(found) }.boxed()
    }

    fn ask_permit(&self, ask: AskPermit) -> Answer<'_, Permit> {
        self.this.log.note(format!("permit {} of {}", ask.broker, ask.broker_epoch));
        if let Some(hook) = &*self.this.meanwhile.lock().unwrap() {
            hook();
        }
        let answer = self.this.permit.lock().unwrap().clone();
        async move { answer }.boxed()
    }

    fn permit_all(&self, reason: String) -> Answer<'_, ()> {
        self.this.done(format!("permit all: {reason}"), ())
    }

    fn release_permit(&self, broker: i32, epoch: i64) -> Answer<'_, ()> {
        self.this.done(format!("release {broker} {epoch}"), ())
    }

    fn cordon(&self, broker: i32, cordoned: bool) -> Answer<'_, ()> {
        self.this.done(format!("cordon {broker} {cordoned}"), ())
    }

    fn unregister(&self, broker: i32) -> Answer<'_, ()> {
        self.this.done(format!("unregister {broker}"), ())
    }

    fn reassign(&self, moves: Vec<Move>) -> Answer<'_, Refusals> {
        self.this.done(format!("move {}", moves.len()), Refusals::new())
    }

    fn elect_preferred(&self, partitions: Vec<(String, i32)>) -> Answer<'_, ()> {
        self.this.done(format!("elect {}", partitions.len()), ())
    }

    fn alter_defaults(&self, change: Alteration) -> Answer<'_, ()> {
        self.this.done(format!("defaults {:?}", change.set.keys().collect::<Vec<_>>()), ())
    }

    fn create_topics(&self, topics: Vec<NewTopic>) -> Answer<'_, Refusals> {
        self.this.done(format!("create {}", topics.len()), Refusals::new())
    }

    fn grow_topics(&self, topics: Vec<Growth>) -> Answer<'_, Refusals> {
        self.this.done(format!("grow {}", topics.len()), Refusals::new())
    }

    fn alter_topics(&self, changes: BTreeMap<String, Alteration>) -> Answer<'_, Refusals> {
        self.this.done(format!("alter {}", changes.len()), Refusals::new())
    }

    fn delete_topics(&self, names: Vec<String>) -> Answer<'_, Refusals> {
        self.this.done(format!("delete {}", names.len()), Refusals::new())
    }
}

/// A partition on all three brokers.
pub fn partition(topic: &str) -> PartitionView {
    PartitionView {
        topic: topic.to_owned(),
        partition: 0,
        leader: 0,
        replicas: vec![0, 1, 2],
        isr: vec![0, 1, 2],
        ..PartitionView::default()
    }
}
