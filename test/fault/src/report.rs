//! The table of results.

use std::fmt::Write as _;

use crate::rows::ROWS;
use crate::runner::State;

/// The results as Markdown.
pub fn markdown(state: &State, machine: &str) -> String {
    let mut out = String::from(
        "# Faults survived\n\nMade by `make fault`. Every row passed means: acknowledged ⊆ returned, each exactly once; returned ⊆ sent, payloads\n\
         intact; only the asking tenant's rows; no answer wrong while it lasted; fresh writes readable within 30 s of healing;\n\
         `loglake admin fsck --deep` finds no fault.\n\n",
    );
    let _ = writeln!(out, "Machine: {machine}.\n");
    out.push_str("| row | fault fired | acknowledged | returned | sent again | answers meanwhile: whole, not | healed | verdict | seconds | date, seed |\n");
    out.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for row in ROWS {
        let Some(done) = state.get(row.name) else {
            let _ = writeln!(out, "| {} | | | | | | | not run | | |", row.name);
            continue;
        };
        let verdict = if done.is_passed { "passed" } else { "**failed**" };
        let [_, acknowledged, returned] = done.counts;
        let [whole, errors] = done.walks;
        let _ = writeln!(
            out,
            "| {} | {} | {acknowledged} | {returned} | {} | {whole}, {errors} | {} ms | {verdict} | {} | {}, {} |",
            row.name, done.fired, done.resent, done.healed_ms, done.seconds, done.date, done.seed
        );
    }
    let notes: Vec<_> = ROWS.iter().filter_map(|row| Some((row, state.get(row.name)?))).collect();
    out.push_str("\n## Rows\n\n");
    for (row, done) in notes {
        let note = done.note.lines().next().unwrap_or_default();
        let _ = writeln!(out, "- `{}`: {}.{}{note}", row.name, row.claim, if note.is_empty() { "" } else { " " });
    }
    out
}

/// What this runs on, in short.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.to_owned()))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cpu}, {cores} cores, Linux {}", kernel.trim())
}
