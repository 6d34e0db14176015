//! What the S3 store makes of answers that no good server gives, from a scripted one.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fake::{Bucket, Fake, Reply, Request};
use loglake_model::ErrorKind;
use loglake_store::s3::{Config, Credentials, Timeouts};
use loglake_store::{Create, Error, ObjectStore, S3Store, list_all, self_test};

async fn connect(server: &Fake) -> S3Store {
    let config = Config {
        endpoint: Some(server.url()),
        region: Some("us-east-1".to_owned()),
        credentials: Some(Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
        }),
        timeouts: Timeouts { connect: Duration::from_secs(2), attempt: Duration::from_millis(500) },
        ..Config::new("b")
    };
    S3Store::connect(config).await.unwrap()
}

/// A store whose server answers HEAD (at connecting) well and everything else by `answer`; and how many of those there were.
async fn answering(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> (S3Store, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Fake::start(move |request| {
        if request.method == "HEAD" { Reply::ok("") } else { answer(request, counted.fetch_add(1, Ordering::SeqCst)) }
    })
    .await;
    (connect(&server).await, count)
}

#[tokio::test]
async fn a_server_that_ignores_the_condition_is_refused() {
    let good = Bucket::new(true);
    let server = Fake::start(move |request| good.answer(request)).await;
    self_test(&connect(&server).await, "nonce").await.unwrap();

    let careless = Bucket::new(false);
    let server = Fake::start(move |request| careless.answer(request)).await;
    let error = self_test(&connect(&server).await, "nonce").await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("If-None-Match")), "{error}");
}

#[tokio::test]
async fn a_create_is_certain_only_where_the_server_said_so() {
    for (status, code, expected) in [
        (200, "", Ok(Create::Created)),
        (412, "PreconditionFailed", Ok(Create::Exists)),
        (409, "ConditionalRequestConflict", Ok(Create::Unknown)),
        (400, "RequestTimeout", Ok(Create::Unknown)),
        (429, "SlowDown", Ok(Create::Unknown)),
        (500, "InternalError", Ok(Create::Unknown)),
        (503, "SlowDown", Ok(Create::Unknown)),
        (507, "XMinioStorageFull", Ok(Create::Unknown)),
        (403, "AccessDenied", Err(ErrorKind::Forbidden)),
        (404, "NoSuchBucket", Err(ErrorKind::Invalid)),
        (301, "PermanentRedirect", Err(ErrorKind::Invalid)),
        (501, "NotImplemented", Err(ErrorKind::Invalid)),
    ] {
        let (store, count) = answering(move |_, _| Reply::error(status, code)).await;
        let outcome = store.create("a", Bytes::from_static(b"x")).await.map_err(|error| error.kind());
        assert_eq!(outcome, expected, "{status} {code}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{status} {code}: one attempt");
    }
}

#[tokio::test]
async fn a_create_without_an_answer_is_in_doubt() {
    for reply in [Reply::Drop, Reply::Hang] {
        let (store, count) = answering(move |_, _| reply.clone()).await;
        assert_eq!(store.create("a", Bytes::from_static(b"x")).await.unwrap(), Create::Unknown);
        assert_eq!(count.load(Ordering::SeqCst), 1, "one attempt");
    }
}

#[tokio::test]
async fn a_create_asks_for_the_condition_and_a_put_does_not() {
    let (store, _) = answering(|request, _| match request.header("if-none-match") {
        Some("*") => Reply::error(412, "PreconditionFailed"),
        _ => Reply::ok(""),
    })
    .await;
    store.put("a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.create("a", Bytes::from_static(b"x")).await.unwrap(), Create::Exists);
}

#[tokio::test]
async fn a_put_is_tried_again_and_its_refusals_are_told_apart() {
    let (store, count) = answering(|_, n| if n == 0 { Reply::error(503, "SlowDown") } else { Reply::ok("") }).await;
    store.put("a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);
    for (status, code, kind) in [
        (507, "XMinioStorageFull", ErrorKind::Exhausted),
        (403, "SignatureDoesNotMatch", ErrorKind::Forbidden),
        (404, "NoSuchBucket", ErrorKind::Invalid),
        (400, "InvalidArgument", ErrorKind::Invalid),
        (500, "InternalError", ErrorKind::Unavailable),
        (400, "RequestTimeout", ErrorKind::Unavailable),
    ] {
        let (store, _) = answering(move |_, _| Reply::error(status, code)).await;
        let error = store.put("a", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {code}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_broken_or_wrong_body_is_never_taken() {
    // Cut off in the middle: the connection ends before the length that was announced.
    let (store, _) = answering(|_, _| Reply::Cut { announced: 10, body: "01234".to_owned() }).await;
    assert_eq!(store.get("a", 100).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Larger than what the caller takes: told from the head.
    let (store, _) = answering(|_, _| Reply::Cut { announced: 1 << 40, body: String::new() }).await;
    assert_eq!(store.get("a", 100).await.unwrap_err().kind(), ErrorKind::TooLarge);
    // The whole object, or another range than the one asked for.
    for reply in [
        Reply::ok("0123456789"),
        Reply::full(206, &[("content-range", "bytes 0-3/10")], "0123"),
        Reply::full(206, &[("content-range", "bytes 2-9/10")], "23456789"),
    ] {
        let (store, _) = answering(move |_, _| reply.clone()).await;
        let error = store.get_range("a", 2..6).await.unwrap_err();
        assert!(matches!(error, Error::Unfit(_)), "{error}");
    }
    let (store, _) = answering(|_, _| Reply::full(206, &[("content-range", "bytes 2-4/5")], "234")).await;
    assert_eq!(store.get_range("a", 2..6).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let (store, _) = answering(|_, _| Reply::error(416, "InvalidRange")).await;
    assert_eq!(store.get_range("a", 2..6).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn listings_skip_what_is_no_key_and_refuse_disorder() {
    // Folder markers and strange names, a whole page of them, then a key.
    let (store, count) = answering(|_, n| match n {
        0 => Reply::listing(&["a/", "a/.hidden", "a//b"], true),
        _ => Reply::listing(&["a/b"], false),
    })
    .await;
    let listed = list_all(&store, "a").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a/b"]);
    assert_eq!(count.load(Ordering::SeqCst), 2);

    for (keys, has_more) in [(&["b", "a"][..], false), (&["a", "a"], false), (&[], true), (&["c/other"], false)] {
        let (store, _) = answering(move |_, _| Reply::listing(keys, has_more)).await;
        let prefix = if keys == ["c/other"] { "d" } else { "" };
        let error = store.list(prefix, None).await.unwrap_err();
        assert!(matches!(error, Error::Unfit(_)), "{keys:?}: {error}");
    }
    // A server that forgets where to go on would be followed for ever.
    let (store, _) = answering(|_, _| Reply::listing(&["a", "b"], true)).await;
    assert!(matches!(list_all(&store, "").await, Err(Error::Unfit(_))));
}
