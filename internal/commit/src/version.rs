use serde::Deserialize;

use crate::Error;

/// Checks the version that `json`, the content of the object at `key`, begins to be read by.
///
/// # Errors
/// `Newer` for one above `known`; `Corrupt` when it has none.
pub(crate) fn check(key: &str, what: &str, known: u32, json: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(json)
        .map_err(|error| Error::Corrupt { key: key.to_owned(), what: error.to_string() })?;
    if version > known {
        return Err(Error::Newer { key: key.to_owned(), what: format!("{what} version {version}") });
    }
    Ok(())
}
