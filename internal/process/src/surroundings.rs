use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

/// What a processor has around it beside its parts. [`crate::Processor::bind`] takes the machine's own; a simulation brings
/// what it decides itself.
pub struct Surroundings {
    /// Where the calls to the tail service come in.
    pub incoming: Incoming,
    /// Makes a new nonce each time. One that comes twice makes a writer take another's entry for its own.
    pub nonce: Box<dyn Fn() -> String + Send + Sync>,
    /// Builds and searches on the caller's own thread, so that everything happens in one order.
    pub is_single_threaded: bool,
}

/// Where connections come from.
#[derive(Debug)]
pub enum Incoming {
    /// A socket.
    Tcp(TcpListener),
    /// The same process.
    Memory(UnboundedReceiver<DuplexStream>),
}

impl Surroundings {
    /// Those of a real machine.
    pub(crate) fn of_machine(listener: TcpListener) -> Self {
        Self {
            incoming: Incoming::Tcp(listener),
            nonce: Box::new(|| format!("{:016x}", rand::random::<u64>())),
            is_single_threaded: false,
        }
    }
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
