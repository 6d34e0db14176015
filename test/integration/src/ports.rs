//! Ports for servers that a test starts.
//!
//! They lie below those that the system gives to outgoing connections, in blocks that one process has for itself: the port of
//! a server that was killed is neither taken by a client's connection nor by a server of other tests while it is down.

use std::net::TcpListener;
use std::sync::Mutex;

/// Where blocks begin and end.
const BLOCKS: std::ops::Range<u16> = 10_000..32_000;
/// Ports a block. The first is held while the process lives, which makes the block its own.
const BLOCK: u16 = 400;
/// Kafka takes the port after the one that it is given, too.
const STEP: u16 = 2;

/// The block in use.
#[derive(Debug)]
struct Block {
    _guard: TcpListener,
    first: u16,
    next: u16,
}

impl Block {
    /// The first block that nobody has, from a place of this process's own.
    fn take() -> Self {
        let count = BLOCKS.len() as u32 / u32::from(BLOCK);
        for turn in 0..count {
            let at = (std::process::id() + turn) % count;
            let first = BLOCKS.start + u16::try_from(at).expect("few blocks") * BLOCK;
            if let Ok(guard) = TcpListener::bind(("127.0.0.1", first)) {
                return Self { _guard: guard, first, next: first + STEP };
            }
        }
        panic!("no free block of ports on the loopback");
    }
}

/// The blocks of this process; the last one is in use, the others are used up.
static TAKEN: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// A port on the loopback that nobody listens on now, and that is this process's own.
///
/// # Panics
/// When the system has no free port.
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        match taken.last_mut().filter(|block| block.next + STEP <= block.first + BLOCK) {
            Some(block) => {
                let port = block.next;
                block.next += STEP;
                if [port, port + 1].into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                    return port;
                }
            }
            None => taken.push(Block::take()),
        }
    }
}
