//! Bodies of gRPC ingest whose messages are compressed: what the codec gets is what a plain reading of the frames gives.

use std::cell::LazyCell;

use bytes::Bytes;
use loglake_formats::inflate;
use loglake_ingest::fuzzing::decompress;
use loglake_model::{ErrorKind, TenantName};
use tokio::runtime::{Builder, Runtime};

/// The most bytes of a message, compressed or not.
const MOST_BYTES: usize = 64 << 10;
const PREFIX_BYTES: usize = 5;

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| Builder::new_current_thread().build().expect("a runtime"));
}

/// Takes an input. The first byte: the encoding; the second: how long the pieces are that the body comes in.
pub fn run(data: &[u8]) {
    let [kind, piece, body @ ..] = data else { return };
    let encoding = if kind % 2 == 0 { "gzip" } else { "zstd" };
    let pieces = body.chunks(usize::from(*piece) + 1).map(Bytes::copy_from_slice).collect();
    let tenant = TenantName::parse("tenant-1").expect("a name");
    let told = RUNTIME.with(|runtime| runtime.block_on(decompress(&tenant, encoding, pieces, MOST_BYTES)));
    assert_eq!(told, plainly(encoding, body));
}

/// The same by what gRPC says of frames ("Length-Prefixed-Message"), message after message.
fn plainly(encoding: &'static str, mut body: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let mut whole = Vec::new();
    while !body.is_empty() {
        let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() else { return Err(ErrorKind::Invalid) };
        let [flag, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if flag != 1 {
            // The codec judges it, and misses what is not there.
            let end = length.min(rest.len());
            whole.extend_from_slice(prefix);
            whole.extend_from_slice(&rest[..end]);
            body = &rest[end..];
            continue;
        }
        if length > MOST_BYTES {
            return Err(ErrorKind::TooLarge);
        }
        let Some((message, rest)) = rest.split_at_checked(length) else { return Err(ErrorKind::Invalid) };
        let message =
            inflate(Some(encoding), Bytes::copy_from_slice(message), MOST_BYTES).map_err(|error| error.kind())?;
        whole.push(0);
        whole.extend_from_slice(&u32::try_from(message.len()).expect("at most as above").to_be_bytes());
        whole.extend_from_slice(&message);
        body = rest;
    }
    Ok(whole)
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    // `gzip` and `zstd` of "{}\n".
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\xe5\x02\x00\x86\x3f\xc3\x5b\x03\x00\x00\x00";
    let zstd = b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00{}\n";
    let framed = |flag: u8, bytes: &[u8]| [&[flag, 0, 0, 0, bytes.len() as u8], bytes].concat();
    let plain = framed(0, b"plain");
    let of = |kind: u8, piece: u8, messages: &[&[u8]]| [&[kind, piece], &messages.concat()[..]].concat();
    vec![
        of(0, 3, &[&framed(1, gzip), &plain, &framed(1, gzip)]),
        of(1, 200, &[&plain, &framed(1, zstd), &framed(0, b"")]),
        of(1, 0, &[&framed(1, zstd), &framed(1, b"")]),
        of(0, 9, &[b"\x01\x00\xff\xff\xff", &plain]),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_it_begins_with_holds() {
        super::seeds().iter().for_each(|seed| super::run(seed));
    }

    #[test]
    fn and_with_any_byte_changed() {
        for seed in super::seeds() {
            for at in 0..seed.len() {
                for change in 1..=255 {
                    let mut changed = seed.clone();
                    changed[at] ^= change;
                    super::run(&changed);
                }
            }
        }
    }
}
