//! The queues of callers whose queries are batched, and the lanes that serve them batch by batch.
//!
//! What must always hold: no waiting caller is left behind, a queue has a limit, and a batch that hangs delays only its
//! own callers.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::StorageError;
use super::batch::Batch;

/// The largest batch: beyond some dozens of queries there is nothing left to save.
const MOST: usize = 64;
/// The longest queue: a database that does not answer must not fill the memory with queries.
const LONGEST: usize = 4096;

/// The queues for all kinds of queries, each created when the first query of its kind arrives.
#[derive(Default)]
pub(super) struct Queues(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Queues {
    /// The queue for one kind.
    pub(super) fn of<B: Batch>(&self) -> Arc<Queue<B>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(TypeId::of::<B>()).or_insert_with(|| Arc::new(Queue::<B>::default()));
        // Each type maps only to its own queue, so the default is never used.
        Arc::clone(queue).downcast().unwrap_or_default()
    }
}

/// The waiting callers of one kind.
pub(super) struct Queue<B: Batch>(Mutex<Waiting<B>>);

struct Waiting<B: Batch> {
    callers: VecDeque<Caller<B>>,
    /// The lanes at work, each with the time at which it took its latest batch.
    lanes: HashMap<u64, Instant>,
    /// How many lanes were ever opened; also the number of the latest.
    opened: u64,
}

pub(super) struct Caller<B: Batch> {
    pub(super) question: B,
    pub(super) reply: oneshot::Sender<Reply<B>>,
}

impl<B: Batch> Caller<B> {
    /// Whether it is still to be served. As a rule, nothing may be done for a caller that has given up, which would not
    /// learn of it.
    fn is_there(&self) -> bool {
        B::EVEN_IF_GONE || !self.reply.is_closed()
    }
}

/// What a caller receives.
pub(super) enum Reply<B: Batch> {
    Answer(Option<B::Answer>),
    /// The query itself, because the batch left it alone.
    LeftAlone(B),
    /// The database was lost, or could not be reached.
    Failed(StorageError),
}

impl<B: Batch> Default for Queue<B> {
    fn default() -> Self {
        Self(Mutex::new(Waiting { callers: VecDeque::new(), lanes: HashMap::new(), opened: 0 }))
    }
}

impl<B: Batch> Queue<B> {
    fn lock(&self) -> MutexGuard<'_, Waiting<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a caller. Returns a lane to open, if one more is allowed. A lane whose batch has been running for longer
    /// than `patience` has lost its database and no longer counts.
    pub(super) fn join(
        self: &Arc<Self>,
        caller: Caller<B>,
        most_lanes: usize,
        patience: Duration,
    ) -> Result<Option<Lane<B>>, StorageError> {
        let mut waiting = self.lock();
        waiting.lanes.retain(|_, since| since.elapsed() < patience);
        let opens = waiting.lanes.len() < most_lanes;
        if waiting.callers.len() >= LONGEST {
            waiting.callers.retain(Caller::is_there);
            // A caller that opens a lane is always let in: its lane is what drains the queue.
            if waiting.callers.len() >= LONGEST && !opens {
                return Err(StorageError::NoConnection(None));
            }
        }
        waiting.callers.push_back(caller);
        Ok(opens.then(|| {
            waiting.opened += 1;
            let number = waiting.opened;
            waiting.lanes.insert(number, Instant::now());
            Lane { queue: Arc::clone(self), number }
        }))
    }
}

/// A worker that serves a queue until it is empty.
pub(super) struct Lane<B: Batch> {
    queue: Arc<Queue<B>>,
    number: u64,
}

impl<B: Batch> Lane<B> {
    /// The next batch. The lane closes under the same lock that found nobody waiting, so nobody is left behind.
    pub(super) fn next(&self) -> Option<Vec<Caller<B>>> {
        let mut waiting = self.queue.lock();
        let waited = std::iter::from_fn(|| waiting.callers.pop_front()).filter(Caller::is_there);
        let batch: Vec<_> = waited.take(MOST).collect();
        if batch.is_empty() {
            waiting.lanes.remove(&self.number);
            return None;
        }
        // A lane that had stopped counting and goes on counts again.
        waiting.lanes.insert(self.number, Instant::now());
        Some(batch)
    }
}

/// A lane that was lost to a panic must not count forever.
impl<B: Batch> Drop for Lane<B> {
    fn drop(&mut self) {
        self.queue.lock().lanes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use diesel::PgConnection;

    use super::super::batch::Locked;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Asked(usize);

    impl Batch for Asked {
        type Answer = ();
        const LOCKS: bool = false;

        fn all(_: &mut PgConnection, all: &[Self], _: Locked) -> Result<Vec<Option<()>>, StorageError> {
            Ok(all.iter().map(|_| Some(())).collect())
        }
    }

    fn join(queue: &Arc<Queue<Asked>>, number: usize) -> (Option<Lane<Asked>>, oneshot::Receiver<Reply<Asked>>) {
        join_within(queue, number, PATIENCE)
    }

    fn join_within(
        queue: &Arc<Queue<Asked>>,
        number: usize,
        patience: Duration,
    ) -> (Option<Lane<Asked>>, oneshot::Receiver<Reply<Asked>>) {
        let (reply, answer) = oneshot::channel();
        (queue.join(Caller { question: Asked(number), reply }, 1, patience).unwrap(), answer)
    }

    fn numbers(batch: Option<Vec<Caller<Asked>>>) -> Vec<usize> {
        batch.unwrap_or_default().iter().map(|caller| caller.question.0).collect()
    }

    #[test]
    fn one_lane_serves_all_that_come_and_then_closes() {
        let queue = Arc::new(Queue::default());
        let (lane, _first) = join(&queue, 0);
        let lane = lane.expect("the first opens a lane");
        let others: Vec<_> = (1..=MOST).map(|number| join(&queue, number)).collect();
        assert!(others.iter().all(|(lane, _)| lane.is_none()), "there is one");
        assert_eq!(numbers(lane.next()), (0..MOST).collect::<Vec<_>>());
        assert_eq!(numbers(lane.next()), [MOST]);
        assert!(lane.next().is_none());
        assert!(join(&queue, 0).0.is_some(), "the next opens another");
    }

    #[test]
    fn for_those_who_gave_up_nothing_is_done() {
        let queue = Arc::new(Queue::default());
        let (lane, first) = join(&queue, 0);
        let (_, _second) = join(&queue, 1);
        drop(first);
        assert_eq!(numbers(lane.unwrap().next()), [1]);
    }

    #[test]
    fn a_lane_that_hangs_holds_up_only_its_own_batch() {
        let queue = Arc::new(Queue::default());
        let (hanging, _first) = join(&queue, 0);
        let hanging = hanging.unwrap();
        assert_eq!(numbers(hanging.next()), [0]);
        let (other, _second) = join_within(&queue, 1, Duration::ZERO);
        let other = other.expect("another in its place");
        assert_eq!(numbers(other.next()), [1]);
        // It comes back, finds nothing to do, and does not close the other lane.
        assert!(hanging.next().is_none());
        drop(hanging);
        assert!(join(&queue, 2).0.is_none(), "the other is at work");
    }

    #[test]
    fn a_lane_that_a_panic_took_away_is_replaced() {
        let queue = Arc::new(Queue::default());
        drop(join(&queue, 0).0.unwrap());
        assert!(join(&queue, 1).0.is_some());
    }

    #[test]
    fn a_queue_is_never_longer_than_can_be_waited_for() {
        let queue = Arc::new(Queue::default());
        let mut waiting: Vec<_> = (0..LONGEST).map(|number| join(&queue, number)).collect();
        let (reply, _answer) = oneshot::channel();
        let refused = queue.join(Caller { question: Asked(0), reply }, 1, PATIENCE);
        assert!(matches!(refused, Err(StorageError::NoConnection(None))));
        waiting.pop();
        join(&queue, LONGEST);
    }
}
