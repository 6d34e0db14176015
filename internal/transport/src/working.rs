use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::Work;

/// The body of an answer, whose request is in progress until the body was taken or given up.
#[derive(Debug)]
pub struct Working<B> {
    body: B,
    _work: Work,
}

impl<B> Working<B> {
    /// Keeps `work` for as long as there is `body`.
    pub fn new(body: B, work: Work) -> Self {
        Self { body, _work: work }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Working<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
