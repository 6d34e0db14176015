//! Kafka: away, short of replicas, changed under the roles, or with less than it had.

pub(super) mod added;
mod admin;
pub(super) mod below_isr;
mod cluster;
pub(super) mod down;
pub(super) mod one_of_three;
pub(super) mod recreated;
pub(super) mod retention;
pub(super) mod truncated;
