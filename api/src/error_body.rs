use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The body of every HTTP answer that is an error: `{"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
    /// How many of the request's records are durable nevertheless, where that is the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
}

/// What is wrong with a request, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// One of the closed list of [`loglake_model::FaultCode`].
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// The field, parameter or header at fault, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The record at fault, from 0, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_index: Option<u64>,
    /// The limit that was passed, in the unit that the message names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What was found instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<u64>,
    /// The request's id, as in the header `X-Request-Id`.
    pub request_id: String,
}
