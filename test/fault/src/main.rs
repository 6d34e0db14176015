//! Runs the faults of `test/fault`: all rows, those that have not passed yet, or those that are named.

use anyhow::{Result, bail};
use clap::Parser;
use loglake_fault::lab::Shelf;
use loglake_fault::rows::ROWS;
use loglake_fault::{report, runner};
use loglake_integration::programs;

/// Real faults on real servers, judged.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only rows whose name begins so; may be given several times.
    #[arg(long)]
    row: Vec<String>,
    /// Lists the rows and what is known of them.
    #[arg(long)]
    list: bool,
    /// Where all chance comes from; each run takes a new one unless told.
    #[arg(long)]
    seed: Option<u64>,
    /// Also rows that have passed before.
    #[arg(long)]
    again: bool,
    /// Does as little as `make test` does.
    #[arg(long)]
    short: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut state = runner::load()?;
    let chosen: Vec<_> = ROWS
        .iter()
        .filter(|row| arguments.row.is_empty() || arguments.row.iter().any(|name| row.name.starts_with(name.as_str())))
        .collect();
    if arguments.list {
        for row in chosen {
            let known = state.get(row.name).map_or("", |done| if done.is_passed { "passed" } else { "FAILED" });
            println!("{known:7} {:30} {}", row.name, row.claim);
        }
        return Ok(());
    }
    if chosen.is_empty() {
        bail!("no row has such a name; --list shows all");
    }
    let shelf = Shelf::default();
    let mut failed = 0;
    for row in chosen {
        if !arguments.again && state.get(row.name).is_some_and(|done| done.is_passed) {
            println!("{} has passed before (--again runs it anew)", row.name);
            continue;
        }
        let seed = arguments.seed.unwrap_or_else(rand::random);
        println!("{} (seed {seed}): {}", row.name, row.claim);
        let done = runner::record(*row, seed, arguments.short, &shelf).await;
        let verdict = if done.is_passed { "passed" } else { "FAILED" };
        println!(
            "  {verdict} in {} s; {}; {:?}, {} sent again; {}",
            done.seconds, done.fired, done.counts, done.resent, done.note
        );
        failed += usize::from(!done.is_passed);
        state.insert(row.name.to_owned(), done);
        if !arguments.short {
            runner::save(&state)?;
        }
    }
    shelf.clear().await;
    if !arguments.short {
        let results = programs::root().join("test/fault/RESULTS.md");
        std::fs::write(results, report::markdown(&state, &report::machine()))?;
    }
    if failed > 0 {
        bail!("{failed} rows failed");
    }
    Ok(())
}
