use serde::{Deserialize, Serialize};

use crate::{TenantName, Timestamp};

/// A window of event time, aligned to the epoch: `[start, start + length)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First nanosecond of the window, UTC since the epoch.
    pub start_ns: i64,
    /// How long it is, in nanoseconds; always a whole number of minutes that divides a day.
    pub length_ns: i64,
}

impl Window {
    /// The default length, one hour.
    pub const HOUR_NS: i64 = 3_600_000_000_000;
    /// How many equal steps a time profile cuts a window into.
    pub const STEPS: usize = 60;

    /// The window of `length_ns` that holds `at_ns`.
    #[must_use]
    pub fn holding(at_ns: i64, length_ns: i64) -> Self {
        Self { start_ns: at_ns.div_euclid(length_ns) * length_ns, length_ns }
    }

    /// The first nanosecond past the window (saturating in 2262).
    #[must_use]
    pub fn end_ns(self) -> i64 {
        self.start_ns.saturating_add(self.length_ns)
    }

    /// Whether `at_ns` lies inside.
    #[must_use]
    pub fn contains(self, at_ns: i64) -> bool {
        at_ns.checked_sub(self.start_ns).is_some_and(|since| (0..self.length_ns).contains(&since))
    }

    /// The folder of the window's chunks: `data/tenant=<t>/service=<s>/date=YYYY-MM-DD/hour=HH`, with `minute=MM` added
    /// for windows other than an hour.
    #[must_use]
    pub fn folder(self, tenant: &TenantName, service: &crate::Service) -> String {
        let text = Timestamp(self.start_ns).to_string();
        let (date, hour, minute) = (&text[..10], &text[11..13], &text[14..16]);
        let folder = format!("data/tenant={tenant}/service={}/date={date}/hour={hour}", service.encoded());
        if self.length_ns == Self::HOUR_NS { folder } else { format!("{folder}/minute={minute}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;

    #[test]
    fn folders_are_hive_partitions() {
        let window = Window::holding(1_700_000_000_000_000_000, Window::HOUR_NS);
        let folder = window.folder(&TenantName::parse("t").unwrap(), &Service::parse("a/b").unwrap());
        assert_eq!(folder, "data/tenant=t/service=a%2Fb/date=2023-11-14/hour=22");
        assert!(window.contains(1_700_000_000_000_000_000) && !window.contains(window.end_ns()));
        assert!(
            Window::holding(i64::MAX, Window::HOUR_NS).contains(i64::MAX),
            "the last window is cut off by the end of time"
        );
    }
}
