use std::ffi::OsString;
use std::path::PathBuf;

use super::values::Values;
use super::{Config, Place, Problems, Shown, environment, file, keys, rules};

/// What a process is: decides which keys it needs and some defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All roles in one process on embedded parts.
    Dev,
    /// Takes records in.
    Ingestor,
    /// Builds chunks.
    Processor,
    /// Answers queries.
    Query,
    /// A command on what the others keep; it listens nowhere.
    Admin,
}

impl Role {
    /// The role's name, as the command line has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Ingestor => "ingestor",
            Self::Processor => "processor",
            Self::Query => "query",
            Self::Admin => "admin",
        }
    }
}

/// Where a configuration comes from, the weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables, all of them: those of others are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// `--set KEY=VALUE`, in the order they were given.
    pub sets: Vec<String>,
    /// `--data DIR`.
    pub data: Option<PathBuf>,
}

impl Sources {
    /// This process's environment, and the file that `LOGLAKE_CONFIG` names in it.
    #[must_use]
    pub fn of_process() -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        let file = environment.iter().find(|(name, _)| name == "LOGLAKE_CONFIG").map(|(_, value)| PathBuf::from(value));
        Self { file, environment, ..Self::default() }
    }
}

/// Reads the configuration of a `role`: file, then environment, then flags. Also returns every value with its place, in the
/// order of [`keys`].
///
/// # Errors
/// Every problem of every source, not only the first.
pub fn load(role: Role, sources: &Sources) -> Result<(Config, Vec<Shown>), Problems> {
    let mut values = Values { is_dev: role == Role::Dev, ..Values::default() };
    if let Some(path) = &sources.file {
        file::read(path, &mut values);
    }
    environment::read(&sources.environment, &mut values);
    flags(sources, &mut values);
    let mut config = Config::read(&mut values);
    rules::check(role, &mut config, &mut values);
    if values.problems.is_empty() { Ok((config, values.shown)) } else { Err(Problems(values.problems)) }
}

fn flags(sources: &Sources, values: &mut Values) {
    let place = Place::Flag("--set");
    for set in &sources.sets {
        let Some((name, text)) = set.split_once('=') else {
            values.problem(place.clone(), "", format!("\"{set}\" is not KEY=VALUE"));
            continue;
        };
        match keys().find(|key| key.name == name) {
            None => {
                let hint = super::suggest::nearest(name, keys().map(|key| key.name));
                let hint = hint.map(|known| format!("; do you mean \"{known}\"?")).unwrap_or_default();
                values.problem(place.clone(), name, format!("is not a key{hint}"));
            }
            Some(key) if key.shape == super::Shape::Rows => {
                values.problem(place.clone(), name, "can only be set in the file or the environment");
            }
            Some(key) if (key.hides)(text) => {
                values.problem(
                    place.clone(),
                    name,
                    "is a secret: arguments can be seen by others; use the file or the environment",
                );
            }
            Some(key) => values.set(key, text.to_owned(), place.clone()),
        }
    }
    if let Some(data) = &sources.data {
        let key = keys().find(|key| key.name == "data").expect("the key is declared");
        match data.to_str() {
            Some(text) => values.set(key, text.to_owned(), Place::Flag("--data")),
            None => values.problem(Place::Flag("--data"), "data", "is not UTF-8"),
        }
    }
}
