//! The role over parts in memory: what it answers is compared with a plain filter and sort of what was sent.

mod bad_input;
mod counting;
mod fake_index;
mod fake_tail;
mod footers;
mod gate;
mod lake;
mod paging;
mod reading;
mod tenants;
