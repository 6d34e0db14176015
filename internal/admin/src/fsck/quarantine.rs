use loglake_commit::Quarantined;
use loglake_model::ErrorKind;

use super::{Code, Finding};
use crate::{Error, Lake};

const READ_BYTES: u64 = 8 << 20;

/// Whether the object that an entry names is there, whole. Every byte is read: these objects are few.
pub(crate) async fn check(lake: &Lake, object: &Quarantined) -> Result<Option<Finding>, Error> {
    let (mut at, mut checksum) = (0, 0);
    while at < object.length {
        let to = object.length.min(at + READ_BYTES);
        match lake.store.get_range(&object.key, at..to).await {
            Ok(bytes) => checksum = crc32c::crc32c_append(checksum, &bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let messages = object.messages;
                let what = format!("It held {messages} message(s) that could not be read; it is not in the bucket.");
                return Ok(Some(Finding::new(Code::QuarantineMissing, &object.key, what)));
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let what = format!("It ends before byte {to}; the chain says that it has {}.", object.length);
                return Ok(Some(Finding::new(Code::QuarantineDamaged, &object.key, what)));
            }
            Err(error) => return Err(error.into()),
        }
        at = to;
    }
    if checksum != object.checksum {
        let what = format!("Its checksum is {checksum:08x}, the chain says {:08x}.", object.checksum);
        return Ok(Some(Finding::new(Code::QuarantineDamaged, &object.key, what)));
    }
    Ok(None)
}
