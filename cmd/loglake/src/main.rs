//! The server: one binary, one role a process, or all of them in one.
//!
//! Each role is a short file: load the configuration, start logging, build the parts, say where it listens, run until a
//! signal, stop in reverse order. Start with [`dev`], which has them all.

mod admin;
mod banner;
mod certs;
mod cli;
mod config;
mod data_folder;
mod dev;
mod disk_metrics;
mod door_metrics;
mod exit;
mod health;
mod ingestor;
mod ledger;
mod limits;
mod memory;
mod oidc;
mod parts;
mod processor;
mod query;
mod registry;
mod roles;
mod start;
mod stored;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => return exit::usage(&why),
    };
    memory::prepare();
    #[cfg(feature = "failpoints")]
    if let Err(why) = failpoints() {
        return exit::code(Err(why));
    }
    let done = match cli.command {
        Command::Dev(of) => dev::main(of),
        Command::Ingestor(of) => ingestor::main(of),
        Command::Processor(of) => processor::main(of),
        Command::Query(of) => query::main(of),
        Command::Health(of) => return health::main(of),
        Command::Config(of) => config::main(of),
        Command::Certs(of) => certs::main(of),
        Command::Token(of) => token::main(of),
        Command::Admin(of) => return admin::main(of),
    };
    exit::code(done)
}

/// Takes the fail-points that a test asks for. No release has any.
#[cfg(feature = "failpoints")]
fn failpoints() -> anyhow::Result<()> {
    use loglake_model::failpoints::{VARIABLE, configure};
    use loglake_service::config::Place;
    use loglake_service::{Problem, Problems};
    let configured = match std::env::var(VARIABLE) {
        Ok(rules) => configure(&rules),
        Err(std::env::VarError::NotPresent) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    let problem = |message| Problem { place: Place::Environment(VARIABLE.to_owned()), key: String::new(), message };
    configured.map_err(|why| Problems(vec![problem(why)]).into())
}
