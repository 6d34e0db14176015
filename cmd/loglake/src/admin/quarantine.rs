use std::io::Write as _;

use loglake_admin::{QuarantineObject, Redriven};
use serde::Serialize;

use super::args::{ListArgs, QuarantineCommand, RedriveArgs};
use super::place::{self, Want};
use super::progress;

/// `loglake admin quarantine`: whether all is well.
pub(crate) async fn run(command: QuarantineCommand) -> anyhow::Result<bool> {
    match command {
        QuarantineCommand::List(args) => list(args).await,
        QuarantineCommand::Redrive(args) => redrive(args).await,
    }
}

async fn list(args: ListArgs) -> anyhow::Result<bool> {
    let place = place::open(args.place, Want::Bucket).await?;
    let objects = loglake_admin::quarantine(&place.lake).await?;
    let mut out = std::io::stdout().lock();
    if args.output.json {
        serde_json::to_writer(&mut out, &objects)?;
        writeln!(out)?;
        return Ok(true);
    }
    if objects.is_empty() {
        writeln!(out, "nothing is in quarantine")?;
    }
    for object in &objects {
        let QuarantineObject { incarnation, partition, seq, key, length, count, .. } = object;
        writeln!(
            out,
            "partition {partition} (life {incarnation}), entry {seq}: {count} message(s), {length} bytes  {key}"
        )?;
        if let Some(problem) = &object.problem {
            writeln!(out, "    CANNOT BE READ: {}", place::shown(problem))?;
        }
        for message in &object.messages {
            let state = match (object.redriven.contains(&message.offset), message.is_readable) {
                (true, _) => "in the log again",
                (false, true) => "can be read now",
                (false, false) => "cannot be read",
            };
            writeln!(
                out,
                "    offset {:>10}  {}  {:>8} bytes  {state:<16}  {}",
                message.offset,
                place::shown(&message.appended_at),
                message.bytes,
                place::shown(&message.reason)
            )?;
        }
    }
    Ok(true)
}

/// What became of one object.
#[derive(Serialize)]
struct Row {
    key: String,
    #[serde(flatten)]
    redriven: Option<Redriven>,
    problem: Option<String>,
}

async fn redrive(args: RedriveArgs) -> anyhow::Result<bool> {
    let (place, target) = place::target(args.place).await?;
    let objects = loglake_admin::quarantine(&place.lake).await?;
    let progress = progress::shown(args.output);
    progress.stage("quarantine objects", Some(objects.len() as u64));
    let mut rows = Vec::new();
    for object in &objects {
        let key = object.key.clone();
        rows.push(match loglake_admin::redrive(&place.lake, object, &target, args.dry_run).await {
            Ok(redriven) => Row { key, redriven: Some(redriven), problem: None },
            Err(error) => Row { key, redriven: None, problem: Some(error.to_string()) },
        });
        progress.advance(1);
    }
    progress.end();
    place.close().await;
    let is_done = rows.iter().all(|row| row.problem.is_none());
    let mut out = std::io::stdout().lock();
    if args.output.json {
        serde_json::to_writer(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(is_done);
    }
    if rows.is_empty() {
        writeln!(out, "nothing is in quarantine")?;
    }
    for row in &rows {
        writeln!(out, "{}", row.key)?;
        if let Some(why) = &row.problem {
            writeln!(out, "    NOT DONE: {}", place::shown(why))?;
        }
        if let Some(of) = &row.redriven {
            let counts = [
                ("would be appended", of.would_append),
                ("appended", of.appended),
                ("found in the log, from an attempt that was cut off", of.found),
                ("appended earlier", of.done_before),
                ("cannot be read by this program either", of.unreadable),
            ];
            for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                writeln!(out, "    {count:>6}  {what}")?;
            }
        }
    }
    Ok(is_done)
}
