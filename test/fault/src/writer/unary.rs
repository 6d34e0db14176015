use tonic::Code;

use super::answer::note_result;
use super::letter::Letter;
use super::post::{Courier, Sent};
use super::target;
use super::wire::{self, Client};
use crate::load::Source;

/// Carries single batches over gRPC.
#[derive(Debug, Default)]
pub(super) struct Unary {
    client: Option<Client>,
    turn: usize,
}

impl Courier for Unary {
    async fn send(&mut self, source: &Source, letter: &Letter) -> Sent {
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                self.turn += 1;
                let connected = match target(source, self.turn) {
                    Some(to) => wire::connect(&to).await,
                    None => None,
                };
                match connected {
                    Some(client) => none.insert(client),
                    None => return Sent::Not,
                }
            }
        };
        let mut request = wire::request(source, wire::batch(letter, 1, 0));
        if let Some(key) = letter.key.as_ref().and_then(|key| key.parse().ok()) {
            request.metadata_mut().insert("idempotency-key", key);
        }
        source.ledger.attempt(letter.numbers());
        match tokio::time::timeout(source.plan.patience, client.ingest_batch(request)).await {
            Ok(Ok(result)) if note_result(&source.ledger, letter, result.get_ref()) => return Sent::Answered,
            // For what it says; nothing of it is kept.
            Ok(Err(status)) if status.code() == Code::InvalidArgument => {
                source.ledger.retract(letter.numbers());
                return Sent::Answered;
            }
            // Whatever it was: the outcome is unknown, and another ingestor may be better.
            _failed => {}
        }
        self.client = None;
        Sent::Unknown
    }
}
