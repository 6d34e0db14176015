//! Answers that are ready and that their clients have not taken: whoever asks for much and reads nothing must not fill the memory.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use loglake_auth::limits::{Turn, Turns};
use loglake_model::{Fault, FaultCode, TenantName};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::Error;

/// What all answers together may have, and those of a tenant, in KiB. A larger answer takes as much as there is.
const TOTAL_KIB: usize = 128 << 10;
const OWN_KIB: usize = 64 << 10;
/// How an answer is handed to its connection: what was handed over counts no more.
const PIECE_BYTES: usize = 32 << 10;
/// How long an answer waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take for a piece. After that the answer is given up, and its connection ends.
const STALL: Duration = Duration::from_secs(30);
/// How often that is looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Unsent {
    free: Arc<Semaphore>,
    tenants: Turns,
    answers: Mutex<Vec<Weak<Mutex<Left>>>>,
}

/// What is left of an answer; `None` once it was given up.
#[derive(Debug)]
struct Left {
    bytes: Option<Bytes>,
    /// When a piece was taken last.
    taken_at: Instant,
    _room: Option<(Turn, OwnedSemaphorePermit)>,
}

impl Default for Unsent {
    fn default() -> Self {
        let free = Arc::new(Semaphore::new(TOTAL_KIB));
        Self { free, tenants: Turns::default(), answers: Mutex::default() }
    }
}

impl Unsent {
    /// Makes a body of an answer to `tenant`, once there is room for it.
    ///
    /// # Errors
    /// `rate_limited` when there is none in time.
    pub(crate) async fn body(&self, tenant: &TenantName, bytes: Vec<u8>, deadline: Instant) -> Result<Answer, Error> {
        let until = deadline.min(Instant::now() + PATIENCE);
        let room = timeout_at(until, self.room(tenant, bytes.len())).await.unwrap_or_else(|_| {
            let message = format!(
                "the tenant's clients have not taken some {} MiB of answers: read them, and come again",
                OWN_KIB >> 10
            );
            Err(Fault::new(FaultCode::RateLimited, "", message).into())
        })?;
        let is_long = bytes.len() > PIECE_BYTES;
        let left = Left { bytes: Some(bytes.into()), taken_at: Instant::now(), _room: Some(room) };
        let left = Arc::new(Mutex::new(left));
        if is_long {
            let mut answers = self.answers.lock();
            // At most as many as are held, twice.
            if answers.len() == answers.capacity() {
                answers.retain(|answer| answer.strong_count() > 0);
            }
            answers.push(Arc::downgrade(&left));
        }
        Ok(Answer(left))
    }

    async fn room(&self, tenant: &TenantName, bytes: usize) -> Result<(Turn, OwnedSemaphorePermit), Error> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10).min(OWN_KIB)).unwrap_or(1);
        let internal = |error: tokio::sync::AcquireError| Error::Internal(error.to_string());
        let own = self.tenants.wait_for(tenant, OWN_KIB, kib).await.map_err(internal)?;
        let all = Arc::clone(&self.free).acquire_many_owned(kib).await.map_err(internal)?;
        Ok((own, all))
    }

    /// Gives up answers of which nothing is taken, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.answers.lock().retain(|answer| {
                let Some(answer) = answer.upgrade() else { return false };
                let mut left = answer.lock();
                let is_stuck = left.taken_at.elapsed() > STALL;
                if is_stuck {
                    (left.bytes, left._room) = (None, None);
                }
                !is_stuck
            });
        }
    }
}

/// The body of an answer, handed over piece by piece.
#[derive(Debug)]
pub(crate) struct Answer(Arc<Mutex<Left>>);

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut left = self.0.lock();
        left.taken_at = Instant::now();
        let Some(bytes) = &mut left.bytes else {
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        };
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().bytes.as_ref().is_some_and(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().bytes.as_ref().map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use loglake_model::ErrorKind;

    use super::*;

    fn name(text: &str) -> TenantName {
        TenantName::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_whole_and_those_that_nobody_takes_are_given_up() {
        let unsent = Arc::new(Unsent::default());
        let later = || Instant::now() + Duration::from_secs(60);
        let whole: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let answer = unsent.body(&name("acme"), whole.clone(), later()).await.unwrap();
        assert_eq!(answer.size_hint().exact(), Some(100_000));
        assert_eq!(answer.collect().await.unwrap().to_bytes(), whole);
        let empty = unsent.body(&name("acme"), Vec::new(), later()).await.unwrap();
        assert!(empty.is_end_stream());
        // Four of 16 MiB are all that a tenant may have.
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(unsent.body(&name("noisy"), vec![0; 16 << 20], later()).await.unwrap());
        }
        let refused = unsent.body(&name("noisy"), vec![0; 16 << 20], later()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Exhausted);
        unsent.body(&name("quiet"), vec![0; 16 << 20], later()).await.unwrap();
        // One that is read is no stuck one.
        let sweeping = tokio::spawn({
            let unsent = Arc::clone(&unsent);
            async move { unsent.sweep().await }
        });
        let mut read = held.pop().unwrap();
        for _ in 0..10 {
            tokio::time::sleep(STALL / 3).await;
            read.frame().await.unwrap().unwrap();
        }
        assert!(held[0].frame().await.unwrap().is_err());
        unsent.body(&name("noisy"), vec![0; 48 << 20], later()).await.unwrap();
        sweeping.abort();
    }
}
