//! ClusterAdmin (key 10005): what Ottla's own tools ask; see [`ottla_protocol::cluster_admin`].
//!
//! Wire words are turned into the controller's and back here. Whoever may use Kafka's administrative APIs may use
//! this one: it is answered on the listeners that they are answered on.

mod status;

use super::Context;
use crate::net::Response;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_core::controller::{self, LONGEST_PERMIT_MS, PermitAnswer, Reply, Request};
use ottla_core::metadata::Image;
use ottla_core::permit;
use ottla_protocol::cluster_admin::{
    self as wire, Answer, AskPermit, Permit, Question, Reason, ReasonKind, Reasons, SingleReplica,
};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, TopicIdPartition};
use std::time::Duration;

/// How long a controller is looked for where all brokers are to stop: some may have, and with them the majority.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Answers the request; one that cannot be read gets an answer that says so.
pub async fn handle(context: &Context, body: &Bytes) -> Response {
    let answer = match read(context.version, body) {
        Ok(question) => answer(context, question).await,
        Err((code, message)) => failed(code, message),
    };
    let body = wire::to_bytes(&answer);
    let mut frame = BytesMut::with_capacity(8 + body.len());
    frame.put_i32(i32::try_from(4 + body.len()).unwrap_or(i32::MAX));
    frame.put_i32(context.correlation_id);
    frame.put_slice(&body);
    Response::bytes(frame.freeze())
}

fn read(version: i16, body: &Bytes) -> Result<Question, (ErrorCode, String)> {
    if version != wire::VERSION {
        let message = format!("version {version} of ClusterAdmin is not known, only {}", wire::VERSION);
        return Err((ErrorCode::UnsupportedVersion, message));
    }
    if body.len() > wire::QUESTION_BYTES {
        return Err((ErrorCode::InvalidRequest, format!("a question of {} bytes", body.len())));
    }
    wire::from_bytes(body).map_err(|error| (ErrorCode::InvalidRequest, error))
}

async fn answer(context: &Context, question: Question) -> Answer {
    let request = match question {
        Question::DescribeCluster {} => Request::DescribeSessions,
        Question::AskPermit(ref ask) => Request::AskPermit(ask_of(ask)),
        Question::PermitAll { duration_ms, ref reason } => {
            tracing::warn!(reason, duration_ms, "THE WHOLE CLUSTER MAY STOP");
            Request::PermitAll { duration_ms, reason: reason.clone() }
        }
        Question::ReleasePermit { broker, epoch } => {
            Request::ReleasePermit { broker: BrokerId(broker), epoch }
        }
        Question::Cordon { broker, cordoned } => Request::CordonBroker { broker: BrokerId(broker), cordoned },
        Question::Unregister { broker, force } => {
            Request::UnregisterBroker { broker: BrokerId(broker), only_if_unused: !force }
        }
    };
    let metadata = &context.broker.metadata;
    let submitted = match question {
        Question::PermitAll { .. } => metadata.submit_within(request, LAST_PATIENCE).await,
        _ => metadata.submit(request).await,
    };
    let reply = match (submitted, &question) {
        (Ok(reply), _) => reply,
        (Err(code), Question::PermitAll { duration_ms, .. }) => {
            let time = (*duration_ms).clamp(1, LONGEST_PERMIT_MS).unsigned_abs();
            context.broker.cluster.let_go.hold_for(Duration::from_millis(time));
            return failed(code, "no active controller has answered: this broker alone may stop".to_owned());
        }
        (Err(code), _) => return failed(code, "no active controller has answered".to_owned()),
    };
    match (reply, question) {
        (Reply::Sessions(sessions), _) => {
            let controller = context.broker.metadata.controller();
            let file = &context.broker.config.static_settings;
            Answer::Cluster(status::of(&context.image(), &sessions, controller, file))
        }
        (Reply::Permit(answer), Question::AskPermit(ask)) => {
            note(&ask, &answer);
            Answer::Permit(permit_of(&context.image(), answer, &ask))
        }
        (Reply::PermitAll, _) => Answer::Done {},
        (Reply::ReleasePermit(result) | Reply::CordonBroker(result) | Reply::UnregisterBroker(result), _) => {
            done_or(result)
        }
        _ => failed(ErrorCode::UnknownServerError, "the controller answered something else".to_owned()),
    }
}

/// Permits leave a trace in the log of the broker that was asked; force is loud.
fn note(ask: &AskPermit, answer: &PermitAnswer) {
    let (broker, reason) = (ask.broker, &ask.reason);
    match answer {
        _ if ask.dry_run => {}
        PermitAnswer::Granted { epoch, overridden } if overridden.is_empty() => {
            tracing::info!(broker, epoch, reason, "restart permit");
        }
        PermitAnswer::Granted { epoch, overridden } => {
            let first = overridden.named.first().map(ToString::to_string).unwrap_or_default();
            let reasons = overridden.total;
            tracing::error!(
                broker,
                epoch,
                reason,
                reasons,
                first,
                "RESTART PERMIT FORCED: something suffers"
            );
        }
        PermitAnswer::Held { epoch } => tracing::info!(broker, epoch, reason, "restart permit held on to"),
        PermitAnswer::NotNeeded | PermitAnswer::Refused(_) => {}
    }
}

fn failed(code: ErrorCode, message: String) -> Answer {
    Answer::Failed { code: code.code(), message }
}

fn done_or(result: Result<(), controller::ApiError>) -> Answer {
    match result {
        Ok(()) => Answer::Done {},
        Err(error) => {
            let message = error.message.unwrap_or_else(|| error.code.to_string());
            failed(error.code, message)
        }
    }
}

fn ask_of(ask: &AskPermit) -> controller::AskPermit {
    controller::AskPermit {
        broker: BrokerId(ask.broker),
        broker_epoch: ask.broker_epoch.map_or(BrokerEpoch::NONE, BrokerEpoch),
        duration_ms: ask.duration_ms,
        force: ask.force,
        dry_run: ask.dry_run,
        reason: ask.reason.clone(),
        single_replica: ask.single_replica.map(|rule| match rule {
            SingleReplica::Allow => permit::Unsparable::Allow,
            SingleReplica::Refuse => permit::Unsparable::Refuse,
            SingleReplica::MoveAway => permit::Unsparable::MoveAwayFirst,
        }),
    }
}

fn permit_of(image: &Image, answer: PermitAnswer, ask: &AskPermit) -> Permit {
    let expires_in_ms = ask.duration_ms.clamp(1, LONGEST_PERMIT_MS);
    match answer {
        PermitAnswer::Granted { epoch, overridden } => {
            Permit::Granted { epoch, expires_in_ms, overridden: reasons_of(image, overridden) }
        }
        PermitAnswer::Held { epoch } => Permit::Held { epoch, expires_in_ms },
        PermitAnswer::NotNeeded => Permit::NotNeeded {},
        PermitAnswer::Refused(reasons) => Permit::Refused(reasons_of(image, reasons)),
    }
}

fn reasons_of(image: &Image, reasons: permit::Reasons) -> Reasons {
    let named = reasons.named.iter().map(|reason| reason_of(image, reason));
    Reasons { total: reasons.total, named: named.collect() }
}

fn reason_of(image: &Image, reason: &permit::Reason) -> Reason {
    use permit::Reason as Why;
    let name = |id: &TopicIdPartition| image.topic(id.topic_id).map(|topic| topic.name.to_string());
    let of = |kind, id: &TopicIdPartition, message: String| Reason {
        kind,
        message: format!("{}-{} {message}", name(id).unwrap_or_default(), id.partition),
        topic: name(id),
        partition: Some(id.partition),
    };
    let plain = |kind| Reason { kind, message: reason.to_string(), topic: None, partition: None };
    match reason {
        Why::UnknownBroker(_) => plain(ReasonKind::UnknownBroker),
        Why::StaleBrokerEpoch { .. } => plain(ReasonKind::StaleBrokerEpoch),
        Why::OtherPermit { .. } => plain(ReasonKind::OtherPermit),
        Why::Quorum { .. } => plain(ReasonKind::Quorum),
        Why::NotEnoughInSync { partition, remaining, required } => of(
            ReasonKind::NotEnoughInSync,
            partition,
            format!("would have {remaining} in-sync replicas and needs {required}"),
        ),
        Why::Unsparable { partition, replicas, required, move_away } => {
            let (kind, what) = if *move_away {
                (ReasonKind::MoveAwayFirst, "its replica has to move away first")
            } else {
                (ReasonKind::Unsparable, "the policy refuses")
            };
            let text = format!("can never spare a replica, having {replicas} and needing {required}: {what}");
            of(kind, partition, text)
        }
    }
}
