use std::str::FromStr;

use loglake_model::{Level, Service};

use super::catalog::KINDS;

/// What the records look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Decides every draw.
    pub seed: u64,
    /// Who speaks.
    pub services: Services,
    /// How often each level is.
    pub levels: LevelWeights,
    /// How many records a trace has; 0 for no traces. The last traces of a run may have fewer.
    pub records_per_trace: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, services: Services::Count(8), levels: LevelWeights::default(), records_per_trace: 5 }
    }
}

/// The services that speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// So many, named after what they do.
    Count(usize),
    /// These.
    Named(Vec<String>),
}

/// The most services that are made up: as many as a test of many streams wants, and few enough to hold.
const MAX_SERVICES: usize = 10_000;

impl Services {
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Named(names) => names.clone(),
            Self::Count(count) => (0..*count)
                .map(|at| {
                    let name = KINDS[at % KINDS.len()].name;
                    if at < KINDS.len() { name.to_owned() } else { format!("{name}-{}", at / KINDS.len() + 1) }
                })
                .collect(),
        }
    }
}

impl FromStr for Services {
    type Err = String;

    /// Reads a count, or names between commas.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse::<usize>() {
            return match count {
                1..=MAX_SERVICES => Ok(Self::Count(count)),
                _ => Err(format!("between 1 and {MAX_SERVICES} services")),
            };
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        for name in &names {
            Service::parse(name).map_err(|error| format!("`{name}`: {error}"))?;
        }
        if names.len() > MAX_SERVICES {
            Err(format!("at most {MAX_SERVICES} services"))
        } else {
            Ok(Self::Named(names))
        }
    }
}

/// The weight of each level, in the order of [`Level::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelWeights(pub [u64; 6]);

impl Default for LevelWeights {
    /// Of 1,000 records: trace 5, debug 100, info 800, warn 60, error 34, fatal 1.
    fn default() -> Self {
        Self([5, 100, 800, 60, 34, 1])
    }
}

impl FromStr for LevelWeights {
    type Err = String;

    /// Reads `level=weight` between commas; levels that are not named do not occur.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [0; 6];
        for part in text.split(',') {
            let wrong = || format!("`{part}` is not LEVEL=WEIGHT, such as info=80");
            let (name, weight) = part.split_once('=').ok_or_else(wrong)?;
            let level = Level::from_text(name).ok_or_else(|| format!("`{name}` is not a level"))?;
            let weight: u32 = weight.trim().parse().map_err(|_| wrong())?;
            weights[Level::slot(Some(level)) - 1] = u64::from(weight);
        }
        if weights.iter().all(|weight| *weight == 0) { Err("all weights are 0".to_owned()) } else { Ok(Self(weights)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_counted_or_named() {
        let names = "13".parse::<Services>().unwrap().names();
        assert_eq!(names.len(), 13);
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 13, "{names:?}");
        assert_eq!("a, b".parse::<Services>().unwrap().names(), ["a", "b"]);
        for bad in ["0", "10001", "a,,b", ""] {
            assert!(bad.parse::<Services>().is_err(), "{bad}");
        }
    }

    #[test]
    fn weights_are_read_by_level() {
        assert_eq!("INFO=2,warning=1".parse(), Ok(LevelWeights([0, 0, 2, 1, 0, 0])));
        for bad in ["", "info", "info=x", "loud=1", "info=0", "info=-1"] {
            assert!(bad.parse::<LevelWeights>().is_err(), "{bad}");
        }
    }
}
