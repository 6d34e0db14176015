//! Decompresses messages before the codec sees them: a codec does it on the threads that serve all, and as many at a time as there
//! are streams.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use loglake_api::Refusal;
use loglake_model::{ErrorKind, Fault, FaultCode, TenantName};

use super::unfinished::too_many_unfinished;
use crate::budget::{Budget, Held};
use crate::inflate::{Inflated, Inflater};

/// The header that says how messages of a request are compressed.
const ENCODING: &str = "grpc-encoding";
/// A message's prefix: whether it is compressed, and its length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;
/// The first byte of the prefix of a message that is compressed.
const COMPRESSED: u8 = 1;

/// What is known by the names that gRPC has for it. Removes the header when it is one of them: the codec gets messages that are not
/// compressed. Of others, the codec says which it knows.
pub(super) fn take_encoding(headers: &mut HeaderMap) -> Option<&'static str> {
    let named = headers.get(ENCODING)?.to_str().ok()?;
    let known = ["gzip", "zstd"].into_iter().find(|name| named == *name)?;
    headers.remove(ENCODING);
    Some(known)
}

/// A request's body in which no message is compressed any more. A message that is, is collected first, its bytes counted in a budget.
pub(super) struct Decompressed {
    body: Body,
    tenant: TenantName,
    encoding: &'static str,
    inflater: Inflater,
    /// Of a message, compressed and not.
    max_bytes: usize,
    budget: Budget,
    /// What came and was not looked at.
    input: Bytes,
    reading: Reading,
    /// The message that was decompressed and is to be handed on, after its prefix.
    message: Option<Bytes>,
    request_id: String,
}

/// Where in the body it is.
enum Reading {
    /// In the prefix of a message.
    Prefix(BytesMut),
    /// In a message that is not compressed, before so many bytes of it.
    Plain(usize),
    /// In a compressed message of so many bytes.
    Compressed { came: BytesMut, length: usize, held: Held },
    /// Waiting for a message to be decompressed.
    Inflating { inflated: Pin<Box<dyn Future<Output = Result<Inflated, Refusal>> + Send>>, _held: Held },
}

impl Reading {
    fn next() -> Self {
        Self::Prefix(BytesMut::with_capacity(PREFIX_BYTES))
    }
}

impl Decompressed {
    pub(super) fn new(
        body: Body,
        tenant: &TenantName,
        encoding: &'static str,
        inflater: &Inflater,
        max_bytes: usize,
        budget: &Budget,
        request_id: &str,
    ) -> Self {
        Self {
            body,
            tenant: tenant.clone(),
            encoding,
            inflater: inflater.clone(),
            max_bytes,
            budget: budget.clone(),
            input: Bytes::new(),
            reading: Reading::next(),
            message: None,
            request_id: request_id.to_owned(),
        }
    }

    /// Looks at what came; what is to be handed on of it, if anything is.
    fn step(&mut self) -> Result<Option<Bytes>, Refusal> {
        match &mut self.reading {
            Reading::Prefix(prefix) => {
                let missing = PREFIX_BYTES - prefix.len();
                prefix.extend_from_slice(&self.input.split_to(missing.min(self.input.len())));
                let [flag, length @ ..] = &prefix[..] else { return Ok(None) };
                let Ok(length) = <[u8; 4]>::try_from(length) else { return Ok(None) };
                let length = u32::from_be_bytes(length) as usize;
                if *flag == COMPRESSED {
                    if length > self.max_bytes {
                        return Err(too_large(self.max_bytes, length));
                    }
                    self.reading = Reading::Compressed { came: BytesMut::new(), length, held: self.budget.nothing() };
                    // There may be nothing of it to wait for.
                    return self.step();
                }
                let prefix = prefix.split().freeze();
                self.reading = if length == 0 { Reading::next() } else { Reading::Plain(length) };
                Ok(Some(prefix))
            }
            Reading::Plain(left) => {
                let part = self.input.split_to((*left).min(self.input.len()));
                *left -= part.len();
                if *left == 0 {
                    self.reading = Reading::next();
                }
                Ok(Some(part))
            }
            Reading::Compressed { came, length, held } => {
                let part = self.input.split_to((*length - came.len()).min(self.input.len()));
                if !held.grow_to(came.len() + part.len()) {
                    return Err(too_many_unfinished());
                }
                came.extend_from_slice(&part);
                if came.len() == *length {
                    let (came, held) = (came.split().freeze(), std::mem::replace(held, self.budget.nothing()));
                    let (inflater, tenant) = (self.inflater.clone(), self.tenant.clone());
                    let (encoding, most) = (self.encoding, self.max_bytes);
                    let inflated = async move { inflater.inflate(&tenant, encoding, ENCODING, came, most).await };
                    let inflated = Box::pin(inflated);
                    self.reading = Reading::Inflating { inflated, _held: held };
                }
                Ok(None)
            }
            // Nothing is looked at before that is done.
            Reading::Inflating { .. } => Ok(None),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        loop {
            if let Some(message) = self.message.take() {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            if let Reading::Inflating { inflated, .. } = &mut self.reading {
                let inflated = ready!(inflated.as_mut().poll(cx));
                self.reading = Reading::next();
                let message = match inflated {
                    Ok(inflated) => inflated.into_bytes_with_turn(),
                    Err(refusal) => return Poll::Ready(Some(Err(self.refused(&refusal)))),
                };
                // It is of at most `max_bytes`, which a length of four bytes can say.
                let [.., a, b, c, d] = (message.len() as u64).to_be_bytes();
                let prefix = Bytes::copy_from_slice(&[0, a, b, c, d]);
                self.message = Some(message).filter(|message| !message.is_empty());
                return Poll::Ready(Some(Ok(Frame::data(prefix))));
            }
            if self.input.has_remaining() {
                match self.step() {
                    Ok(None) => continue,
                    Ok(Some(part)) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                    Err(refusal) => return Poll::Ready(Some(Err(self.refused(&refusal)))),
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    let is_cut = match &self.reading {
                        Reading::Prefix(prefix) => !prefix.is_empty(),
                        Reading::Compressed { .. } => true,
                        // The codec misses the rest.
                        Reading::Plain(_) | Reading::Inflating { .. } => false,
                    };
                    if !is_cut {
                        return Poll::Ready(None);
                    }
                    self.reading = Reading::next();
                    let fault = Fault::new(FaultCode::Malformed, "", "the last message ended before it was whole");
                    return Poll::Ready(Some(Err(self.refused(&fault.into()))));
                }
            }
        }
    }

    fn refused(&self, refusal: &Refusal) -> axum::BoxError {
        Box::new(refusal.to_grpc(&self.request_id))
    }
}

fn too_large(limit: usize, actual: usize) -> Refusal {
    let message = format!("a message has at most {limit} bytes: cut it into several");
    let fault = Fault::new(FaultCode::TooLarge, "", message).with_limit(limit as u64, actual as u64);
    Refusal::of(ErrorKind::TooLarge, fault)
}

impl HttpBody for Decompressed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.get_mut().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        // What was read may not be handed on yet; the end is told by what comes after it.
        false
    }

    fn size_hint(&self) -> SizeHint {
        // Nobody knows how much comes out.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;
