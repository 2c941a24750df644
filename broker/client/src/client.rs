//! A cluster as a client sees it: who its brokers are, who leads what, and a connection to each.

use crate::connection::Connection;
use crate::error::{ApiError, ClientError};
use crate::options::ClientOptions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long what is known about leaders is believed.
const FRESH: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// A client of one cluster. Clones share connections and what is known.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    bootstrap: Vec<String>,
    state: Mutex<State>,
    /// Held while a first connection is made: the others wait for that one.
    dialing_first: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    first: Option<Connection>,
    brokers: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
    /// Held while a broker is dialed. Nobody who asks for another broker waits for it.
    dialing: BTreeMap<i32, Arc<Mutex<()>>>,
    topics: BTreeMap<String, Topic>,
}

#[derive(Debug, Clone)]
struct Topic {
    at: Instant,
    partitions: BTreeMap<i32, Leader>,
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: i32,
    pub(crate) epoch: i32,
}

impl Client {
    /// Connects to the first of `bootstrap` (`host:port`, separated by commas) that answers.
    ///
    /// # Errors
    /// If none does.
    pub async fn connect(bootstrap: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let addresses: Vec<String> = bootstrap
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .map(|address| if has_port(address) { address.to_owned() } else { format!("{address}:9092") })
            .collect();
        if addresses.is_empty() {
            return Err(ClientError::Misuse("no broker was named: give host:port".to_owned()));
        }
        let inner =
            Inner { options, bootstrap: addresses, state: Mutex::default(), dialing_first: Mutex::default() };
        let client = Self { inner: Arc::new(inner) };
        client.any().await?;
        Ok(client)
    }

    /// What the client was told.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// A connection to some broker.
    ///
    /// # Errors
    /// If none can be reached.
    pub async fn any(&self) -> Result<Connection, ClientError> {
        if let Some(open) = self.open_one().await {
            return Ok(open);
        }
        let _dialing = self.inner.dialing_first.lock().await;
        if let Some(open) = self.open_one().await {
            return Ok(open);
        }
        let (mut tried, mut last) = (Vec::new(), None);
        let known: Vec<String> = {
            let state = self.inner.state.lock().await;
            self.inner.bootstrap.iter().chain(state.brokers.values()).cloned().collect()
        };
        for address in known {
            match Connection::open(&address, &self.inner.options).await {
                Ok(connection) => {
                    self.inner.state.lock().await.first = Some(connection.clone());
                    return Ok(connection);
                }
                Err(error) => {
                    tried.push(error.to_string());
                    last = Some(error);
                }
            }
        }
        Err(match (tried.len(), last) {
            (1, Some(only)) => only,
            _ => ClientError::NoBroker { tried },
        })
    }

    /// The connection made first, or else any that is open.
    async fn open_one(&self) -> Option<Connection> {
        let state = self.inner.state.lock().await;
        let mut all = state.first.iter().chain(state.connections.values());
        all.find(|connection| !connection.is_closed()).cloned()
    }

    /// A connection to the broker of that id.
    ///
    /// # Errors
    /// If the cluster has none, or it cannot be reached.
    pub async fn broker(&self, id: i32) -> Result<Connection, ClientError> {
        if !self.inner.state.lock().await.brokers.contains_key(&id) {
            self.refresh(Some(&[])).await?;
        }
        let dialing = {
            let mut state = self.inner.state.lock().await;
            if let Some(open) = state.connections.get(&id).filter(|connection| !connection.is_closed()) {
                return Ok(open.clone());
            }
            state.dialing.entry(id).or_default().clone()
        };
        let _dialing = dialing.lock().await;
        let address = {
            let state = self.inner.state.lock().await;
            if let Some(open) = state.connections.get(&id).filter(|connection| !connection.is_closed()) {
                return Ok(open.clone());
            }
            state.brokers.get(&id).cloned().ok_or_else(|| ClientError::Connect {
                address: format!("broker {id}"),
                reason: "it is not among the live brokers of the cluster".to_owned(),
            })?
        };
        let connection = Connection::open(&address, &self.inner.options).await?;
        self.inner.state.lock().await.connections.insert(id, connection.clone());
        Ok(connection)
    }

    /// A connection to the broker that takes changes of the cluster.
    ///
    /// # Errors
    /// If it is not known or cannot be reached.
    pub async fn controller(&self) -> Result<Connection, ClientError> {
        let response = self.refresh(Some(&[])).await?;
        match *response.controller_id {
            id if id >= 0 => self.broker(id).await,
            _ => self.any().await,
        }
    }

    /// Ids of the live brokers.
    ///
    /// # Errors
    /// If none can be reached.
    pub async fn broker_ids(&self) -> Result<Vec<i32>, ClientError> {
        let response = self.refresh(Some(&[])).await?;
        Ok(response.brokers.iter().map(|broker| *broker.node_id).collect())
    }

    /// What the cluster says of `topics` (`None`: of all), unread. Errors of topics are in the answer.
    ///
    /// # Errors
    /// If no broker can be reached.
    pub async fn refresh(&self, topics: Option<&[String]>) -> Result<MetadataResponse, ClientError> {
        self.ask(topics, false).await
    }

    async fn ask(&self, topics: Option<&[String]>, create: bool) -> Result<MetadataResponse, ClientError> {
        let named = topics.map(|topics| {
            let named = |topic: &String| {
                let name = TopicName(StrBytes::from_string(topic.clone()));
                MetadataRequestTopic::default().with_name(Some(name))
            };
            topics.iter().map(named).collect::<Vec<_>>()
        });
        let request = MetadataRequest::default().with_topics(named).with_allow_auto_topic_creation(create);
        let first = self.any().await?;
        let response = match first.send(request.clone()).await {
            Err(ClientError::Closed { .. }) => self.any().await?.send(request).await?,
            answered => answered?,
        };
        self.learn(&response).await;
        Ok(response)
    }

    async fn learn(&self, response: &MetadataResponse) {
        let mut state = self.inner.state.lock().await;
        let address = |host: &str, port: i32| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let brokers: BTreeMap<i32, String> = response
            .brokers
            .iter()
            .map(|broker| (*broker.node_id, address(&broker.host, broker.port)))
            .collect();
        state.connections.retain(|id, connection| {
            !connection.is_closed() && brokers.get(id).is_some_and(|now| now == connection.address())
        });
        state.dialing.retain(|id, _| brokers.contains_key(id));
        state.brokers = brokers;
        let at = Instant::now();
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            if topic.error_code != 0 {
                state.topics.remove(name.as_str());
                continue;
            }
            let leader = |broker: BrokerId, epoch| Leader { broker: *broker, epoch };
            let partitions = topic.partitions.iter().map(|partition| {
                (partition.partition_index, leader(partition.leader_id, partition.leader_epoch))
            });
            let partitions = partitions.collect();
            state.topics.insert(name.as_str().to_owned(), Topic { at, partitions });
        }
    }

    /// What the cluster says of one topic, created if `create` and the broker does that.
    pub(crate) async fn topic(&self, name: &str, create: bool) -> Result<MetadataResponseTopic, ClientError> {
        let deadline = Instant::now() + self.inner.options.retry_timeout;
        let mut backoff = Backoff::default();
        loop {
            let response = self.ask(Some(&[name.to_owned()]), create).await?;
            let Some(topic) = response.topics.into_iter().next() else {
                let reason = "the answer does not have the topic that was asked for".to_owned();
                return Err(ClientError::Protocol { what: format!("topic {name:?}"), reason });
            };
            let code = ErrorCode::from_code(topic.error_code);
            let awaited = create && code.is_retriable() || code == ErrorCode::LeaderNotAvailable;
            if code.is_none() || !awaited || Instant::now() >= deadline {
                ApiError::check_code(topic.error_code)
                    .map_err(|error| ClientError::refused(format!("topic {name:?}"), error))?;
                return Ok(topic);
            }
            backoff.wait().await;
        }
    }

    /// Partitions of a topic, from what is known if that is fresh.
    pub(crate) async fn partitions(&self, name: &str, create: bool) -> Result<Vec<i32>, ClientError> {
        if let Some(topic) = self.inner.state.lock().await.topics.get(name)
            && topic.at.elapsed() < FRESH
        {
            return Ok(topic.partitions.keys().copied().collect());
        }
        let topic = self.topic(name, create).await?;
        let mut partitions: Vec<i32> =
            topic.partitions.iter().map(|partition| partition.partition_index).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// Who leads a partition; `None` if nobody does now. Asks the cluster if nothing is known, or if `again`.
    pub(crate) async fn leader(
        &self,
        topic: &str,
        partition: i32,
        again: bool,
    ) -> Result<Option<Leader>, ClientError> {
        let known = |state: &State| {
            state
                .topics
                .get(topic)
                .filter(|known| known.at.elapsed() < FRESH)
                .and_then(|known| known.partitions.get(&partition).copied())
        };
        if !again && let Some(leader) = known(&*self.inner.state.lock().await) {
            return Ok(Some(leader).filter(|leader| leader.broker >= 0));
        }
        self.topic(topic, false).await?;
        let found = known(&*self.inner.state.lock().await);
        match found {
            None => Err(ClientError::refused(
                format!("partition {topic}-{partition}"),
                ApiError { code: ErrorCode::UnknownTopicOrPartition, message: None },
            )),
            Some(leader) => Ok(Some(leader).filter(|leader| leader.broker >= 0)),
        }
    }

    /// Forgets who leads a topic's partitions.
    pub(crate) async fn forget(&self, topic: &str) {
        self.inner.state.lock().await.topics.remove(topic);
    }
}

fn has_port(address: &str) -> bool {
    match address.rsplit_once(':') {
        Some((host, port)) => port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')),
        None => false,
    }
}

/// Waits twice as long each time, up to a second.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_BACKOFF }
    }
}

impl Backoff {
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LAST_BACKOFF);
    }
}

#[cfg(test)]
mod tests {
    use super::has_port;

    #[test]
    fn an_address_without_a_port_is_told_from_one_with() {
        assert!(has_port("localhost:9092"));
        assert!(has_port("[::1]:9092"));
        assert!(!has_port("localhost"));
        assert!(!has_port("[::1]"));
        assert!(!has_port("::1"));
    }
}
