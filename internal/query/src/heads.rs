use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use loglake_broker::Reader;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Error;

/// What was acknowledged when a query came: for each partition, in order, the offset below which everything lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads(pub(crate) Vec<u64>);

type Answer = Shared<BoxFuture<'static, Result<Arc<Heads>, Error>>>;

/// Asks the broker for the latest offsets, once for all queries that came before the request was sent.
pub(crate) struct HeadReader {
    reader: Arc<dyn Reader>,
    /// The topic that this service began with: another one's offsets mean other records.
    topic_id: Arc<OnceLock<String>>,
    /// The request that has not been sent yet, which newcomers join.
    waiting: Arc<Mutex<Option<Answer>>>,
    /// Held by the request that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl HeadReader {
    /// `topic_id`: that of the topic whose incarnation is served, where it is known.
    pub(crate) fn new(reader: Arc<dyn Reader>, topic_id: Option<String>) -> Self {
        let topic_id = Arc::new(topic_id.map_or_else(OnceLock::new, OnceLock::from));
        Self { reader, topic_id, waiting: Arc::default(), turn: Arc::default() }
    }

    /// The offsets as they are at some moment after this call came.
    pub(crate) async fn now(&self) -> Result<Arc<Heads>, Error> {
        self.join().await
    }

    fn join(&self) -> Answer {
        let mut waiting = self.waiting.lock();
        if let Some(answer) = &*waiting {
            return answer.clone();
        }
        let (tell, told) = oneshot::channel();
        let ended = || Error::Internal("the request for offsets ended without an answer".to_owned());
        let answer = async move { told.await.unwrap_or_else(|_| Err(ended())) }.boxed().shared();
        *waiting = Some(answer.clone());
        let (reader, joinable, turn) = (Arc::clone(&self.reader), Arc::clone(&self.waiting), Arc::clone(&self.turn));
        let topic_id = Arc::clone(&self.topic_id);
        // A task of its own: a caller that hangs up must not take the answer from the others.
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            *joinable.lock() = None;
            // All who waited may have hung up.
            let _ = tell.send(ask(reader.as_ref(), &topic_id).await.map(Arc::new));
        });
        answer
    }
}

async fn ask(reader: &dyn Reader, topic_id: &OnceLock<String>) -> Result<Heads, Error> {
    // Partitions may have been added a moment ago.
    let topic = reader.topic().await?;
    if topic_id.get_or_init(|| topic.id.clone()) != &topic.id {
        let what = "the topic was made anew since this service started: restart it";
        return Err(loglake_broker::Error::Unavailable(what.to_owned()).into());
    }
    let partitions: Vec<u32> = (0..topic.partitions).collect();
    let offsets = reader.offsets(&partitions).await?;
    let is_whole = offsets.iter().map(|offsets| offsets.partition).eq(partitions);
    if !is_whole {
        return Err(Error::Internal("the broker answered for other partitions than asked".to_owned()));
    }
    Ok(Heads(offsets.into_iter().map(|offsets| offsets.latest).collect()))
}
