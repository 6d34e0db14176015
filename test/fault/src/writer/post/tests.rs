use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::prelude::*;

use super::*;
use crate::ledger::Ledger;
use crate::load::Plan;
use crate::site::Site;
use crate::writer::Kind;

/// Gives the outcomes that it is told, and keeps what it was given.
struct Scripted {
    script: VecDeque<Sent>,
    carried: Vec<(Option<String>, Vec<u64>)>,
}

impl Courier for Scripted {
    async fn send(&mut self, source: &Source, letter: &Letter) -> Sent {
        self.carried.push((letter.key.clone(), letter.numbers().collect()));
        let sent = self.script.pop_front().unwrap_or(Sent::Unknown);
        if sent != Sent::Not {
            source.ledger.attempt(letter.numbers());
        }
        sent
    }
}

fn source(kind: Kind) -> Source {
    Source {
        ledger: Arc::new(Ledger::new(vec!["alpha".to_owned()])),
        plan: Plan { patience: Duration::from_millis(250), ..Plan::default() },
        site: Site::default(),
        writer: 0,
        kind,
        tenant: 0,
        random: StdRng::seed_from_u64(1),
        stop: Arc::<AtomicBool>::default(),
    }
}

async fn delivered(source: &mut Source, script: &[Sent]) -> (Sent, Scripted) {
    let letter = Letter::write(source);
    let mut courier = Scripted { script: script.iter().copied().collect(), carried: Vec::new() };
    let sent = deliver(source, &mut courier, &letter).await;
    (sent, courier)
}

#[tokio::test]
async fn what_has_a_key_is_sent_again_as_it_is_until_it_is_answered() {
    let mut source = source(Kind::KeyedHttp);
    let (sent, courier) = delivered(&mut source, &[Sent::Unknown, Sent::Not, Sent::Unknown, Sent::Answered]).await;
    assert_eq!((sent, courier.carried.len()), (Sent::Answered, 4));
    assert!(courier.carried[0].0.is_some());
    assert!(courier.carried.iter().all(|carried| *carried == courier.carried[0]), "{:?}", courier.carried);
    let entries = source.ledger.entries();
    assert!(entries.iter().all(|entry| (entry.attempts, entry.most()) == (3, 1)));
}

#[tokio::test]
async fn what_has_none_is_sent_once() {
    let mut source = source(Kind::Http);
    let (sent, courier) = delivered(&mut source, &[Sent::Not, Sent::Not, Sent::Unknown, Sent::Answered]).await;
    assert_eq!((sent, courier.carried.len()), (Sent::Unknown, 3));
    assert_eq!(courier.carried[0].0, None);
    assert_eq!(source.ledger.resent(), 0);
}

#[tokio::test]
async fn a_writer_that_is_stopped_gives_up_when_its_patience_ends() {
    let mut source = source(Kind::KeyedUnary);
    source.stop.store(true, Ordering::Relaxed);
    let (sent, courier) = delivered(&mut source, &[]).await;
    assert_eq!(sent, Sent::Unknown);
    assert!(courier.carried.len() > 1, "it tries on for a while");
    assert_eq!(source.ledger.resent(), source.ledger.counts().0);
}
