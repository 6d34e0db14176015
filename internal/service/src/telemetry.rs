//! Logging: events as JSON or text on the standard error stream, one a line, without control characters.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::Error;
use crate::config::{LogFilter, LogFormat, Role};

/// What libraries say at `info` is of no use to who runs this; whoever wants it names them in the filter.
const QUIET: &str = "fjall=warn,lsm_tree=warn,librdkafka=warn,rdkafka=warn";

/// The format that a role logs in when none was said.
#[must_use]
pub fn default_format(role: Role) -> LogFormat {
    if role == Role::Dev && io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}

/// Begins to log; once a process.
///
/// # Errors
/// [`Error::Telemetry`] when logging began before.
pub fn start(filter: &LogFilter, format: LogFormat) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", filter.as_str()))
        .map_err(|error| Error::Telemetry(error.to_string()))?;
    // A log that cannot be written (its disk is full) must not end what is logged: the report of it would panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Escaping)
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    started.map_err(|error| Error::Telemetry(error.to_string()))
}

/// Makes writers to the standard error stream that let no control character through: what is logged may come from anybody.
#[derive(Clone, Copy, Debug)]
struct Escaping;

impl<'a> MakeWriter<'a> for Escaping {
    type Writer = Escaped<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped(io::stderr())
    }
}

/// Escapes all but a line feed at the end of what is written in one call, which is a whole event.
#[derive(Debug)]
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().any(|byte| is_control(*byte)) || has_c1(line) {
            let text = String::from_utf8_lossy(line);
            let mut out = String::with_capacity(text.len() + 16);
            text.chars().for_each(|c| if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) });
            out.push('\n');
            self.0.write_all(out.as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether a control character of U+0080 to U+009F is there: terminals obey those too.
fn has_c1(line: &[u8]) -> bool {
    line.windows(2).any(|pair| pair[0] == 0xc2 && pair[1] < 0xa0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let mut out = Escaped(Vec::new());
        out.write_all("a \u{1b}[31mred\nnext\u{9b}2J ä\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out.0).unwrap(), "a \\u{1b}[31mred\\nnext\\u{9b}2J ä\n");
        let mut out = Escaped(Vec::new());
        out.write_all("plain ä\n".as_bytes()).unwrap();
        assert_eq!(out.0, "plain ä\n".as_bytes());
    }
}
