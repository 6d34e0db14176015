use std::path::Path;

use crate::{Error, files};

/// Whom a process believes when it calls others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    authorities: Option<Vec<u8>>,
}

impl Trust {
    /// The authorities in the file, and no others; without one, the system's.
    ///
    /// # Errors
    /// `Invalid` when the file cannot be read or holds no certificate.
    pub fn of(file: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = file else { return Ok(Self::default()) };
        // It is read by whoever connects; that it can be is found out here.
        files::authorities(path)?;
        Ok(Self { authorities: Some(files::read(path)?) })
    }

    /// The authorities in PEM; `None` for the system's.
    #[must_use]
    pub fn pem(&self) -> Option<&[u8]> {
        self.authorities.as_deref()
    }
}
