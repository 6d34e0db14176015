use loglake_model::{Level, LevelCounts};
use serde::{Deserialize, Serialize};

/// A set of levels, `unknown` (a record without level) among them. Written as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct LevelSet(u8);

/// A text that is not a level's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a level; levels are trace, debug, info, warn, error, fatal and unknown")]
pub struct InvalidLevel(pub String);

const UNKNOWN: &str = "unknown";

impl LevelSet {
    /// No level at all.
    pub const EMPTY: Self = Self(0);
    /// Every level and `unknown`.
    pub const ALL: Self = Self((1 << Level::COUNTED) - 1);

    /// Reads one name, in any common spelling and case, or `unknown`.
    ///
    /// # Errors
    /// [`InvalidLevel`] for anything else.
    pub fn parse(name: &str) -> Result<Self, InvalidLevel> {
        if name.eq_ignore_ascii_case(UNKNOWN) {
            return Ok(Self::EMPTY.with(None));
        }
        match Level::from_text(name) {
            Some(level) => Ok(Self::EMPTY.with(Some(level))),
            None => Err(InvalidLevel(name.chars().take(40).collect())),
        }
    }

    /// `least` and everything more severe; never `unknown`.
    #[must_use]
    pub fn at_least(least: Level) -> Self {
        Level::ALL.into_iter().filter(|level| *level >= least).fold(Self::EMPTY, |set, level| set.with(Some(level)))
    }

    /// This set and `level` (`None`: unknown).
    #[must_use]
    pub fn with(self, level: Option<Level>) -> Self {
        Self(self.0 | 1 << Level::slot(level))
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `level` (`None`: unknown) is in it.
    #[must_use]
    pub fn contains(self, level: Option<Level>) -> bool {
        self.0 & 1 << Level::slot(level) != 0
    }

    /// The level, where it is the only one; `None` for `unknown` alone too.
    #[must_use]
    pub fn only(self) -> Option<Level> {
        Level::ALL.into_iter().find(|level| Self::EMPTY.with(Some(*level)) == self)
    }

    /// Of `counts` those whose level is in it; 0 for the others.
    #[must_use]
    pub fn keep(self, counts: &LevelCounts) -> LevelCounts {
        std::array::from_fn(|slot| if self.0 & 1 << slot != 0 { counts[slot] } else { 0 })
    }

    /// How many of the records that `counts` tells of have a level of this set.
    #[must_use]
    pub fn count(self, counts: &LevelCounts) -> u64 {
        self.keep(counts).iter().sum()
    }
}

impl TryFrom<Vec<String>> for LevelSet {
    type Error = InvalidLevel;

    fn try_from(names: Vec<String>) -> Result<Self, InvalidLevel> {
        names.iter().try_fold(Self::EMPTY, |set, name| Ok(set.union(Self::parse(name)?)))
    }
}

impl From<LevelSet> for Vec<String> {
    fn from(set: LevelSet) -> Self {
        let name = |slot| Level::from_slot(slot).map_or(UNKNOWN, Level::as_str).to_owned();
        (0..Level::COUNTED).filter(|slot| set.0 & 1 << slot != 0).map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_found_by_name_and_never_by_severity() {
        let both: LevelSet = serde_json::from_str(r#"["unknown","ERROR"]"#).unwrap();
        assert!(both.contains(None) && both.contains(Some(Level::Error)) && !both.contains(Some(Level::Fatal)));
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"["unknown","error"]"#);
        assert!(!LevelSet::at_least(Level::Trace).contains(None));
        assert_eq!(LevelSet::at_least(Level::Error).count(&[100, 1, 2, 3, 4, 5, 6]), 11);
        assert!(LevelSet::parse("chatty").is_err());
        assert!(Level::ALL.into_iter().chain([]).all(|level| LevelSet::ALL.contains(Some(level))));
    }
}
