//! What brokers say to each other beside Kafka's requests.
//!
//! Greetings and questions are JSON: self-describing, and a reader leaves out what it does not know. Messages of the
//! quorum are bytes of its own. Every body but a greeting names the cluster, so that a broker of another one is never
//! taken for a member.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_core::controller::{Reply, Request};
use ottla_core::quorum::{MembershipChange, Status};
use ottla_types::{BrokerId, ErrorCode, Uuid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who is there, and may I found a cluster?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who asks.
    pub from: BrokerId,
    /// The cluster of the asker; none if its disk is empty.
    pub cluster_id: Option<String>,
    /// It is a candidate to found a cluster, under this token.
    pub candidate: Option<Uuid>,
    /// It asks for the grant.
    pub wants_grant: bool,
}

/// The answer to a greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// Who answers.
    pub node: BrokerId,
    /// The cluster it belongs to; none if its disk is empty.
    pub cluster_id: Option<String>,
    /// It is a candidate itself, under this token.
    pub candidate: Option<Uuid>,
    /// The asker has its grant.
    pub granted: bool,
    /// Who leads the quorum, as far as it knows.
    pub leader: Option<BrokerId>,
    /// Where the brokers are that it knows.
    pub addresses: BTreeMap<BrokerId, String>,
}

/// A question to the active controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// A request of the controller.
    Control(Box<Request>),
    /// What the leader of the quorum knows of it.
    QuorumStatus,
    /// Change who takes part in the quorum.
    ChangeMembership(MembershipChange),
}

/// A question and its cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The asker's.
    pub cluster_id: String,
    /// What is asked.
    pub question: Question,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// The controller's reply.
    Control(Box<Reply>),
    /// The quorum.
    Status(Status),
    /// It is done.
    Done,
    /// It was not done, or it is not known whether it was.
    Failed(ErrorCode),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What came of it.
    pub said: Said,
    /// Metadata up to here holds what follows from it.
    pub offset: u64,
    /// Who leads, as far as the answering broker knows.
    pub leader: Option<BrokerId>,
}

/// A message of the quorum under the cluster it belongs to.
pub fn put_quorum_message(cluster_id: &str, message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + cluster_id.len() + message.len());
    out.put_u8(u8::try_from(cluster_id.len()).unwrap_or(u8::MAX));
    out.put_slice(cluster_id.as_bytes());
    out.put_slice(message);
    out.freeze()
}

/// Splits it again; `None` if it is malformed or of another cluster.
pub fn take_quorum_message(mut body: Bytes, cluster_id: &str) -> Option<Bytes> {
    let length = usize::from(body.try_get_u8().ok()?);
    if length > body.len() {
        return None;
    }
    let named = body.split_to(length);
    (named == cluster_id.as_bytes()).then_some(body)
}

/// Writes a body.
pub fn to_json(body: &impl Serialize) -> Bytes {
    match serde_json::to_vec(body) {
        Ok(bytes) => bytes.into(),
        Err(error) => unreachable!("plain data can be written: {error}"),
    }
}

/// Reads a body.
///
/// # Errors
/// If it is none of that kind.
pub fn from_json<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_message_of_another_cluster_is_not_read() {
        let sent = put_quorum_message("ours", b"vote");
        assert_eq!(take_quorum_message(sent.clone(), "ours"), Some(Bytes::from_static(b"vote")));
        assert_eq!(take_quorum_message(sent, "theirs"), None);
        assert_eq!(take_quorum_message(Bytes::from_static(&[200, 1]), "ours"), None);
    }

    #[test]
    fn a_question_reads_back_and_unknown_fields_are_left_out() {
        let ask = Ask {
            cluster_id: "c".to_owned(),
            question: Question::Control(Box::new(Request::DescribeSessions)),
        };
        assert_eq!(from_json::<Ask>(&to_json(&ask)).unwrap(), ask);
        let newer = br#"{"from":1,"cluster_id":null,"candidate":null,"wants_grant":false,"mood":"good"}"#;
        assert_eq!(from_json::<Hello>(newer).unwrap().from, BrokerId(1));
    }
}
