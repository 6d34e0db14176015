//! How much a tenant may take of what all share: [`Limits`], the cluster's defaults and each tenant's own.
//!
//! [`TenantLimits`] says what holds for whom at this moment; an operator's change is known after the registry's next refresh.
//! [`Quotas`] is what an ingestor counts by, [`Bucket`] how a rate is kept. Several ingestors tell one another what they took
//! through [`Counters`], and ask [`StoredBytes`] how much is at rest.

mod bucket;
mod counters;
mod limit;
mod names;
mod quota;
mod quotas;
mod storage;
mod tenant_limits;
mod turns;

pub use bucket::Bucket;
pub use counters::{Counters, CountersError, Taken};
pub use limit::{Limit, Limits, Overrides};
pub use quota::{Over, Quota};
pub use quotas::Quotas;
pub use storage::{AtRest, StoredBytes, StoredBytesError};
pub use tenant_limits::TenantLimits;
pub use turns::{Turn, Turns};
