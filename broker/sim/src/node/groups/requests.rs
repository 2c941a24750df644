//! From the words of members to those of the machine.

use crate::group_message::{GroupAnswer, GroupQuestion, GroupRequest, TOPIC};
use bytes::Bytes;
use ottla_core::group::classic::{Client, HeartbeatRequest, JoinRequest, LeaveRequest, Leaver, SyncRequest};
use ottla_core::group::consumer;
use ottla_core::group::offsets::{
    CommitPartition, CommitRequest, CommitTopic, Committer, FetchGroup, FetchTopic,
};
use ottla_core::group::{Call, Outcome, Shard, Token};
use ottla_types::{ErrorCode, TopicId, Uuid};
use std::collections::{BTreeMap, BTreeSet};

const CLIENT: Client<'static> = Client { id: "simulated", host: "/127.0.0.1" };

/// Asks the machine. An outcome without an answer has one that comes later.
pub(super) fn handle(
    machine: &mut Shard,
    call: Call<'_>,
    request: &GroupRequest,
    (token, fresh_id): (Token, Uuid),
) -> Result<Outcome<Option<GroupAnswer>>, ErrorCode> {
    let group_id = &*request.group;
    let (member_id, epoch) = (&*request.claim.member, request.claim.epoch);
    match &request.what {
        GroupQuestion::Join => {
            let join = join(request, (token, fresh_id));
            Ok(map(machine.join(call, &join), |reply| reply.map(GroupAnswer::Joined)))
        }
        GroupQuestion::Sync(shares) => {
            let sync = SyncRequest {
                token,
                group_id,
                member_id,
                group_instance_id: None,
                generation_id: epoch,
                protocol_type: None,
                protocol_name: None,
                assignments: shares.iter().map(|(member, share)| (&**member, share.clone())).collect(),
            };
            Ok(map(machine.sync(call, &sync), |reply| reply.map(GroupAnswer::Synced)))
        }
        GroupQuestion::Heartbeat => {
            let beat =
                HeartbeatRequest { group_id, member_id, group_instance_id: None, generation_id: epoch };
            Ok(map(machine.heartbeat(call, &beat)?, |()| Some(GroupAnswer::Done)))
        }
        GroupQuestion::Leave => {
            let members = vec![Leaver { member_id, group_instance_id: None }];
            Ok(map(machine.leave(call, &LeaveRequest { group_id, members })?, |_| Some(GroupAnswer::Done)))
        }
        GroupQuestion::ConsumerHeartbeat(owned) => {
            consumer_heartbeat(machine, call, request, (owned, fresh_id))
        }
        GroupQuestion::Commit(offsets) => {
            let commit = commit(request, offsets);
            let outcome = machine.commit_offsets(call, &commit)?;
            Ok(map(outcome, |reply| Some(GroupAnswer::Committed(reply.into_iter().flatten().collect()))))
        }
        GroupQuestion::FetchOffsets(partitions) => {
            let topics = Some(vec![FetchTopic { name: TOPIC, partitions: partitions.clone() }]);
            let fetch =
                FetchGroup { group_id, member_id: None, member_epoch: -1, topics, require_stable: false };
            let fetched = machine.fetch_offsets(&fetch)?;
            let partitions = fetched.into_iter().flat_map(|topic| topic.partitions);
            let offsets = partitions.map(|partition| (partition.partition, partition.offset)).collect();
            Ok(look(GroupAnswer::Offsets(offsets)))
        }
    }
}

fn join<'a>(request: &'a GroupRequest, (token, fresh_id): (Token, Uuid)) -> JoinRequest<'a> {
    JoinRequest {
        token,
        group_id: &request.group,
        member_id: &request.claim.member,
        group_instance_id: None,
        client: CLIENT,
        protocol_type: "simulated",
        protocols: vec![("by-turns", Bytes::new())],
        session_timeout_ms: 4_000,
        rebalance_timeout_ms: 6_000,
        requires_known_member_id: true,
        supports_skipping_assignment: false,
        fresh_id,
    }
}

fn consumer_heartbeat(
    machine: &mut Shard,
    call: Call<'_>,
    request: &GroupRequest,
    (owned, fresh_id): (&Option<BTreeSet<i32>>, Uuid),
) -> Result<Outcome<Option<GroupAnswer>>, ErrorCode> {
    let topic_id = call.topics.by_name(TOPIC).map_or(TopicId::ZERO, |topic| topic.id);
    let is_full = owned.is_some() && request.claim.epoch >= 0;
    let with_topic = |partitions: &BTreeSet<i32>| match partitions.is_empty() {
        true => BTreeMap::new(),
        false => BTreeMap::from([(topic_id, partitions.clone())]),
    };
    let beat = consumer::HeartbeatRequest {
        group_id: &request.group,
        member_id: &request.claim.member,
        member_epoch: request.claim.epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: if is_full { 6_000 } else { -1 },
        subscribed_topics: is_full.then(|| vec![TOPIC]),
        subscribed_regex: None,
        server_assignor: None,
        owned: owned.as_ref().map(with_topic),
        client: CLIENT,
        fresh_id,
    };
    let outcome = machine.consumer_heartbeat(call, &beat)?;
    Ok(map(outcome, |reply| Some(GroupAnswer::Beat(reply))))
}

fn commit<'a>(request: &'a GroupRequest, offsets: &[(i32, i64)]) -> CommitRequest<'a> {
    let partitions = offsets.iter().map(|&(partition, offset)| CommitPartition {
        partition,
        offset,
        leader_epoch: -1,
        metadata: "",
    });
    CommitRequest {
        group_id: &request.group,
        from: Committer {
            member_id: &request.claim.member,
            group_instance_id: None,
            generation_id_or_member_epoch: request.claim.epoch,
            transactional: false,
            knows_member_epochs: true,
        },
        retention_ms: None,
        topics: vec![CommitTopic { name: TOPIC, topic_id: TopicId::ZERO, partitions: partitions.collect() }],
    }
}

fn map<A, B>(outcome: Outcome<A>, reply: impl FnOnce(A) -> B) -> Outcome<B> {
    Outcome {
        records: outcome.records,
        append: outcome.append,
        atomic: outcome.atomic,
        reply: reply(outcome.reply),
    }
}

/// An answer of somebody who only looked.
fn look(answer: GroupAnswer) -> Outcome<Option<GroupAnswer>> {
    Outcome { records: Vec::new(), append: None, atomic: true, reply: Some(answer) }
}
