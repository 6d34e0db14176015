use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long to wait for a connection that was asked to go before another one is.
const NEXT: Duration = Duration::from_millis(50);
/// How long after its last request a connection that was asked to go may stay: the rest of an answer may be on its way.
const LINGER: Duration = Duration::from_secs(5);
/// How long one that is older still gets to say good-bye.
const FAREWELL: Duration = Duration::from_millis(100);
/// How long one at work has for the same, whose owner has more than half of the places.
const SHORT_FAREWELL: Duration = Duration::from_millis(20);
/// Which part of the places is kept from those that have half of them.
const RESERVE: usize = 16;

/// As many connections as are served at a time. When all places are taken, the connection that has been idle for longest (no
/// request in progress) gives way to a new one; where none is idle, the new one waits. Clones share the places.
///
/// A sixteenth of the places is kept free of the work of whoever has half of them or more: it gets no more, and where others begin to
/// work there, its oldest connection ends.
#[derive(Clone, Debug)]
pub struct Places(Arc<All>);

#[derive(Debug)]
struct All {
    free: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
    /// Told when a connection becomes idle.
    one_idle: Notify,
    /// How many were asked to go.
    displaced: IntCounter,
}

#[derive(Debug, Default)]
struct State {
    /// Those that are idle and were not asked to go yet, the longest first.
    idle: BTreeMap<u64, Asked>,
    /// Those at work that were not, by whom they work for, the oldest first.
    busy: HashMap<Arc<str>, BTreeMap<u64, Asked>>,
    /// Numbers the moments at which one became idle, or began to work.
    next: u64,
}

/// What a connection is told.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// Its place is needed.
    needed: CancellationToken,
    /// Also while it is at work.
    at_once: CancellationToken,
}

impl State {
    fn enter(&mut self, asked: &Asked) -> u64 {
        let number = self.next;
        self.next += 1;
        self.idle.insert(number, asked.clone());
        number
    }

    fn begin(&mut self, owner: &str, asked: &Asked) -> Busy {
        let number = self.next;
        self.next += 1;
        let owner = self.busy.get_key_value(owner).map_or_else(|| Arc::from(owner), |(known, _)| Arc::clone(known));
        self.busy.entry(Arc::clone(&owner)).or_default().insert(number, asked.clone());
        Busy { owner, number }
    }

    fn end(&mut self, busy: &Busy) {
        let Some(all) = self.busy.get_mut(&busy.owner) else { return };
        all.remove(&busy.number);
        if all.is_empty() {
            self.busy.remove(&busy.owner);
        }
    }

    /// Makes room for one more at work for `owner` among `most`, where it is scarce; says which connection is to go for it.
    fn admit(&mut self, owner: &str, most: usize) -> Result<Option<Asked>, Crowded> {
        let (reserve, half) = (most / RESERVE, most / 2);
        let at_work: usize = self.busy.values().map(BTreeMap::len).sum();
        if reserve == 0 || at_work + reserve < most {
            return Ok(None);
        }
        if self.busy.get(owner).is_some_and(|all| all.len() >= half) {
            return Err(Crowded);
        }
        let largest = self.busy.values_mut().max_by_key(|all| all.len()).filter(|all| all.len() > half);
        let oldest = largest.and_then(BTreeMap::pop_first).map(|(_, asked)| asked);
        Ok(oldest.inspect(|asked| asked.at_once.cancel()))
    }
}

impl Places {
    /// So many places, at least one; `displaced` counts the connections that were asked to give theirs up.
    #[must_use]
    pub fn new(most: usize, displaced: IntCounter) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(most));
        Self(Arc::new(All { free, most, state: Mutex::default(), one_idle: Notify::new(), displaced }))
    }

    /// What counts the connections that were asked to go.
    pub(crate) fn displaced(&self) -> IntCounter {
        self.0.displaced.clone()
    }

    /// Takes a place, from the connection that has been idle for longest if none is free. Waits while none is idle.
    pub async fn take(&self) -> Place {
        let permit = Arc::clone(&self.0.free).acquire_owned();
        let mut permit = std::pin::pin!(permit);
        loop {
            let one_idle = self.0.one_idle.notified();
            let is_one_going = self.0.free.available_permits() > 0 || self.displace();
            tokio::select! {
                biased;
                permit = &mut permit => return Place::new(Arc::clone(&self.0), permit.ok()),
                () = one_idle, if !is_one_going => {}
                () = sleep(NEXT), if is_one_going => {}
            }
        }
    }

    /// Asks the connection that has been idle for longest to go; `false` when none is idle.
    pub(crate) fn displace(&self) -> bool {
        let Some((_, asked)) = self.0.state.lock().idle.pop_first() else { return false };
        self.0.displaced.inc();
        asked.needed.cancel();
        true
    }
}

/// A connection's place. Dropped, it is free for another.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Shared {
    all: Arc<All>,
    asked: Asked,
    use_of: Mutex<Use>,
    /// Told when the last request ended.
    quiet: Notify,
}

#[derive(Debug)]
struct Use {
    in_progress: usize,
    /// Its number among the idle.
    number: Option<u64>,
    /// Its place among those at work, where it is known for whom.
    busy: Option<Busy>,
    /// When the last request ended; none before the first.
    served_at: Option<Instant>,
}

/// Where a connection stands among those at work.
#[derive(Debug)]
struct Busy {
    owner: Arc<str>,
    number: u64,
}

impl Place {
    // The semaphore is never closed: there is always a permit.
    fn new(all: Arc<All>, permit: Option<OwnedSemaphorePermit>) -> Self {
        let asked = Asked::default();
        let number = Some(all.state.lock().enter(&asked));
        let use_of = Mutex::new(Use { in_progress: 0, number, busy: None, served_at: None });
        all.one_idle.notify_one();
        Self { shared: Arc::new(Shared { all, asked, use_of, quiet: Notify::new() }), _permit: permit }
    }

    /// Says that a request is in progress until what is returned is dropped: the connection is not idle meanwhile.
    #[must_use]
    pub fn work(&self) -> Work {
        Work::begin(&self.shared)
    }

    /// What says so from within the connection's service.
    #[must_use]
    pub fn worker(&self) -> Worker {
        Worker(Arc::clone(&self.shared))
    }

    /// Returns when the place is needed for another connection: this one is to end in order, and at the latest when
    /// [`Place::overstayed`] returns.
    pub async fn needed(&self) {
        self.shared.asked.needed.cancelled().await;
    }

    /// Returns when a connection whose place is needed is to be cut: at once if it never had a request, else some time after its
    /// last one, and while one is in progress only where its owner has more than half of all places.
    pub async fn overstayed(&self) {
        let asked = Instant::now();
        loop {
            let quiet = self.shared.quiet.notified();
            let (in_progress, served_at) = {
                let of = self.shared.use_of.lock();
                (of.in_progress, of.served_at)
            };
            match served_at {
                _ if in_progress > 0 => tokio::select! {
                    () = quiet => {}
                    () = self.shared.asked.at_once.cancelled() => return sleep(SHORT_FAREWELL).await,
                },
                None => return,
                Some(at) => {
                    let deadline = (at + LINGER).max(asked + FAREWELL);
                    if Instant::now() >= deadline {
                        return;
                    }
                    sleep_until(deadline).await;
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.shared.use_of.lock();
        // A request may end after its connection: it must not make an idle one of it again.
        self.shared.asked.needed.cancel();
        let mut state = self.shared.all.state.lock();
        if let Some(number) = of.number {
            state.idle.remove(&number);
        }
        if let Some(busy) = of.busy.take() {
            state.end(&busy);
        }
    }
}

/// Begins requests of one connection.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Shared>);

impl Worker {
    /// See [`Place::work`].
    #[must_use]
    pub fn work(&self) -> Work {
        Work::begin(&self.0)
    }

    /// The same of a request of `owner`, such as a tenant, among which the places are shared.
    ///
    /// # Errors
    /// [`Crowded`] when `owner` has half of the places already and the rest is scarce.
    pub fn work_for(&self, owner: &str) -> Result<Work, Crowded> {
        Work::begin_for(&self.0, owner)
    }
}

/// No more work is let in for this owner at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

/// A request in progress.
#[derive(Debug)]
pub struct Work(Arc<Shared>);

impl Work {
    fn begin(shared: &Arc<Shared>) -> Self {
        Self::count(shared, &mut shared.use_of.lock());
        Self(Arc::clone(shared))
    }

    fn begin_for(shared: &Arc<Shared>, owner: &str) -> Result<Self, Crowded> {
        let mut of = shared.use_of.lock();
        if of.busy.is_none() && !shared.asked.needed.is_cancelled() {
            let mut state = shared.all.state.lock();
            let gone = state.admit(owner, shared.all.most)?;
            of.busy = Some(state.begin(owner, &shared.asked));
            drop(state);
            if let Some(gone) = gone {
                shared.all.displaced.inc();
                gone.needed.cancel();
            }
        }
        Self::count(shared, &mut of);
        Ok(Self(Arc::clone(shared)))
    }

    fn count(shared: &Shared, of: &mut Use) {
        of.in_progress += 1;
        if let Some(number) = of.number.take() {
            shared.all.state.lock().idle.remove(&number);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut of = self.0.use_of.lock();
        of.in_progress -= 1;
        if of.in_progress > 0 {
            return;
        }
        of.served_at = Some(Instant::now());
        if let Some(busy) = of.busy.take() {
            self.0.all.state.lock().end(&busy);
        }
        // One that was asked to go is on its way.
        if !self.0.asked.needed.is_cancelled() {
            of.number = Some(self.0.all.state.lock().enter(&self.0.asked));
            self.0.all.one_idle.notify_one();
        }
        self.0.quiet.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize) -> Places {
        Places::new(most, IntCounter::new("displaced", "x").unwrap())
    }

    fn displaced(places: &Places) -> u64 {
        places.0.displaced.get()
    }

    async fn is_waiting(taking: &mut (impl Future<Output = Place> + Unpin)) -> bool {
        tokio::time::timeout(Duration::from_secs(60), taking).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_gives_way() {
        let places = places(3);
        let (first, second, third) = (places.take().await, places.take().await, places.take().await);
        // The first has just been used, so the second has been idle for longest.
        drop(first.work());
        let taking = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        second.needed().await;
        assert!(!first.shared.asked.needed.is_cancelled() && !third.shared.asked.needed.is_cancelled());
        // It never had a request.
        second.overstayed().await;
        drop(second);
        let _fourth = taking.await.unwrap();
        assert_eq!(displaced(&places), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_work_is_left_alone_and_goes_first_when_it_is_done() {
        let places = places(2);
        let (first, second) = (places.take().await, places.take().await);
        let (one, two, other) = (first.work(), first.worker().work(), second.work());
        let mut taking = Box::pin(places.take());
        assert!(is_waiting(&mut taking).await);
        drop(one);
        assert!(is_waiting(&mut taking).await, "its other request is in progress");
        drop(two);
        let (taken, began) = tokio::join!(taking, async {
            first.needed().await;
            let began = Instant::now();
            first.overstayed().await;
            drop(first);
            began
        });
        // What it was sent last may be on its way.
        assert!(began.elapsed() >= LINGER - NEXT, "{:?}", began.elapsed());
        drop((taken, other, second));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_go_does_not_hold_up_the_others() {
        let places = places(2);
        let (_stuck, other) = (places.take().await, places.take().await);
        let taking = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        other.needed().await;
        drop(other);
        let _taken = taking.await.unwrap();
        assert_eq!(displaced(&places), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_more_than_half_takes_no_more_and_gives_way_to_others() {
        let places = places(32);
        let mut noisy = Vec::new();
        for _ in 0..30 {
            let place = places.take().await;
            let work = place.worker().work_for("noisy").unwrap();
            noisy.push((place, work));
        }
        // The last two are for others.
        let late = places.take().await;
        late.worker().work_for("noisy").unwrap_err();
        // More requests of a connection take no more places.
        drop(noisy[0].0.worker().work_for("noisy").unwrap());
        assert_eq!(displaced(&places), 0);
        let (quiet, oldest) = (late.worker().work_for("quiet").unwrap(), &noisy[0].0);
        let began = Instant::now();
        oldest.needed().await;
        oldest.overstayed().await;
        assert!(began.elapsed() < FAREWELL, "{:?}", began.elapsed());
        assert_eq!(displaced(&places), 1);
        // That is one less, so that others may come.
        noisy.remove(0);
        let other = places.take().await;
        let _work = other.worker().work_for("third").unwrap();
        assert_eq!(displaced(&places), 2);
        drop(quiet);
        let (place, _work) = noisy.pop().unwrap();
        assert!(!place.shared.asked.needed.is_cancelled(), "only the oldest goes");
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_back() {
        let places = places(2);
        for _ in 0..10 {
            let place = places.take().await;
            drop(place.work());
            // One that outlives its connection.
            let work = place.worker().work_for("acme").unwrap();
            drop(place);
            drop(work);
        }
        assert_eq!(displaced(&places), 0);
        let state = places.0.state.lock();
        assert!(state.idle.is_empty() && state.busy.is_empty());
    }
}
