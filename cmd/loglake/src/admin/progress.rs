use std::io::{self, IsTerminal as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use loglake_admin::{Progress, Quiet};

use super::args::OutputArgs;

/// How often a line says how far it is, where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// A bar on a terminal, lines elsewhere, nothing when asked for.
pub(crate) fn shown(output: OutputArgs) -> Box<dyn Progress> {
    if output.quiet {
        Box::new(Quiet)
    } else if io::stderr().is_terminal() {
        Box::new(Bar(Mutex::default()))
    } else {
        Box::new(Lines(Mutex::new(Line { stage: String::new(), total: None, done: 0, last: Instant::now() })))
    }
}

/// A bar that is redrawn and goes when the stage is over.
struct Bar(Mutex<Option<ProgressBar>>);

impl Progress for Bar {
    fn stage(&self, name: &str, total: Option<u64>) {
        let (bar, style) = match total {
            Some(total) => (ProgressBar::new(total), "{msg:<28} [{bar:32}] {human_pos}/{human_len} {eta}"),
            None => (ProgressBar::no_length(), "{msg:<28} {spinner} {human_pos}"),
        };
        // The style is ours and sound; without one the bar is only plainer.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name.to_owned());
        if let Ok(mut held) = self.0.lock() {
            *held = Some(bar);
        }
    }

    fn advance(&self, steps: u64) {
        if let Ok(held) = self.0.lock()
            && let Some(bar) = held.as_ref()
        {
            bar.inc(steps);
        }
    }

    fn end(&self) {
        if let Ok(mut held) = self.0.lock()
            && let Some(bar) = held.take()
        {
            bar.finish_and_clear();
        }
    }
}

struct Line {
    stage: String,
    total: Option<u64>,
    done: u64,
    last: Instant,
}

/// A line now and then.
struct Lines(Mutex<Line>);

impl Lines {
    fn tell(line: &mut Line) {
        if line.last.elapsed() < EVERY {
            return;
        }
        line.last = Instant::now();
        match line.total {
            Some(total) => eprintln!("{}: {} of {total}", line.stage, line.done),
            None => eprintln!("{}: {}", line.stage, line.done),
        }
    }
}

impl Progress for Lines {
    fn stage(&self, name: &str, total: Option<u64>) {
        if let Ok(mut line) = self.0.lock() {
            (line.stage, line.total, line.done) = (name.to_owned(), total, 0);
            Self::tell(&mut line);
        }
    }

    fn advance(&self, steps: u64) {
        if let Ok(mut line) = self.0.lock() {
            line.done += steps;
            Self::tell(&mut line);
        }
    }

    fn end(&self) {}
}
