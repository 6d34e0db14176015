use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a tenant: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`. What stored data carries; it gives no right to anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(Arc<str>);

/// Why a text is not the name of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or a digit")]
pub struct InvalidTenant;

impl TenantName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidTenant`] for everything that does not match the rule above: it never reaches a key.
    pub fn parse(text: &str) -> Result<Self, InvalidTenant> {
        let bytes = text.as_bytes();
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        match bytes.first() {
            Some(first)
                if first.is_ascii_alphanumeric() && bytes.len() <= Self::MAX_BYTES && bytes.iter().all(good) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidTenant),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantName {
    type Error = InvalidTenant;

    fn try_from(text: String) -> Result<Self, InvalidTenant> {
        Self::parse(&text)
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tenant on whose behalf something is done, as a credential said.
///
/// Every call that reads data takes one. Only `loglake-auth` makes it; `clippy.toml` bans
/// [`TenantId::from_credential`] everywhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(TenantName);

impl TenantId {
    /// Says that a credential was checked and belongs to `name`.
    #[must_use]
    pub fn from_credential(name: TenantName) -> Self {
        Self(name)
    }

    /// The tenant's name.
    #[must_use]
    pub fn name(&self) -> &TenantName {
        &self.0
    }
}

impl Deref for TenantId {
    type Target = TenantName;

    fn deref(&self) -> &TenantName {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_reach_elsewhere_are_refused() {
        for bad in ["", "..", "a/b", "%252e", "a\0", "-a", "_a", "ä", "a b", &"a".repeat(65)] {
            assert_eq!(TenantName::parse(bad), Err(InvalidTenant), "{bad:?}");
        }
        for good in ["a", "A-1_b", "0", &"a".repeat(64)] {
            assert!(TenantName::parse(good).is_ok(), "{good:?}");
        }
    }
}
