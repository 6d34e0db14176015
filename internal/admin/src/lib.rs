//! What an operator does to a lake from the command line: check it, rebuild its index, look after its quarantine.
