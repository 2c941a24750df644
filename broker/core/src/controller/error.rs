//! Why a request, or one item of it, was refused.

use ottla_types::ErrorCode;

/// Kafka's error code with words for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{code}: {}", message.as_deref().unwrap_or("no details"))]
pub struct ApiError {
    /// The code on the wire.
    pub code: ErrorCode,
    /// What is wrong, in words.
    pub message: Option<String>,
}

impl ApiError {
    /// A code with words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}
