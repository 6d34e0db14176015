//! Real servers, real processes, real faults: a driver, a load, an oracle and a judge.
