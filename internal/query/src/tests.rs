//! The role over parts in memory: what it answers is compared with a plain filter and sort of what was sent.

mod bad_input;
mod budget;
mod counting;
mod disk;
mod fake_index;
mod fake_tail;
mod footers;
mod gate;
pub(crate) mod lake;
mod paging;
mod places;
mod reading;
mod tenants;
