//! `loglake-agent`: sends logs to Loglake, and makes some up.

mod args;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use loglake_agent::{Options, Progress, Sink, Tally, deliver, generate, send};
use loglake_model::{Clock as _, SystemClock};
use tokio::sync::mpsc;

use args::{Args, Command, DeliveryArgs};

/// Exit codes: all accepted; something was not; the command line is wrong.
const NOT_ALL: u8 = 1;
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no faults. Nothing is left to do where even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_ALL),
        Err(error) => {
            eprintln!("loglake-agent: {error:#}");
            ExitCode::from(NOT_ALL)
        }
    }
}

/// Runs a command; `false` when not every record was accepted.
fn run(args: Args) -> anyhow::Result<bool> {
    let work = match args.command {
        Command::Generate(args) => {
            let plan = args.plan(SystemClock.now_ns());
            plan.check()?;
            if args.stdout {
                let printed =
                    generate::print(&plan, &mut std::io::stdout().lock()).context("writing to standard output")?;
                eprintln!("loglake-agent: printed {} records", loglake_agent::thousands(printed));
                return Ok(true);
            }
            (Work::Generate(plan), args.delivery)
        }
        Command::Send(args) => (Work::Send(args.source()), args.delivery),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let outcome = runtime.block_on(deliver_all(work.0, &work.1));
    // A read of standard input that still waits must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// Where the records come from.
enum Work {
    Generate(generate::Plan),
    Send(send::Source),
}

async fn deliver_all(work: Work, args: &DeliveryArgs) -> anyhow::Result<bool> {
    let target = args.target()?;
    let options = Options { jitter_seed: u64::from(std::process::id()), ..args.options() };
    let tally = Arc::new(Tally::default());
    let progress = Progress::start(Arc::clone(&tally));
    let (sender, batches) = mpsc::channel(2);
    let mut sink = Sink::new(sender, args.batch_records(), args.batch_bytes(), args.batch_interval());

    let reading_tally = Arc::clone(&tally);
    let reading = async move {
        let read = async {
            match &work {
                Work::Generate(plan) => {
                    generate::run(plan, &mut sink, &reading_tally).await;
                    Ok(())
                }
                Work::Send(source) => send::run(source, &SystemClock, &mut sink, &reading_tally).await,
            }
        };
        let ended = tokio::select! {
            ended = read => ended,
            () = interrupted() => Err(anyhow::anyhow!("interrupted; what was read is being delivered")),
        };
        // What was read before a fault or an interrupt still goes out; a closed sink is reported by the delivery.
        let _ = sink.flush().await;
        ended
    };
    let delivering = deliver(&target, &options, batches, &tally);
    let both = async { tokio::join!(reading, delivering) };
    let (read, outcome) = if args.quiet {
        both.await
    } else {
        tokio::select! {
            ended = both => ended,
            () = progress.tell() => unreachable!("telling progress does not end"),
        }
    };
    println!("{}", progress.summary(&outcome));
    let is_whole = progress.is_whole(&outcome);
    if let Some(failure) = outcome.failure {
        eprintln!("loglake-agent: {failure:#}");
    }
    read?;
    Ok(is_whole)
}

/// Waits for Ctrl-C. A second one ends the process at once.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}
