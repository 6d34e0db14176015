//! `LogBatch` version 1: what a broker message holds.
