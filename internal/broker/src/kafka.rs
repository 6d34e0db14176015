//! The broker over Apache Kafka.
