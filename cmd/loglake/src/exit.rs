use std::process::ExitCode;

use tracing::error;

/// What a wrong command line or configuration exits with (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Shows what clap has to say: help and version are no faults.
pub(crate) fn usage(why: &clap::Error) -> ExitCode {
    // Nothing is left to do when even that cannot be written.
    let _unseen = why.print();
    if why.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Says why the process ends, in the log or, where none has begun, to the terminal; and turns it into its exit code.
pub(crate) fn code(done: anyhow::Result<()>) -> ExitCode {
    let Err(why) = done else { return ExitCode::SUCCESS };
    if tracing::dispatcher::has_been_set() {
        error!(error = format!("{why:#}"), "stopped");
    } else {
        eprintln!("loglake: {why:#}");
    }
    if is_usage(&why) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// Whether the command line or the configuration is at fault.
pub(crate) fn is_usage(why: &anyhow::Error) -> bool {
    why.downcast_ref::<loglake_service::Problems>().is_some()
}
