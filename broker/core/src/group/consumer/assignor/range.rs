//! The range assignor: members that share a topic get consecutive partitions of it, in the order of their names
//! (static) or ids, so that equal partitions of topics with the same subscribers and sizes go to the same member.

use super::{MemberSpec, Partitions, TopicSpecs};

/// Computes the target of every member, in the order of `members`.
pub(super) fn assign(members: &[MemberSpec], topics: &TopicSpecs) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|at| {
        let member = &members[*at];
        (member.instance_id.as_ref().unwrap_or(&member.id), &member.id)
    });
    let mut targets = vec![Partitions::new(); members.len()];
    for (topic_id, topic) in topics {
        let subscribers: Vec<usize> =
            order.iter().copied().filter(|at| members[*at].topics.contains(topic_id)).collect();
        let count = i32::try_from(subscribers.len()).unwrap_or(i32::MAX);
        if count == 0 {
            continue;
        }
        let (share, extra) = (topic.partitions / count, topic.partitions % count);
        let mut next = 0;
        for (rank, member) in (0..count).zip(subscribers) {
            let end = next + share + i32::from(rank < extra);
            if next < end {
                targets[member].insert(*topic_id, (next..end).collect());
            }
            next = end;
        }
    }
    targets
}
