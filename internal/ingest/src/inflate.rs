//! Undoes the encoding of what clients send: off the threads that serve others, few at a time, each up to its limit.

use std::sync::Arc;

use bytes::Bytes;
use loglake_api::Refusal;
use loglake_model::{ErrorKind, Fault, FaultCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many are decompressed at a time: until one is done, nobody knows how large it will be.
const AT_A_TIME: usize = 2;

/// Who may decompress at the moment. Clones share it; whoever waits is served in turn.
#[derive(Clone, Debug)]
pub(crate) struct Inflater {
    turns: Arc<Semaphore>,
}

/// What came out, with the turn that it took.
#[derive(Debug)]
pub(crate) struct Inflated {
    bytes: Bytes,
    _turn: OwnedSemaphorePermit,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Decodes `bytes`, which the header `field` says are encoded by `encoding`, as soon as it is their turn.
    ///
    /// # Errors
    /// `TooLarge` when more than `limit` bytes come out, `Invalid` for bytes that are damaged, cut or encoded otherwise.
    pub(crate) async fn inflate(
        &self,
        encoding: &'static str,
        field: &'static str,
        bytes: Bytes,
        limit: usize,
    ) -> Result<Inflated, Refusal> {
        let internal =
            || Refusal::new(ErrorKind::Internal, "the body could not be decoded; this is a fault of the server");
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| internal())?;
        let inflating = tokio::task::spawn_blocking(move || {
            let inflated = loglake_formats::inflate(Some(encoding), bytes, limit);
            inflated.map(|bytes| Inflated { bytes, _turn: turn })
        });
        inflating.await.map_err(|_| internal())?.map_err(|error| {
            let code = match error.kind() {
                ErrorKind::Invalid => FaultCode::Malformed,
                kind => loglake_api::status::code(kind),
            };
            let mut fault = Fault::new(code, field, error.to_string());
            if error.kind() == ErrorKind::TooLarge {
                fault.limit = Some(limit as u64);
            }
            Refusal::of(error.kind(), fault)
        })
    }
}

impl Inflated {
    /// What came out; the next one has its turn.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What came out; the next one has its turn only when these bytes and all slices of them are dropped.
    pub(crate) fn into_bytes_with_turn(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Inflated {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
