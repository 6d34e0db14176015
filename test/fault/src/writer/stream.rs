use std::collections::HashMap;
use std::time::{Duration, Instant};

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_response::Kind as Answer;
use loglake_api::ingest::v1::{IngestRequest, Open};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::answer::note_result;
use super::letter::Letter;
use super::wire::{self, Client};
use super::{AGAIN, target};
use crate::load::Source;

/// How many batches a stream has on the way.
pub(super) const IN_FLIGHT: usize = 4;

/// Sends batches over a gRPC stream, some on the way at a time.
pub(super) async fn run(mut source: Source) {
    let mut turn = 0;
    while !source.is_stopped() {
        turn += 1;
        let connected = match target(&source, turn) {
            Some(to) => wire::connect(&to).await,
            None => None,
        };
        if let Some(mut client) = connected {
            // The end of a stream, in order or not, leaves what was on the way unknown.
            let _ended = one_stream(&mut source, &mut client).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn one_stream(source: &mut Source, client: &mut Client) -> Option<()> {
    let (to_server, outgoing) = mpsc::channel(IN_FLIGHT);
    let open = IngestRequest { kind: Some(Kind::Open(Open::default())) };
    to_server.send(open).await.ok()?;
    let request = wire::request(source, ReceiverStream::new(outgoing));
    let patience = source.plan.patience;
    let mut results = tokio::time::timeout(patience, client.ingest(request)).await.ok()?.ok()?.into_inner();
    let mut on_the_way = HashMap::<u64, Letter>::new();
    let mut number = 0;
    let mut heard = Instant::now();
    let mut to_server = Some(to_server);
    loop {
        if source.is_stopped() {
            // Half-close: the server answers what it has and ends.
            to_server = None;
            if on_the_way.is_empty() {
                return Some(());
            }
        }
        if let Some(to_server) = &to_server
            && on_the_way.len() < IN_FLIGHT
        {
            let letter = Letter::write(source);
            number += 1;
            source.ledger.attempt(letter.numbers());
            let batch = wire::batch(&letter, number, 0);
            on_the_way.insert(number, letter);
            to_server.send(IngestRequest { kind: Some(Kind::Batch(batch)) }).await.ok()?;
        }
        let wait = if on_the_way.len() < IN_FLIGHT { source.plan.pause } else { Duration::from_secs(1) };
        match tokio::time::timeout(wait, results.message()).await {
            Ok(Ok(Some(answer))) => {
                heard = Instant::now();
                if let Some(Answer::Result(result)) = answer.kind
                    && let Some(letter) = on_the_way.remove(&result.number)
                {
                    note_result(&source.ledger, &letter, &result);
                    tokio::time::sleep(source.plan.pause).await;
                }
            }
            Ok(_ended) => return None,
            Err(_quiet) if heard.elapsed() > patience && !on_the_way.is_empty() => return None,
            Err(_quiet) => {}
        }
    }
}
