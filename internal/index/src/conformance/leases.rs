//! Leases.

use super::*;

/// One holder at a time; renewals keep the generation, new holders raise it; release is the holder's.
///
/// # Panics
/// When the index breaks a promise.
pub async fn leases_have_one_holder(index: &dyn ChunkIndex) {
    let ttl = Duration::from_secs(60);
    let name = "conformance:{one}:*";
    let read = async || index.leases(&[name.to_owned()]).await.unwrap().remove(0);
    assert_eq!(read().await, None);
    let first = index.acquire(name, "a", "http://a", ttl).await.unwrap();
    assert_eq!((first.holder.as_str(), first.value.as_str()), ("a", "http://a"));
    assert_eq!(index.acquire(name, "b", "http://b", ttl).await.unwrap(), first, "it is taken");
    let renewed = index.acquire(name, "a", "http://a2", ttl).await.unwrap();
    assert_eq!((renewed.generation, renewed.value.as_str()), (first.generation, "http://a2"));
    assert_eq!(read().await, Some(renewed.clone()));

    index.release(name, "b").await.unwrap();
    assert_eq!(read().await, Some(renewed.clone()), "it is not b's to give back");
    let seized = index.seize(name, "b", "http://b", ttl).await.unwrap();
    assert_eq!((seized.holder.as_str(), seized.value.as_str()), ("b", "http://b"));
    assert!(seized.generation > renewed.generation);
    assert_eq!(index.seize(name, "b", "http://b", ttl).await.unwrap(), seized, "its own again");
    assert_eq!(index.acquire(name, "a", "", ttl).await.unwrap(), seized);

    index.release(name, "b").await.unwrap();
    assert_eq!(read().await, None);
    index.release(name, "b").await.unwrap();
    let third = index.acquire(name, "a", "", ttl).await.unwrap();
    assert!(third.holder == "a" && third.generation > seized.generation);

    let names: Vec<String> = ["conformance:none", name, "conformance:{one}", name].map(str::to_owned).to_vec();
    assert_eq!(index.leases(&names).await.unwrap(), [None, Some(third.clone()), None, Some(third)]);
    assert!(index.leases(&[]).await.unwrap().is_empty());
}

/// A lease that is not renewed ends; one that is does not.
///
/// # Panics
/// When the index breaks a promise.
pub async fn leases_end(index: &dyn ChunkIndex) {
    let ttl = Duration::from_millis(600);
    let (kept, left) = ("conformance:kept", "conformance:left");
    let first = index.acquire(kept, "a", "", ttl).await.unwrap();
    let lost = index.acquire(left, "a", "", ttl).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(ttl / 4).await;
        assert_eq!(index.acquire(kept, "a", "", ttl).await.unwrap().generation, first.generation);
    }
    assert_eq!(index.acquire(kept, "b", "", ttl).await.unwrap().holder, "a");
    assert_eq!(index.leases(&[left.to_owned()]).await.unwrap(), [None]);
    let taken = index.acquire(left, "b", "", ttl).await.unwrap();
    assert!(taken.holder == "b" && taken.generation > lost.generation);
}
