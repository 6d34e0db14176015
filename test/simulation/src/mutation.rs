//! Rules broken on purpose.

/// A rule of the commit protocol that a part breaks on purpose: the simulation must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The index applies an entry without looking at its watermark.
    IndexAppliesAnything,
    /// The index leaves a chunk of an entry out.
    IndexLosesChunks,
    /// A conditional create writes over what is there.
    StoreOverwrites,
    /// A create whose outcome is in doubt is told as done.
    StoreSaysCreated,
    /// A processor begins where the group's offset stands instead of where it asks to.
    ConsumerBeginsAtGroupOffset,
    /// A processor is not given a message now and then.
    ConsumerSkipsMessages,
    /// The broker tells the latest offsets of a while ago.
    BrokerTellsOldOffsets,
    /// The broker confirms what it then forgets.
    BrokerForgets,
    /// The index gives a tenant another one's chunks.
    IndexMixesTenants,
    /// What stands before the ingestors takes the keys away, so that nothing tells a repetition.
    KeysAreLost,
    /// The index forgets which keys were seen, so that a reader of the raw tail takes a repetition for a new request.
    IndexForgetsSessions,
    /// A checkpoint forgets which keys were seen, so that a processor which takes the partition over does.
    CheckpointForgetsSessions,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::IndexAppliesAnything,
        Self::IndexLosesChunks,
        Self::StoreOverwrites,
        Self::StoreSaysCreated,
        Self::ConsumerBeginsAtGroupOffset,
        Self::ConsumerSkipsMessages,
        Self::BrokerTellsOldOffsets,
        Self::BrokerForgets,
        Self::IndexMixesTenants,
        Self::KeysAreLost,
        Self::IndexForgetsSessions,
        Self::CheckpointForgetsSessions,
    ];
}
