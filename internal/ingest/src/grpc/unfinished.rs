//! Counts the bytes of messages that have not come to their end: the codec keeps them until then, and nobody else knows of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use loglake_api::Refusal;
use loglake_model::ErrorKind;
use tonic::Status;

use crate::budget::{Budget, Held};

/// A message's prefix: whether it is compressed, and its length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

/// A request's body whose unfinished message holds as much of a budget as has come of it. Where there is no room it ends with
/// `RESOURCE_EXHAUSTED`: clients that send half a message and wait must not add up.
pub(super) struct Unfinished {
    body: Body,
    held: Held,
    budget: Budget,
    message: Message,
    request_id: String,
}

/// What has come of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Message {
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of it, with its prefix.
    came: usize,
}

impl Message {
    /// How long it is with its prefix, as soon as that is there.
    fn length(&self) -> Option<usize> {
        let [_, length @ ..] = self.prefix;
        (self.came >= PREFIX_BYTES).then(|| (u32::from_be_bytes(length) as usize).saturating_add(PREFIX_BYTES))
    }

    /// Takes in what came next, of this message and of those after it; what is left is the last one, unfinished.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = self.length().unwrap_or(PREFIX_BYTES) - self.came;
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(prefix) = self.prefix.get_mut(self.came..).filter(|left| !left.is_empty()) {
                prefix.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            }
            self.came += part.len();
            if self.length() == Some(self.came) {
                *self = Self::default();
            }
            bytes = rest;
        }
    }
}

impl Unfinished {
    pub(super) fn new(body: Body, budget: &Budget, request_id: &str) -> Self {
        let (held, message) = (budget.nothing(), Message::default());
        Self { body, held, budget: budget.clone(), message, request_id: request_id.to_owned() }
    }
}

/// The refusal when there is no room for more of a message that has not come to its end.
pub(super) fn too_many_unfinished() -> Refusal {
    let message = "too many bytes of messages are waiting for their end: try again in a moment";
    Refusal::new(ErrorKind::Exhausted, message)
}

impl HttpBody for Unfinished {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        if let Some(data) = frame.data_ref() {
            let before = this.message.came;
            this.message.take(data);
            if this.message.came < before {
                this.held = this.budget.nothing();
            }
            if !this.held.grow_to(this.message.came) {
                let status: Status = too_many_unfinished().to_grpc(&this.request_id);
                return Poll::Ready(Some(Err(Box::new(status))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_unfinished_is_the_last_message_however_it_is_cut(
            lengths in proptest::collection::vec(0_usize..40, 0..8),
            cut in 0_usize..200,
            pieces in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let mut whole = Vec::new();
            let mut ends = vec![0];
            for length in lengths {
                whole.push(0);
                whole.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
                whole.resize(whole.len() + length, 7);
                ends.push(whole.len());
            }
            let came = &whole[..cut.min(whole.len())];
            let (mut message, mut rest) = (Message::default(), came);
            for piece in pieces.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, after) = rest.split_at((*piece).min(rest.len()));
                message.take(part);
                rest = after;
            }
            let end = ends.into_iter().filter(|end| *end <= came.len()).max().unwrap_or(0);
            prop_assert_eq!(message.came, came.len() - end);
        }
    }
}
