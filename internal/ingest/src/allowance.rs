use parking_lot::Mutex;

/// How many of something may begin in a span of time: what the rest of the cluster must remember of it stays bounded.
#[derive(Debug)]
pub(crate) struct Allowance {
    most: u64,
    span_ns: i64,
    /// When the span began, and how many have begun since.
    state: Mutex<(i64, u64)>,
}

impl Allowance {
    pub(crate) fn new(most: u64, span_ns: i64) -> Self {
        Self { most, span_ns, state: Mutex::new((i64::MIN, 0)) }
    }

    /// Takes one, if there are any left at `now_ns`.
    pub(crate) fn take(&self, now_ns: i64) -> bool {
        let mut state = self.state.lock();
        // Also when the clock was put back.
        if now_ns.checked_sub(state.0).is_none_or(|since| !(0..self.span_ns).contains(&since)) {
            *state = (now_ns, 0);
        }
        let is_left = state.1 < self.most;
        state.1 += u64::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_span() {
        let allowance = Allowance::new(2, 100);
        assert!(allowance.take(5) && allowance.take(104));
        assert!(!allowance.take(104));
        assert!(allowance.take(105));
        assert!(allowance.take(3), "the clock was put back");
    }
}
