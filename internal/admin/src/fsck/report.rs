use std::fmt;

use serde::Serialize;

use super::{Finding, Outcome, Severity};

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Lives of the topic.
    pub incarnations: u64,
    /// Partitions that have a chain.
    pub partitions: u64,
    /// Entries read.
    pub entries: u64,
    /// Live chunks.
    pub chunks: u64,
    /// Records in them, as the chain says.
    pub records: u64,
    /// Their objects' length, in bytes.
    pub stored_bytes: u64,
    /// Objects with messages that could not be read.
    pub quarantine_objects: u64,
    /// Messages in them.
    pub quarantined_messages: u64,
    /// Bytes read from chunks.
    pub read_bytes: u64,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this form: 1.
    pub version: u32,
    /// The cluster.
    pub cluster: String,
    /// Whether every byte of every chunk was read.
    pub deep: bool,
    /// Whether what could be mended was.
    pub repair: bool,
    /// No fault stands.
    pub clean: bool,
    /// How many faults stand.
    pub faults: u64,
    /// How many notes there are.
    pub notes: u64,
    /// What was looked at.
    pub totals: Totals,
    /// What was found, faults first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    pub not_checked: Vec<String>,
}

impl Report {
    /// Whether no fault stands.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    pub(crate) fn sum_up(&mut self) {
        self.findings.sort_by(|a, b| {
            let order = |finding: &Finding| (finding.severity, finding.incarnation, finding.partition, finding.code);
            order(a).cmp(&order(b)).then_with(|| a.subject.cmp(&b.subject))
        });
        self.faults = self.findings.iter().filter(|finding| finding.is_standing_fault()).count() as u64;
        self.notes = self.findings.iter().filter(|finding| finding.severity == Severity::Note).count() as u64;
        self.clean = self.faults == 0;
    }
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Text that may come from anywhere, safe to show on a terminal.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.totals;
        let depth = if self.deep { "every byte read" } else { "footers read; --deep reads every byte" };
        writeln!(f, "cluster      {}", shown(&self.cluster))?;
        writeln!(
            f,
            "chains       {} of {} life/lives of the topic, {} entries",
            of.partitions, of.incarnations, of.entries
        )?;
        writeln!(
            f,
            "live chunks  {} with {} records, {} stored ({depth})",
            of.chunks,
            of.records,
            size(of.stored_bytes)
        )?;
        if of.quarantine_objects > 0 {
            writeln!(
                f,
                "quarantine   {} messages in {} objects (see `loglake admin quarantine list`)",
                of.quarantined_messages, of.quarantine_objects
            )?;
        }
        for why in &self.not_checked {
            writeln!(f, "not checked  {}", shown(why))?;
        }
        for finding in &self.findings {
            let severity = match (&finding.outcome, finding.severity) {
                (Outcome::Mended, _) => "MENDED",
                (_, Severity::Fault) => "FAULT",
                (_, Severity::Note) => "note",
            };
            write!(f, "\n{severity:<6} {:<20}", finding.code)?;
            if let (Some(incarnation), Some(partition)) = (finding.incarnation, finding.partition) {
                write!(f, " partition {partition} (life {incarnation})")?;
            }
            writeln!(f, "  {}", shown(&finding.subject))?;
            writeln!(f, "       {}", shown(&finding.what))?;
            match &finding.outcome {
                Outcome::Stands => writeln!(f, "       --repair: {}", finding.repair)?,
                Outcome::Mended => {}
                Outcome::NotMended(why) => writeln!(f, "       not mended: {}", shown(why))?,
            }
        }
        let mended = self.findings.iter().filter(|finding| finding.outcome == Outcome::Mended).count();
        writeln!(f)?;
        if mended > 0 {
            writeln!(f, "{mended} mended")?;
        }
        match (self.faults, self.notes) {
            (0, 0) => writeln!(f, "clean"),
            (0, notes) => writeln!(f, "clean: no fault; {notes} to note"),
            (faults, notes) => writeln!(f, "NOT CLEAN: {faults} fault(s) stand; {notes} to note"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_hostile_key_cannot_move_the_cursor() {
        assert_eq!(shown("a\u{1b}[2Jä"), "a\\u{1b}[2Jä");
    }
}
