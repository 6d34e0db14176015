//! Runs seeds until one finds something, or time or count is over; prints how far it is.

use std::time::{Duration, Instant};

use clap::Parser;
use loglake_simulation::run::{Options, run};

/// Runs the simulation over many seeds, or over one.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1_000_000)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// For how many seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Prints all that happens as it happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let options = Options { is_printed: arguments.trace, ..Options::default() };
    let (first, count) = arguments.seed.map_or((arguments.from, arguments.count), |seed| (seed, 1));
    let begun = Instant::now();
    let (mut done, mut records, mut complete, mut readings, mut told) = (0_u64, 0, 0, 0, Instant::now());
    for seed in (first..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        match run(seed, options) {
            Ok(report) => {
                done += 1;
                records += report.acknowledged;
                complete += report.complete;
                readings += report.readings;
                if arguments.seed.is_some() {
                    println!("seed {seed}: {report:?}");
                }
            }
            Err(found) => {
                println!("{found}");
                return std::process::ExitCode::FAILURE;
            }
        }
        let is_over = begun.elapsed() >= Duration::from_secs(arguments.seconds) || seed - first + 1 == count;
        if told.elapsed() >= Duration::from_secs(10) || is_over {
            println!(
                "{done} seeds ({first}..={seed}) in {} s: {records} records acknowledged, {complete} of {readings} \
                 readings complete, nothing found",
                begun.elapsed().as_secs()
            );
            told = Instant::now();
        }
        if is_over {
            break;
        }
    }
    std::process::ExitCode::SUCCESS
}
