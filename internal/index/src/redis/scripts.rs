//! The scripts: each is one step that nobody sees half of. The server remembers them; they are sent again when it forgot.

use super::call::Script;

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) watermark: Script,
    pub(super) apply: Script,
    pub(super) begin_rebuild: Script,
    pub(super) rebuild: Script,
    pub(super) chunks: Script,
    pub(super) dump: Script,
    pub(super) sessions: Script,
    pub(super) stored: Script,
    pub(super) sum_up: Script,
    pub(super) lease: Script,
    pub(super) release: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let on_partition = |body: &str| Script::new(&[include_str!("scripts/look.lua"), body].concat());
        Self {
            watermark: on_partition(include_str!("scripts/watermark.lua")),
            apply: on_partition(include_str!("scripts/apply.lua")),
            begin_rebuild: on_partition(include_str!("scripts/begin_rebuild.lua")),
            rebuild: on_partition(include_str!("scripts/rebuild.lua")),
            chunks: on_partition(include_str!("scripts/chunks.lua")),
            dump: on_partition(include_str!("scripts/dump.lua")),
            sessions: on_partition(include_str!("scripts/sessions.lua")),
            stored: on_partition(include_str!("scripts/stored.lua")),
            sum_up: on_partition(include_str!("scripts/sum_up.lua")),
            lease: Script::new(include_str!("scripts/lease.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
        }
    }
}
