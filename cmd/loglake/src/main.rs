//! The server: one binary, one role a process, or all of them in one.
//!
//! Each role is a short file: load the configuration, start logging, build the parts, say where it listens, run until a
//! signal, stop in reverse order. Start with [`dev`], which has them all.

mod admin;
mod banner;
mod cli;
mod config;
mod data_folder;
mod dev;
mod disk_metrics;
mod exit;
mod ingestor;
mod parts;
mod processor;
mod query;
mod roles;
mod start;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => return exit::usage(&why),
    };
    no_huge_pages();
    #[cfg(feature = "failpoints")]
    if let Err(why) = failpoints() {
        return exit::code(Err(why));
    }
    let done = match cli.command {
        Command::Dev(of) => dev::main(of),
        Command::Ingestor(of) => ingestor::main(of),
        Command::Processor(of) => processor::main(of),
        Command::Query(of) => query::main(of),
        Command::Config(of) => config::main(of),
        Command::Token(of) => token::main(of),
        Command::Admin(of) => return admin::main(of),
    };
    exit::code(done)
}

/// Asks the kernel for no huge pages, also where it gives them unasked: each that is touched anew is cleared, 2 MiB for the few KiB
/// that are wanted. A kernel that refuses costs CPU and memory, nothing else.
fn no_huge_pages() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
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
