//! ConsumerGroupDescribe (key 69, KIP-848): consumer groups with members, what they own and are meant to own.

use super::Context;
use super::authorized_operations::of_group;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, TopicName};
use ottla_core::group::consumer::{Described, DescribedMember, Partitions};
use ottla_core::metadata::Image;
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const MEMBER_TYPE_FROM: i16 = 1;
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

/// Answers the request.
pub async fn handle(
    context: &Context,
    request: &ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut response = ConsumerGroupDescribeResponse::default();
    let operations = of_group(request.include_authorized_operations);
    for group in &request.group_ids {
        let answer = DescribedGroup::default().with_group_id(group.clone());
        response.groups.push(match describe(context, group).await {
            Ok(described) => fill(context, answer.with_authorized_operations(operations), described),
            Err(ErrorCode::GroupIdNotFound) => {
                let text = format!("Group {} is not a consumer group.", group.as_str());
                answer
                    .with_error_code(ErrorCode::GroupIdNotFound.code())
                    .with_error_message(Some(StrBytes::from_string(text)))
            }
            Err(error) => answer.with_error_code(error.code()),
        });
    }
    response
}

async fn describe(context: &Context, group: &str) -> Result<Described, ErrorCode> {
    let shard = context.broker.groups.consumer_shard_of(&context.image(), group)?;
    shard.settled(&context.broker).await?;
    shard.look(|machine| machine.describe_consumer_group(group))?.map_err(|error| error.code())
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn fill(context: &Context, answer: DescribedGroup, described: Described) -> DescribedGroup {
    let image = context.image();
    let members = described.members.iter().map(|one| member(context, &image, one));
    answer
        .with_group_state(text(described.state))
        .with_group_epoch(described.group_epoch)
        .with_assignment_epoch(described.assignment_epoch)
        .with_assignor_name(text(described.assignor))
        .with_members(members.collect())
}

fn member(context: &Context, image: &Image, one: &DescribedMember) -> Member {
    let topics = one.subscribed_topics.iter().map(|name| TopicName(text(name)));
    let member = Member::default()
        .with_member_id(text(&one.member_id))
        .with_instance_id(one.instance_id.as_deref().map(text))
        .with_rack_id(one.rack_id.as_deref().map(text))
        .with_member_epoch(one.member_epoch)
        .with_client_id(text(&one.client_id))
        .with_client_host(text(&one.client_host))
        .with_subscribed_topic_names(topics.collect())
        .with_subscribed_topic_regex(one.subscribed_regex.as_deref().map(text))
        .with_assignment(assignment(image, &one.assignment))
        .with_target_assignment(assignment(image, &one.target));
    if context.version >= MEMBER_TYPE_FROM {
        member.with_member_type(if one.is_classic { CLASSIC } else { CONSUMER })
    } else {
        member
    }
}

/// A topic that was deleted has no name to be shown by: it is left out.
fn assignment(image: &Image, partitions: &Partitions) -> Assignment {
    let topics = partitions.iter().filter_map(|(id, partitions)| {
        let name = &image.topic(*id)?.name;
        Some(
            TopicPartitions::default()
                .with_topic_id(id.0)
                .with_topic_name(TopicName(text(name)))
                .with_partitions(partitions.iter().copied().collect()),
        )
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
