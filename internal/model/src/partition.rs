use crate::{Service, TenantName};

/// The partition of a stream (tenant, service) among `partitions` (at least 1).
///
/// FNV-1a, 64 bits (Fowler, Noll, Vo), over tenant, a zero byte and service, folded to 32 bits. It is part of the stored
/// format: queries use it to ask only the partitions that can hold a service.
#[must_use]
pub fn partition_of(tenant: &TenantName, service: &Service, partitions: u32) -> u32 {
    let bytes = tenant.as_str().bytes().chain([0]).chain(service.as_str().bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folded = (hash ^ (hash >> 32)) & 0xffff_ffff;
    u32::try_from(folded % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_change() {
        let tenant = TenantName::parse("default").unwrap();
        let of = |name: &str| partition_of(&tenant, &Service::parse(name).unwrap(), 12);
        assert_eq!([of("api"), of("checkout"), of("Hadoop"), of("HDFS")], [10, 2, 0, 2]);
        let spread: std::collections::BTreeSet<u32> = (0..200).map(|n| of(&format!("service-{n}"))).collect();
        assert_eq!(spread.len(), 12);
    }
}
