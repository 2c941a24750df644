//! Serving fetches, of followers and consumers: read at once, or parked until there is something.

use super::{Context, Process, Role, Timer};
use crate::message::{Answer, Body, FetchedPartition};
use crate::observation::Observation;
use crate::trace::Address;
use bytes::Bytes;
use ottla_core::fetch_session::{
    Context as FetchContext, FetchPartition, Opened, PartitionAnswer, PartitionKey, SessionHeader, TopicRef,
};
use ottla_core::planted::{self, Bug};
use ottla_core::replication::{EpochEnd, FollowerFetch, LeaderOffsets, check_leader_epoch, diverging};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};

/// What a Fetch request names.
pub struct Named {
    pub header: SessionHeader,
    pub partitions: Vec<(PartitionKey, FetchPartition)>,
    pub forgotten: Vec<PartitionKey>,
    pub follower: Option<(BrokerId, BrokerEpoch)>,
}

/// A fetch that waits for records.
#[derive(Debug)]
pub struct ParkedFetch {
    from: Address,
    number: u64,
    context: FetchContext,
    follower: Option<(BrokerId, BrokerEpoch)>,
    /// The partitions it reads.
    partitions: Vec<TopicIdPartition>,
}

/// Small, so that whoever is behind needs many fetches to catch up.
const MAX_BYTES: u64 = 2_000;

fn id_of(key: &PartitionKey) -> TopicIdPartition {
    let topic_id = match &key.topic {
        TopicRef::Id(id) => *id,
        TopicRef::Name(_) => TopicId::ZERO,
    };
    TopicIdPartition { topic_id, partition: key.partition }
}

impl Process {
    pub(super) fn handle_fetch(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        number: u64,
        named: Named,
        max_wait_us: u64,
    ) {
        let follower = named.follower;
        let who = (true, follower.is_some());
        let opened = self.sessions.open(cx.now_ms, named.header, who, named.partitions, &named.forgotten);
        let context = match opened {
            Opened::Context(context) => context,
            Opened::Refused(error) => {
                let answer = Answer::Fetched { error, session: 0, partitions: Vec::new() };
                return cx.send(from, Body::Answer(number, answer));
            }
        };
        let wanted: Vec<_> = context.partitions().map(|(_, key, want)| (id_of(key), *want)).collect();
        if let Some(follower) = follower {
            for (id, want) in &wanted {
                self.note_follower(cx, *id, follower, want);
            }
        }
        let partitions = wanted.iter().map(|(id, _)| *id).collect();
        let parked = ParkedFetch { from, number, context, follower, partitions };
        let ticket = self.number();
        let at_once = max_wait_us == 0 || self.has_news(&parked);
        self.parked.insert(ticket, parked);
        if at_once {
            self.answer_parked(cx, ticket);
        } else {
            cx.after(max_wait_us, Timer::FetchDeadline(ticket));
        }
    }

    /// A follower's fetch says what it has, unless the logs diverge.
    fn note_follower(
        &mut self,
        cx: &mut Context<'_>,
        id: TopicIdPartition,
        (broker, broker_epoch): (BrokerId, BrokerEpoch),
        want: &FetchPartition,
    ) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &mut replica.role else { return };
        if !matches!(diverges(&replica.log, want), Ok(None)) {
            return;
        }
        let fetch = FollowerFetch {
            broker,
            broker_epoch,
            leader_epoch: want.current_leader_epoch,
            fetch_offset: want.fetch_offset,
            log_start_offset: want.log_start_offset,
        };
        let counted = leader.handle_follower_fetch(cx.now_ms, fetch).is_ok();
        let (asked, current) = (want.current_leader_epoch, leader.leader_epoch());
        if counted && !asked.is_none() && asked != current {
            cx.observe(Observation::Broken(format!(
                "{id:?}: what broker {broker} has in leader epoch {asked} counts in epoch {current}"
            )));
        }
        self.run_leader_effects(cx, id);
    }

    /// Is there anything to tell: records, an error, a divergence?
    fn has_news(&mut self, parked: &ParkedFetch) -> bool {
        let wanted: Vec<_> = parked.context.partitions().map(|(_, key, want)| (id_of(key), *want)).collect();
        wanted.iter().any(|(id, want)| {
            let read = self.read(*id, want, parked.follower.is_some());
            read.error != ErrorCode::None || read.diverging.is_some() || !read.records.is_empty()
        })
    }

    fn read(&mut self, id: TopicIdPartition, want: &FetchPartition, by_follower: bool) -> FetchedPartition {
        self.try_read(id, want, by_follower).unwrap_or_else(|error| FetchedPartition {
            error,
            high_watermark: -1,
            log_start_offset: -1,
            diverging: None,
            records: Bytes::new(),
        })
    }

    fn try_read(
        &mut self,
        id: TopicIdPartition,
        want: &FetchPartition,
        by_follower: bool,
    ) -> Result<FetchedPartition, ErrorCode> {
        let replica = self.replicas.get_mut(&id).ok_or(ErrorCode::UnknownTopicId)?;
        let Role::Leader(leader) = &replica.role else {
            // A newer epoch than ours may be the reason: the follower retries either way.
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        check_leader_epoch(leader.leader_epoch(), want.current_leader_epoch)
            .map_err(|invalid| invalid.code())?;
        let high_watermark = leader.high_watermark();
        let mut fetched = FetchedPartition {
            error: ErrorCode::None,
            high_watermark,
            log_start_offset: replica.log.log_start_offset(),
            diverging: diverges(&replica.log, want)?,
            records: Bytes::new(),
        };
        if fetched.diverging.is_some() {
            return Ok(fetched);
        }
        let end = if by_follower || planted::is(Bug::ServeUncommitted) {
            replica.log.log_end_offset()
        } else {
            high_watermark
        };
        let slice =
            replica.log.read(want.fetch_offset, MAX_BYTES, true, end).map_err(|error| error.code())?;
        if !slice.is_empty() {
            fetched.records = slice.read().map_err(|_| ErrorCode::KafkaStorageError)?.into();
        }
        Ok(fetched)
    }

    /// Answers a parked fetch with what there is.
    pub(super) fn answer_parked(&mut self, cx: &mut Context<'_>, ticket: u64) {
        let Some(mut parked) = self.parked.remove(&ticket) else { return };
        let wanted: Vec<_> =
            parked.context.partitions().map(|(index, key, want)| (index, key.clone(), *want)).collect();
        let mut partitions = Vec::new();
        for (index, key, want) in wanted {
            let read = self.read(id_of(&key), &want, parked.follower.is_some());
            let told = PartitionAnswer {
                has_records: !read.records.is_empty(),
                high_watermark: read.high_watermark,
                log_start_offset: read.log_start_offset,
                has_advice: read.diverging.is_some(),
                error: read.error,
            };
            if parked.context.must_answer(index, &told) {
                partitions.push((key, read));
            }
        }
        let session = self.sessions.finish(cx.now_ms, parked.context);
        let answer = Answer::Fetched { error: ErrorCode::None, session, partitions };
        cx.send(parked.from, Body::Answer(parked.number, answer));
    }

    /// Something happened to the partition: whoever waits for it gets an answer.
    pub(super) fn wake_fetches(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let tickets: Vec<u64> = self
            .parked
            .iter()
            .filter(|(_, parked)| parked.partitions.contains(&id))
            .map(|(&ticket, _)| ticket)
            .collect();
        for ticket in tickets {
            if let Some(parked) = self.parked.remove(&ticket) {
                let news = self.has_news(&parked);
                self.parked.insert(ticket, parked);
                if news {
                    self.answer_parked(cx, ticket);
                }
            }
        }
    }

    pub(super) fn handle_leader_offsets(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        number: u64,
        id: TopicIdPartition,
        epoch: LeaderEpoch,
    ) {
        let offsets = self.replicas.get(&id).ok_or(ErrorCode::UnknownTopicId).and_then(|replica| {
            let Role::Leader(leader) = &replica.role else { return Err(ErrorCode::NotLeaderOrFollower) };
            leader.check_epoch(epoch).map_err(|invalid| invalid.code())?;
            Ok(LeaderOffsets {
                log_start_offset: replica.log.log_start_offset(),
                log_end_offset: replica.log.log_end_offset(),
            })
        });
        let answer = offsets.map_or_else(Answer::Failed, Answer::LeaderOffsets);
        cx.send(from, Body::Answer(number, answer));
    }
}

fn diverges(log: &ottla_storage::Log, want: &FetchPartition) -> Result<Option<EpochEnd>, ErrorCode> {
    let end = log.end_offset_for_epoch(want.last_fetched_epoch);
    let (epoch, end_offset) = end.unwrap_or((LeaderEpoch::NONE, -1));
    diverging(
        want.fetch_offset,
        want.last_fetched_epoch,
        EpochEnd { epoch, end_offset },
        log.log_start_offset(),
    )
}
