use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Answers are wrong or incomplete, or data is lost.
    Fault,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// What kind of thing was found. The names are stable: scripts may go by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// An object that says which life of the topic is which cannot be read.
    LifeUnreadable,
    /// Chains of a life of the topic that is not written down.
    LifeMissing,
    /// Two numbers for one topic.
    LifeTwice,
    /// Numbers are missing in a chain.
    EntryMissing,
    /// An entry cannot be read.
    EntryUnreadable,
    /// The newest checkpoint cannot be read.
    CheckpointUnreadable,
    /// A segment of the newest checkpoint is not in the bucket.
    SegmentMissing,
    /// A segment cannot be read.
    SegmentUnreadable,
    /// An entry does not carry the hash of its predecessor: one of the two was altered.
    WrongPreviousHash,
    /// An entry begins past its predecessor's end: records in between are in no chunk.
    OffsetGap,
    /// An entry begins before its predecessor's end: records may be in two chunks.
    OffsetOverlap,
    /// An entry removes what is not live, adds what is, or covers offsets that are not its own.
    BadChange,
    /// Written by a newer program.
    Newer,
    /// A live chunk is not in the bucket.
    ChunkMissing,
    /// A live chunk has another length than the chain says.
    ChunkLength,
    /// A live chunk's bytes are damaged.
    ChunkDamaged,
    /// A live chunk holds something else than the chain says.
    ChunkDiffers,
    /// A line of a live chunk does not belong there, or is no record.
    WrongLine,
    /// A record stands in more than one live chunk.
    RecordTwice,
    /// A quarantine object that an entry names is not in the bucket.
    QuarantineMissing,
    /// A quarantine object's bytes are damaged.
    QuarantineDamaged,
    /// The index has nothing of a partition.
    IndexMissing,
    /// The index lacks the newest entries.
    IndexBehind,
    /// The index knows entries that the bucket does not have.
    IndexAhead,
    /// The index says something else than the chain.
    IndexDiffers,
    /// The index's own entries cannot be read.
    IndexUnreadable,
    /// Data that no chain names and that a writer may still be about to name.
    Waiting,
    /// Data that no chain names or will ever name: the collector removes it.
    LeftOver,
    /// An object where none belongs.
    Stranger,
    /// Half-written files of a process that ended.
    StaleFiles,
}

impl Code {
    /// How bad that is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::IndexBehind | Self::Waiting | Self::LeftOver | Self::Stranger | Self::StaleFiles => Severity::Note,
            _ => Severity::Fault,
        }
    }

    /// What `--repair` would do about it.
    pub(crate) fn repair(self) -> Repair {
        match self {
            Self::IndexBehind => Repair::CatchUpIndex,
            Self::IndexMissing | Self::IndexAhead | Self::IndexDiffers | Self::IndexUnreadable => Repair::ReplaceIndex,
            Self::StaleFiles => Repair::RemoveStaleFiles,
            Self::Waiting | Self::LeftOver => Repair::None("nothing; the collector removes it when it is safe"),
            Self::Stranger => Repair::None("nothing; no role looks at it"),
            Self::Newer => Repair::None("nothing; check with the program that wrote it"),
            Self::ChunkMissing | Self::ChunkLength | Self::ChunkDamaged | Self::ChunkDiffers | Self::WrongLine => {
                Repair::None("nothing; restore the object from a backup or an earlier version in the bucket")
            }
            Self::QuarantineMissing | Self::QuarantineDamaged => {
                Repair::None("nothing; restore the object from a backup, or read the messages again from the broker")
            }
            Self::RecordTwice => Repair::None("nothing; report it, and keep both chunks"),
            Self::LifeUnreadable
            | Self::LifeMissing
            | Self::LifeTwice
            | Self::EntryMissing
            | Self::EntryUnreadable
            | Self::CheckpointUnreadable
            | Self::SegmentMissing
            | Self::SegmentUnreadable
            | Self::WrongPreviousHash
            | Self::OffsetGap
            | Self::OffsetOverlap
            | Self::BadChange => {
                Repair::None("nothing; the chain is the truth: restore its objects from a backup, change none by hand")
            }
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // One list of names: serde's.
        let name = serde_json::to_string(self).map_err(|_| std::fmt::Error)?;
        f.pad(name.trim_matches('"'))
    }
}

/// What can be done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Repair {
    /// Nothing that is safe; what a person can do.
    None(&'static str),
    /// Apply to the index what it lacks.
    CatchUpIndex,
    /// Replace the index of the partition.
    ReplaceIndex,
    /// Remove the files.
    RemoveStaleFiles,
}

impl Repair {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None(advice) => advice,
            Self::CatchUpIndex => "applies the entries that the index lacks",
            Self::ReplaceIndex => "replaces this partition's index by what the bucket says, in one step",
            Self::RemoveStaleFiles => "removes the files",
        }
    }
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum Outcome {
    /// Nothing was done about it.
    Stands,
    /// It was mended.
    Mended,
    /// Mending it failed.
    NotMended(String),
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// Which life of the topic, where it is of one.
    pub incarnation: Option<u32>,
    /// Which partition, where it is of one.
    pub partition: Option<u32>,
    /// The object's key, or what else it is about.
    pub subject: String,
    /// What is wrong, for people.
    pub what: String,
    /// What `--repair` does about it, or what a person can do.
    pub repair: &'static str,
    /// Whether `--repair` can mend it.
    pub can_repair: bool,
    /// What became of it.
    pub outcome: Outcome,
}

impl Finding {
    pub(crate) fn new(code: Code, subject: impl Into<String>, what: impl Into<String>) -> Self {
        let repair = code.repair();
        Self {
            code,
            severity: code.severity(),
            incarnation: None,
            partition: None,
            subject: subject.into(),
            what: what.into(),
            repair: repair.text(),
            can_repair: !matches!(repair, Repair::None(_)),
            outcome: Outcome::Stands,
        }
    }

    /// The same of a partition.
    pub(crate) fn at(mut self, incarnation: u32, partition: u32) -> Self {
        (self.incarnation, self.partition) = (Some(incarnation), Some(partition));
        self
    }

    /// Whether it is the same finding at another look.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let id = |finding: &Self| (finding.code, finding.incarnation, finding.partition);
        id(self) == id(other) && self.subject == other.subject
    }

    /// Whether it is still there and bad.
    #[must_use]
    pub fn is_standing_fault(&self) -> bool {
        self.severity == Severity::Fault && self.outcome != Outcome::Mended
    }
}
