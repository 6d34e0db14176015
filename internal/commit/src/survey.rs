//! What a check looks at first: which objects there are, without judging how they fit together. [`Chain::read`] refuses a
//! chain at its first fault; a check goes on and names them all.

use loglake_store::{ObjectStore, list_all};

use crate::keys::{chain_folder, checkpoint_seq, entry_seq, incarnations_folder, segment_seq};
use crate::{Chain, Error};

/// Sorts after everything in a folder: no key has a higher character.
const LAST: &str = "~~~~";

/// The objects of one chain's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The numbers of the entries, ascending.
    pub entries: Vec<u64>,
    /// The numbers of the checkpoints, ascending.
    pub checkpoints: Vec<u64>,
    /// The keys of the segments.
    pub segments: Vec<String>,
    /// Keys of anything else.
    pub strangers: Vec<String>,
}

impl Chain {
    /// Lists the chain's folder.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn survey(&self) -> Result<Survey, Error> {
        let mut survey = Survey::default();
        for object in list_all(self.store(), self.folder()).await? {
            if let Some(seq) = entry_seq(self.folder(), &object.key) {
                survey.entries.push(seq);
            } else if let Some(seq) = checkpoint_seq(self.folder(), &object.key) {
                survey.checkpoints.push(seq);
            } else if segment_seq(self.folder(), &object.key).is_some() {
                survey.segments.push(object.key);
            } else {
                survey.strangers.push(object.key);
            }
        }
        Ok(survey)
    }
}

/// The chains of `cluster` that have objects in the bucket, as (incarnation, partition), ascending, and the keys found where
/// none belong. One LIST a chain, however long it is.
///
/// # Errors
/// `Unavailable`.
pub async fn chains(store: &dyn ObjectStore, cluster: &str) -> Result<(Vec<(u32, u32)>, Vec<String>), Error> {
    let root = format!("commits/{cluster}/");
    let incarnations = incarnations_folder(cluster);
    let (mut chains, mut strangers) = (Vec::new(), Vec::new());
    let mut after = None::<String>;
    loop {
        let page = store.list(&root, after.as_deref()).await?;
        let Some(first) = page.objects.into_iter().next() else { break };
        if first.key.starts_with(&incarnations) {
            after = Some(format!("{incarnations}{LAST}"));
            continue;
        }
        match chain_of(&root, &first.key) {
            Some((incarnation, partition)) => {
                chains.push((incarnation, partition));
                after = Some(format!("{}{LAST}", chain_folder(cluster, incarnation, partition)));
            }
            None => {
                after = Some(first.key.clone());
                strangers.push(first.key);
            }
        }
    }
    // As text 10 comes before 2.
    chains.sort_unstable();
    Ok((chains, strangers))
}

/// Which chain's folder `key` lies in.
fn chain_of(root: &str, key: &str) -> Option<(u32, u32)> {
    let mut parts = key.strip_prefix(root)?.splitn(3, '/');
    let (incarnation, partition) = (parts.next()?, parts.next()?);
    parts.next()?;
    let numbers = (incarnation.parse::<u32>().ok()?, partition.parse::<u32>().ok()?);
    // Another way to write the same numbers is another folder.
    (format!("{}", numbers.0) == incarnation && format!("{:05}", numbers.1) == partition).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use loglake_store::MemoryStore;

    use super::*;
    use crate::keys::{checkpoint_key, entry_key, segment_key};

    #[tokio::test]
    async fn chains_are_found_without_listing_their_objects() {
        let store = std::sync::Arc::new(MemoryStore::new());
        let chain = Chain::new(store.clone(), "b", 2, 3);
        let mut keys = vec![
            "commits/a/1/00001/00000000000000000001.json".to_owned(),
            "commits/b/incarnations/2.json".to_owned(),
            "commits/b/2/3/x".to_owned(),
            "commits/b/note.txt".to_owned(),
            format!("{}README", chain.folder()),
            checkpoint_key(chain.folder(), 7),
            segment_key(chain.folder(), "2026-03-01", 7, "n"),
        ];
        keys.extend((8..1_200).map(|seq| entry_key(chain.folder(), seq)));
        keys.extend((0..12).map(|partition| entry_key(&chain_folder("b", 10, partition), 1)));
        for key in keys {
            store.put(&key, Bytes::new()).await.unwrap();
        }
        let (found, strangers) = chains(&*store, "b").await.unwrap();
        assert_eq!(found, std::iter::once((2, 3)).chain((0..12).map(|p| (10, p))).collect::<Vec<_>>());
        assert_eq!(strangers, ["commits/b/2/3/x", "commits/b/note.txt"]);
        let survey = chain.survey().await.unwrap();
        assert_eq!((survey.entries.len(), &survey.checkpoints[..], survey.segments.len()), (1_192, &[7][..], 1));
        assert_eq!(survey.strangers, [format!("{}README", chain.folder())]);
    }
}
