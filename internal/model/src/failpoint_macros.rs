//! The macros of fail-points. Without the feature they are nothing.

/// A place where a test may make this process die or stall: `failpoint!("flush.applied");`. The name must be in the list of
/// `failpoints`. Compiles to nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {{
        const POINT: usize = $crate::failpoints::place($name, false);
        let _cannot_fail = $crate::failpoints::reach(POINT);
    }};
}

/// A place that a test may also make fail: `if fails!("ingest.appended") { return Err(…) }`. Is `false` without the feature
/// `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fails {
    ($name:literal) => {{
        const POINT: usize = $crate::failpoints::place($name, true);
        $crate::failpoints::reach(POINT)
    }};
}

/// A place where a test may make this process die or stall. This build has none.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
}

/// A place that a test may also make fail. This build has none: it is `false`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fails {
    ($name:literal) => {
        false
    };
}

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("the feature `failpoints` is for tests: no release build may have it");
