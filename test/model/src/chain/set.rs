use std::fmt;

/// A place in the partition's log; at most 8 in a model.
pub type Offset = u8;
/// A number in the chain, from 1.
pub type Seq = u8;
/// How many chunks may be known at one moment.
pub const IDS: usize = 14;

/// A set of offsets.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offsets(u8);

impl Offsets {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those of `[start, end)`.
    #[must_use]
    pub fn range(start: Offset, end: Offset) -> Self {
        let below = |end: Offset| ((1_u16 << end) - 1) as u8;
        if end <= start { Self::NONE } else { Self(below(end) & !below(start)) }
    }

    /// Whether `offset` is among them.
    #[must_use]
    pub fn has(self, offset: Offset) -> bool {
        self.0 >> offset & 1 == 1
    }

    /// Those of either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether both have one.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..8).filter(|offset| self.has(*offset))).finish()
    }
}

/// Names a chunk, and with it the attempt that uploaded it: an entry's nonce.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u8);

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// A set of chunks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ids(u16);

impl Ids {
    /// None.
    pub const NONE: Self = Self(0);

    /// Only `id`.
    #[must_use]
    pub fn one(id: Id) -> Self {
        Self(1 << id.0)
    }

    /// Those for which `is` holds.
    #[must_use]
    pub fn that(self, is: impl Fn(Id) -> bool) -> Self {
        self.iter().filter(|id| is(*id)).fold(Self::NONE, Self::with)
    }

    /// Whether `id` is among them.
    #[must_use]
    pub fn has(self, id: Id) -> bool {
        self.0 >> id.0 & 1 == 1
    }

    /// These and `id`.
    #[must_use]
    pub fn with(self, id: Id) -> Self {
        self.and(Self::one(id))
    }

    /// Those of either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it is the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, ascending.
    pub fn iter(self) -> impl Iterator<Item = Id> {
        (0..IDS as u8).map(Id).filter(move |id| self.has(*id))
    }

    /// The lowest that is not among them.
    ///
    /// # Panics
    /// When a configuration is too large for the model's table.
    #[must_use]
    pub fn free(self) -> Id {
        let id = Id(self.0.trailing_ones() as u8);
        assert!((id.0 as usize) < IDS, "the configuration needs more than {IDS} chunks at a time");
        id
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
