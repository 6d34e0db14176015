//! Explores the commit protocol's models and prints what was found, as a table.

use std::process::ExitCode;

use loglake_model_check::cases::{Case, Expected, all};

const HELP: &str = "\
Explores the models of the commit protocol and prints states, time and verdict of each configuration.

usage: loglake-model [OPTIONS] [NAME...]

NAMEs choose configurations; without one all are explored.

  --quick          only the configurations that the tests explore
  --list           names them, with what is in each
  --trace          prints the way to each violation that was found
  --limit N        gives a configuration up after N transitions (default 200000000)
  --help           this

Ends with 1 when a configuration that must hold does not, or one that must fail does not.";

struct Args {
    is_quick: bool,
    is_list: bool,
    has_traces: bool,
    limit: usize,
    names: Vec<String>,
}

fn parse() -> Result<Option<Args>, String> {
    let mut args = Args { is_quick: false, is_list: false, has_traces: false, limit: 200_000_000, names: Vec::new() };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        match arg.as_str() {
            "--quick" => args.is_quick = true,
            "--list" => args.is_list = true,
            "--trace" => args.has_traces = true,
            "--limit" => {
                let value = given.next().ok_or("--limit takes a number")?;
                args.limit = value.parse().map_err(|_| format!("--limit: {value:?} is no number"))?;
            }
            "--help" | "-h" => return Ok(None),
            name if name.starts_with('-') => return Err(format!("unknown option {name}")),
            name => args.names.push(name.to_owned()),
        }
    }
    Ok(Some(args))
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("{what}\n\n{HELP}");
            return ExitCode::from(64);
        }
    };
    let mut cases = all();
    if let Some(unknown) = args.names.iter().find(|name| !cases.iter().any(|case| case.name == name.as_str())) {
        eprintln!("no configuration is called {unknown}; --list names them");
        return ExitCode::from(64);
    }
    cases.retain(|case| args.names.is_empty() || args.names.iter().any(|name| name == case.name));
    cases.retain(|case| case.is_quick || !args.is_quick);
    println!("| configuration | states | seconds | verdict | |\n|---|---:|---:|---|---|");
    let mut is_good = true;
    for case in &cases {
        is_good &= if args.is_list { list(case) } else { explore(case, &args) };
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn list(case: &Case) -> bool {
    let expected = match case.expected {
        Expected::Holds => "must hold".to_owned(),
        Expected::Breaks(property) => format!("must break: {property}"),
    };
    println!("| {} | | | {expected} | {} |", case.name, case.about);
    true
}

fn explore(case: &Case, args: &Args) -> bool {
    let verdict = case.run(args.limit);
    let is_met = case.is_met_by(&verdict);
    let found: Vec<&str> = verdict.violations.iter().map(|violation| violation.property).collect();
    let outcome = match (case.expected, found.is_empty()) {
        (Expected::Holds, true) if is_met => "holds".to_owned(),
        (_, true) => "**NOT EXHAUSTED**".to_owned(),
        (Expected::Breaks(property), false) if is_met => format!("breaks: {property}"),
        _ => format!("**UNEXPECTED**: {}", found.join("; ")),
    };
    let seconds = verdict.took.as_secs_f64();
    println!("| {} | {} | {seconds:.1} | {outcome} | {} |", case.name, verdict.states, case.about);
    if args.has_traces || (!is_met && !found.is_empty()) {
        for violation in &verdict.violations {
            println!("\n{}: {}", case.name, violation.property);
            for (number, event) in violation.trace.iter().enumerate() {
                println!("{:4}. {event}", number + 1);
            }
            println!();
        }
    }
    is_met
}
