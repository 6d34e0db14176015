use crate::entry::Record;
use crate::load::Source;

/// What is sent at once, and sent again as it is.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Its records; at least one.
    pub(super) records: Vec<Record>,
    /// What tells its repetitions, if anything does; not used in a session, which numbers its batches.
    pub(super) key: Option<String>,
}

impl Letter {
    /// One of new records; not yet attempted.
    pub(super) fn write(source: &mut Source) -> Self {
        let records = source.batch();
        let first = records.first().map(|record| record.number);
        // No other letter has this record.
        let key = first.filter(|_| source.kind.has_keys()).map(|number| format!("from record {number}"));
        Self { records, key }
    }

    /// The numbers of its records, in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.records.iter().map(|record| record.number)
    }
}
