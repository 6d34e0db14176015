//! The client of people and scripts: asks the query service, and manages tenants and their tokens.
//!
//! Start with [`args`], which says what there is; each command is a file, [`client`] is the way to the server.

mod amount;
mod args;
mod audit;
mod client;
mod escape;
mod query;
mod span;
mod tenants;
mod tokens;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::client::Client;

/// What a wrong command line exits with (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(why) => {
            // Nothing is left to do when even that cannot be written.
            let _unseen = why.print();
            return if why.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("loglakectl: {}", escape::line(&format!("{why:#}")));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    match args.command {
        Command::Query(of) => query::run(&client, &of, args.server.json).await,
        Command::Audit(of) => audit::run(&client, of, args.server.json).await,
        Command::Tenants(of) => tenants::run(&client, of, args.server.json).await,
        Command::Tokens(of) => tokens::run(&client, of, args.server.tenant.as_deref(), args.server.json).await,
    }
}
