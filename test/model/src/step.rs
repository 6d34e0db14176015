use std::fmt;

/// One transition: what happened, and the state that it leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct Step<E, S> {
    /// What happened.
    pub event: E,
    /// What is then.
    pub next: S,
}

impl<E: fmt::Debug, S> fmt::Debug for Step<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}
