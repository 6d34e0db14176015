use std::convert::Infallible;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tonic::{Code, Status};

use super::*;

const LIMIT: usize = 10_000;

fn compress(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    if encoding == "zstd" {
        return zstd::bulk::compress(bytes, 1).unwrap();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn acme() -> TenantName {
    TenantName::parse("acme").unwrap()
}

/// A message with its prefix.
fn framed(flag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[flag], &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// The body of `whole`, in pieces of these lengths by turns.
fn body(whole: &[u8], pieces: &[usize]) -> Body {
    let (mut parts, mut rest) = (Vec::new(), whole);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at((*piece).min(rest.len()));
        parts.push(Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part))));
        rest = after;
    }
    Body::new(StreamBody::new(futures_util::stream::iter(parts)))
}

/// What becomes of a body.
async fn read(encoding: &'static str, budget: &Budget, body: Body) -> Result<Vec<u8>, Code> {
    let mut body = Decompressed::new(body, &acme(), encoding, &Inflater::new(), LIMIT, budget, "id");
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        // Copied, as the codec does: what is kept keeps its turn.
        whole.extend_from_slice(
            &frame.map_err(|error| error.downcast::<Status>().unwrap().code())?.into_data().unwrap(),
        );
    }
    Ok(whole)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn messages_are_what_they_were_before_they_were_compressed_however_the_body_is_cut(
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..8),
        pieces in proptest::collection::vec(1_usize..40, 1..10),
        zstd: bool,
    ) {
        let encoding = if zstd { "zstd" } else { "gzip" };
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for (is_compressed, message) in &messages {
            sent.extend(if *is_compressed { framed(1, &compress(encoding, message)) } else { framed(0, message) });
            expected.extend(framed(0, message));
        }
        let budget = Budget::new(1_000, None);
        prop_assert_eq!(wait(read(encoding, &budget, body(&sent, &pieces))), Ok(expected));
        prop_assert!(budget.try_take(1_000).is_some(), "all is given back");
        // Cut in a message that is compressed, or in a prefix, it has no end; of others the codec misses the rest.
        if let Some(last) = messages.last() && last.0 {
            let cut = &sent[..sent.len() - 1];
            prop_assert_eq!(wait(read(encoding, &budget, body(cut, &pieces))), Err(Code::InvalidArgument));
        }
    }
}

#[tokio::test]
async fn what_is_too_large_damaged_or_has_no_room_is_refused() {
    let large = vec![b' '; LIMIT + 1];
    let good = compress("gzip", b"good");
    let mut damaged = good.clone();
    damaged[good.len() - 5] ^= 1;
    let whole = [7; 100];
    let cases: [(&[u8], usize, Code); 7] = [
        (&framed(1, &compress("gzip", &large)), LIMIT, Code::OutOfRange),
        // Nothing of it has come yet.
        (&[&[1], &(LIMIT as u32 + 1).to_be_bytes()[..]].concat(), LIMIT, Code::OutOfRange),
        (&framed(1, &damaged), LIMIT, Code::InvalidArgument),
        (&framed(1, &good[..good.len() - 1]), LIMIT, Code::InvalidArgument),
        (&framed(1, b""), LIMIT, Code::InvalidArgument),
        (&framed(1, &compress("zstd", b"good")), LIMIT, Code::InvalidArgument),
        (&framed(1, &whole), 50, Code::ResourceExhausted),
    ];
    for (sent, room, expected) in cases {
        // As much as there is may always be taken: another has some of it.
        let budget = Budget::new(room + 10, None);
        let _other = budget.try_take(10).unwrap();
        let sent = [framed(0, b"before"), sent.to_vec()].concat();
        assert_eq!(read("gzip", &budget, body(&sent, &[7])).await, Err(expected), "{sent:?}");
    }
}

#[tokio::test]
async fn as_many_as_may_are_decompressed_and_the_next_when_the_codec_has_one() {
    let (inflater, budget) = (Inflater::new(), Budget::new(LIMIT, None));
    let start = || {
        let sent = framed(1, &compress("zstd", b"a message"));
        Decompressed::new(Body::from(sent), &acme(), "zstd", &inflater, LIMIT, &budget, "id")
    };
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut body = start();
        let prefix = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(prefix, [0, 0, 0, 0, 9].as_slice());
        let message = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(message, b"a message".as_slice());
        kept.push(message);
    }
    let mut waiting = start();
    let soon = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, waiting.frame()).await.is_err(), "two are in memory");
    kept.pop();
    assert!(waiting.frame().await.unwrap().is_ok());
}

#[test]
fn the_header_is_taken_where_it_is_known() {
    for (named, known) in [("gzip", Some("gzip")), ("zstd", Some("zstd")), ("identity", None), ("br", None)] {
        let mut headers = HeaderMap::new();
        headers.insert(ENCODING, named.parse().unwrap());
        assert_eq!(take_encoding(&mut headers), known);
        assert_eq!(headers.contains_key(ENCODING), known.is_none());
    }
}
