//! Undoes the encoding of what clients send: off the threads that serve others, few at a time, each up to its limit.

use std::sync::Arc;

use bytes::Bytes;
use loglake_api::Refusal;
use loglake_auth::limits::{Turn, Turns};
use loglake_model::{ErrorKind, Fault, FaultCode, TenantName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many are decompressed at a time: until one is done, nobody knows how large it will be. Of a tenant no more stand in the line for
/// it, so that who has many is not before all others.
const AT_A_TIME: usize = 2;

/// Who may decompress at the moment. Clones share it; whoever waits is served in turn.
#[derive(Clone, Debug)]
pub(crate) struct Inflater {
    turns: Arc<Semaphore>,
    tenants: Arc<Turns>,
}

/// What came out, with the turn that it took.
#[derive(Debug)]
pub(crate) struct Inflated {
    bytes: Bytes,
    _turn: (Turn, OwnedSemaphorePermit),
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_A_TIME)), tenants: Arc::default() }
    }

    /// Decodes `bytes` of `tenant`, which the header `field` says are encoded by `encoding`, as soon as it is their turn.
    ///
    /// # Errors
    /// `TooLarge` when more than `limit` bytes come out, `Invalid` for bytes that are damaged, cut or encoded otherwise.
    pub(crate) async fn inflate(
        &self,
        tenant: &TenantName,
        encoding: &'static str,
        field: &'static str,
        bytes: Bytes,
        limit: usize,
    ) -> Result<Inflated, Refusal> {
        let internal =
            || Refusal::new(ErrorKind::Internal, "the body could not be decoded; this is a fault of the server");
        let own = self.tenants.wait(tenant, AT_A_TIME).await.map_err(|_| internal())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| internal())?;
        let inflating = tokio::task::spawn_blocking(move || {
            let inflated = loglake_formats::inflate(Some(encoding), bytes, limit);
            inflated.map(|bytes| Inflated { bytes, _turn: (own, turn) })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_has_many_is_not_before_all_others_in_the_line() {
        let inflater = Inflater::new();
        let body = Bytes::from(zstd::bulk::compress(b"a body", 1).unwrap());
        let inflate = |tenant: &str| {
            let (inflater, body, tenant) = (inflater.clone(), body.clone(), TenantName::parse(tenant).unwrap());
            tokio::spawn(async move { inflater.inflate(&tenant, "zstd", "", body, 100).await.unwrap() })
        };
        let held = [inflate("noisy").await.unwrap(), inflate("noisy").await.unwrap()];
        assert_eq!(inflater.turns.available_permits(), 0);
        let many: Vec<_> = (0..20).map(|_| inflate("noisy")).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let quiet = inflate("quiet");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let [first, second] = held;
        drop(first);
        // One turn, and all of the noisy one's that came before it still wait.
        assert_eq!(quiet.await.unwrap().into_bytes(), b"a body".as_slice());
        assert!(many.iter().all(|one| !one.is_finished()));
        drop(second);
        for one in many {
            assert_eq!(one.await.unwrap().into_bytes(), b"a body".as_slice());
        }
    }
}
