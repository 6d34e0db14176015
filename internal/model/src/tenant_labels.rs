use std::collections::HashSet;

use parking_lot::RwLock;

use crate::TenantName;

/// Which tenants have a metric's label of their own: the first so many that a process meets, for as long as it runs. Every
/// label value is a time series for ever, and the number of tenants has no bound.
#[derive(Debug)]
pub struct TenantLabels {
    limit: usize,
    known: RwLock<HashSet<TenantName>>,
}

impl TenantLabels {
    /// What all others share. No tenant has this name: a name begins with a letter or a digit.
    pub const OTHERS: &'static str = "_other";

    /// Labels for at most `limit` tenants beside [`Self::OTHERS`]; 0 names nobody.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, known: RwLock::default() }
    }

    /// The label of `tenant`: its name, or [`Self::OTHERS`].
    #[must_use]
    pub fn of<'a>(&self, tenant: &'a TenantName) -> &'a str {
        if self.is_known(tenant) { tenant.as_str() } else { Self::OTHERS }
    }

    fn is_known(&self, tenant: &TenantName) -> bool {
        let known = self.known.read();
        if known.contains(tenant) || known.len() >= self.limit {
            return known.contains(tenant);
        }
        drop(known);
        let mut known = self.known.write();
        // Others may have come in between.
        known.contains(tenant) || (known.len() < self.limit && known.insert(tenant.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tenants_have_labels_and_all_others_share_one() {
        let name = |text: &str| TenantName::parse(text).unwrap();
        let labels = TenantLabels::new(2);
        assert_eq!(labels.of(&name("a")), "a");
        assert_eq!(labels.of(&name("b")), "b");
        for n in 0..1_000 {
            assert_eq!(labels.of(&name(&format!("c{n}"))), TenantLabels::OTHERS);
        }
        assert_eq!((labels.of(&name("b")), labels.of(&name("a"))), ("b", "a"));
        assert_eq!(TenantLabels::new(0).of(&name("a")), TenantLabels::OTHERS);
        assert!(TenantName::parse(TenantLabels::OTHERS).is_err(), "nobody can be called so");
    }
}
