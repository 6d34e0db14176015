/// Is told how far a long command is, for people.
pub trait Progress: Send + Sync {
    /// A stage begins; `total` steps of it are known to come, or nobody knows.
    fn stage(&self, name: &str, total: Option<u64>);

    /// So many steps more are done.
    fn advance(&self, steps: u64);

    /// The last stage is over.
    fn end(&self);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn stage(&self, _: &str, _: Option<u64>) {}

    fn advance(&self, _: u64) {}

    fn end(&self) {}
}
