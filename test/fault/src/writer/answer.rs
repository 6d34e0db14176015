use loglake_api::ingest::v1::BatchResult;
use serde_json::Value;

use super::letter::Letter;
use crate::ledger::Ledger;

/// Notes an answer of a server that took some records of `letter` and refused those at `refused` (places, from 0) for what
/// they say. Anything else stays unknown.
pub(super) fn note(ledger: &Ledger, letter: &Letter, accepted: u64, rejected: u64, refused: &[usize]) {
    if accepted + rejected != letter.records.len() as u64 || refused.len() as u64 != rejected {
        return;
    }
    let (bad, good): (Vec<_>, Vec<_>) = letter.numbers().enumerate().partition(|(place, _)| refused.contains(place));
    ledger.acknowledge(good.into_iter().map(|(_, number)| number));
    ledger.retract(bad.into_iter().map(|(_, number)| number));
}

/// Notes an answer of gRPC. Returns whether it is one: not if the batch is to be sent again.
pub(super) fn note_result(ledger: &Ledger, letter: &Letter, result: &BatchResult) -> bool {
    if !result.retry_reason.is_empty() {
        return false;
    }
    let refused: Vec<usize> =
        result.errors.iter().filter_map(|error| usize::try_from(error.record_index).ok()).collect();
    note(ledger, letter, result.accepted, result.rejected, &refused);
    true
}

/// Notes an answer of HTTP.
pub(super) fn note_json(ledger: &Ledger, letter: &Letter, answer: &Value) {
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    // Lines count from 1.
    let place = |error: &Value| usize::try_from(error["line"].as_u64()?.checked_sub(1)?).ok();
    let refused: Vec<usize> = answer["errors"].as_array().into_iter().flatten().filter_map(place).collect();
    note(ledger, letter, count("accepted"), count("rejected"), &refused);
}
