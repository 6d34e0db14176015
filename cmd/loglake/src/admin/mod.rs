//! What an operator does: each command in a short file, on a lake that `place.rs` opens.

mod args;
mod flush;
mod fsck;
mod place;
mod progress;
mod quarantine;
mod reindex;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context as _;
use loglake_service::config::Value as _;
use loglake_service::config::{LogFilter, LogFormat};
use loglake_service::telemetry;

pub(crate) use self::args::AdminCommand;
use crate::exit;

/// It could not be done at all.
const COULD_NOT: u8 = 2;

/// `loglake admin`.
pub(crate) fn main(command: AdminCommand) -> ExitCode {
    match command {
        AdminCommand::Fsck(args) => run(fsck::run(args)),
        AdminCommand::Reindex(args) => run(reindex::run(args)),
        AdminCommand::Flush(args) => run(flush::run(args)),
        AdminCommand::Quarantine(command) => run(quarantine::run(command)),
    }
}

/// Runs a command to its end; `Ok(false)` says that it was done and not all is well.
fn run(command: impl Future<Output = anyhow::Result<bool>>) -> ExitCode {
    let done = begin().and_then(|runtime| {
        let done = runtime.block_on(command);
        // A call that hangs on a dead server must not hold the terminal.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) if exit::is_usage(&why) => exit::code(Err(why)),
        Err(why) => {
            eprintln!("loglake: {why:#}");
            ExitCode::from(COULD_NOT)
        }
    }
}

/// Warnings of the parts go to the terminal; the rest of what they say is for servers.
fn begin() -> anyhow::Result<tokio::runtime::Runtime> {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "error".to_owned());
    let filter = LogFilter::read(&level).map_err(anyhow::Error::msg).context("LOG_LEVEL")?;
    telemetry::start(&filter, LogFormat::Text)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")
}
