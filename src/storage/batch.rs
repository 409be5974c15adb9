//! Many callers, one statement: what is asked of the database while it is busy is asked together as soon as it is free.
//!
//! Nobody waits for company. A question that comes alone goes at once, alone; those that come while it is under way make the
//! next batch. So a lightly loaded server is as quick as without, and a loaded one pays for planning, messages, threads and
//! the write to the disk once for a batch instead of once for each.
//!
//! What must always hold: a batch is one statement, so it is done whole or not at all; it waits for nobody's row while it holds
//! others (`SKIP LOCKED`), so batches cannot lock each other out; what it leaves alone — locked rows, conditions that do not
//! hold, the second of two for one row — is tried again by itself, where its caller alone waits and learns why not; and a batch
//! that hangs holds up nobody but its own callers.
//!
//! To add a question: a type with [`Batch`], and its [`Queue`] in [`Queues`]. Its statement ([`batch_statement!`]) reads its rows
//! from JSON ([`rows`]), finds each by a `CROSS JOIN LATERAL` that ends in `OFFSET 0` or a lock, which PostgreSQL cannot turn
//! round into a walk through the whole table, and changes only rows that it has locked so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::r2d2::R2D2Connection as _;
use serde::{Serialize, Serializer};
use tokio::sync::oneshot;

use super::authorization_codes::FindCode;
use super::credentials::FindPasskey;
use super::db::Db;
use super::redemptions::{OfCode, OfDevice};
use super::refresh_tokens::Rotation;
use super::sessions::LiveOfToken;
use super::sign_in::NewSignIn;
use super::{StorageError, error};
use crate::domain::audit::Event;
use crate::domain::secret::TokenDigest;
use crate::domain::text::hex;

/// Most that are asked together: beyond some dozens there is nothing left to share.
const MOST: usize = 64;
/// Longest queue: a database that does not answer must not fill the memory with questions.
const LONGEST: usize = 4096;

/// What a statement does about rows that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Leaves them alone.
    Skipped,
    /// Waits for them.
    Awaited,
}

/// One question of a kind that can be asked for many at once.
pub trait Batch: Send + Sized + 'static {
    /// What is answered where the question's conditions hold.
    type Answer: Send + 'static;

    /// Whether its statement locks rows. What locks none is answered for good at the first try.
    const LOCKS: bool;

    /// Whether it is done also for a caller that gave up: what tells of something that has happened already.
    const EVEN_IF_GONE: bool = false;

    /// Where the callers of this kind wait.
    fn queue(queues: &Queues) -> &Arc<Queue<Self>>;

    /// Asks for all in one statement. Answers in the order of `all`, `None` where a condition does not hold, and for what is
    /// locked and skipped.
    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError>;

    /// Asks for this one on a connection that is held anyway.
    fn one(self, conn: &mut PgConnection) -> Result<Option<Self::Answer>, StorageError> {
        Ok(Self::all(conn, &[self], Locked::Awaited)?.pop().flatten())
    }
}

/// Defines both forms of a statement, of which the first skips locked rows and the second waits for them. Its text is cut after
/// each locking clause. Of its one parameter, `$1`, it makes rows by `json_to_recordset`.
#[macro_export]
macro_rules! batch_statement {
    ($together:ident, $alone:ident -> $answer:ty, $first:expr, $($next:expr),+ $(,)?) => {
        $crate::statement! { $together { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" SKIP LOCKED ", $next),+) }
        $crate::statement! { $alone { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" ", $next),+) }
    };
}

/// Writes bytes as `bytea` reads them from text.
pub(super) fn bytea<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("\\x{}", hex(bytes)))
}

/// The same of a digest.
pub(super) fn digest<S: Serializer>(digest: &TokenDigest, serializer: S) -> Result<S::Ok, S::Error> {
    bytea(digest.as_bytes(), serializer)
}

/// The same of a digest that need not be there.
#[expect(clippy::ref_option, reason = "serde gives it so")]
pub(super) fn optional_digest<S: Serializer>(digest: &Option<TokenDigest>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => self::digest(digest, serializer),
        None => serializer.serialize_none(),
    }
}

/// The queues of all kinds.
#[derive(Default)]
pub struct Queues {
    pub(super) codes: Arc<Queue<OfCode>>,
    pub(super) devices: Arc<Queue<OfDevice>>,
    pub(super) events: Arc<Queue<Event>>,
    pub(super) found_codes: Arc<Queue<FindCode>>,
    pub(super) live_of_token: Arc<Queue<LiveOfToken>>,
    pub(super) passkeys: Arc<Queue<FindPasskey>>,
    pub(super) rotations: Arc<Queue<Rotation>>,
    pub(super) sign_ins: Arc<Queue<NewSignIn>>,
}

/// The callers of one kind that wait.
pub struct Queue<B: Batch>(Mutex<Waiting<B>>);

struct Waiting<B: Batch> {
    callers: VecDeque<Caller<B>>,
    /// The lanes at work, each with the time at which it took its last batch.
    lanes: HashMap<u64, Instant>,
    /// Lanes ever opened: the next one's number.
    opened: u64,
}

struct Caller<B: Batch> {
    question: B,
    reply: oneshot::Sender<Reply<B>>,
}

impl<B: Batch> Caller<B> {
    /// Whether it is to be served. For one that gave up nothing may be done any more, as a rule: it would be done behind its
    /// back.
    fn is_there(&self) -> bool {
        B::EVEN_IF_GONE || !self.reply.is_closed()
    }
}

/// What a caller hears.
enum Reply<B: Batch> {
    Answer(Option<B::Answer>),
    /// The question back: the batch left it alone.
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

    /// Queues a caller; gives the lane that has to be opened for it, if one may be. A lane whose batch has been under way for
    /// longer than `patience` has lost its database, and another takes its place.
    fn join(
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
            // Whoever opens a lane is let in: somebody has to.
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

/// One worker at a queue, until it is empty.
struct Lane<B: Batch> {
    queue: Arc<Queue<B>>,
    number: u64,
}

impl<B: Batch> Lane<B> {
    fn run(self, db: &Db) {
        while let Some(callers) = self.next() {
            serve(db, callers);
        }
    }

    /// The next batch. The lane closes under the same lock that finds nobody waiting, so nobody is left behind.
    fn next(&self) -> Option<Vec<Caller<B>>> {
        let mut waiting = self.queue.lock();
        let waited = std::iter::from_fn(|| waiting.callers.pop_front()).filter(Caller::is_there);
        let batch: Vec<_> = waited.take(MOST).collect();
        if batch.is_empty() {
            waiting.lanes.remove(&self.number);
            return None;
        }
        // One that had been given up and goes on counts again.
        waiting.lanes.insert(self.number, Instant::now());
        Some(batch)
    }
}

/// A lane that a panic took away must not count for ever.
impl<B: Batch> Drop for Lane<B> {
    fn drop(&mut self) {
        self.queue.lock().lanes.remove(&self.number);
    }
}

fn serve<B: Batch>(db: &Db, callers: Vec<Caller<B>>) {
    let (questions, replies): (Vec<B>, Vec<_>) = callers.into_iter().map(|one| (one.question, one.reply)).unzip();
    let asked = db.blocking(|conn| match B::all(conn, &questions, Locked::Skipped) {
        Err(fault) if fault.is_read_only() || conn.ping().is_err() => Err(fault),
        Err(fault) => {
            // One of them may be to blame; by itself it will be told.
            tracing::warn!(
                error = error::in_one_line(&fault),
                size = questions.len(),
                "a batch failed, its parts go on alone"
            );
            Ok(None)
        }
        done => done.map(Some),
    });
    let answers = match asked {
        Ok(answers) => answers,
        Err(fault) => return fail(replies, &fault),
    };
    let is_final = answers.is_some() && !B::LOCKS;
    let mut answers = answers.unwrap_or_default().into_iter();
    for (question, reply) in questions.into_iter().zip(replies) {
        let told = match answers.next().flatten() {
            None if !is_final => Reply::LeftAlone(question),
            answer => Reply::Answer(answer),
        };
        // A caller that left hears nothing, and tries nothing by itself.
        if let Err(Reply::LeftAlone(question)) = reply.send(told)
            && B::EVEN_IF_GONE
            && let Err(fault) = db.blocking(|conn| question.one(conn))
        {
            tracing::warn!(error = error::in_one_line(&fault), "what nobody waits for could not be written");
        }
    }
}

/// The same fault for all. Of a lost connection nobody knows whether the batch was done, so nothing is tried again.
fn fail<B: Batch>(replies: Vec<oneshot::Sender<Reply<B>>>, fault: &StorageError) {
    tracing::warn!(error = error::in_one_line(fault), size = replies.len(), "a batch could not be asked");
    for reply in replies {
        let fault = match fault {
            StorageError::NoConnection(_) => StorageError::NoConnection(None),
            _ => StorageError::NoAnswer,
        };
        let _ = reply.send(Reply::Failed(fault));
    }
}

impl Db {
    /// Asks a question together with whoever asks one of its kind at the same time. `None` when a condition does not hold.
    ///
    /// # Errors
    /// As [`Db::run`] has them.
    pub async fn ask<B: Batch>(&self, question: B) -> Result<Option<B::Answer>, StorageError> {
        let (reply, answer) = oneshot::channel();
        let caller = Caller { question, reply };
        if let Some(lane) = B::queue(self.queues()).join(caller, self.lanes(), self.answer_within())? {
            let db = self.clone();
            tokio::task::spawn_blocking(move || lane.run(&db));
        }
        let reply = tokio::time::timeout(self.answer_within(), answer).await.map_err(|_| StorageError::NoAnswer)?;
        match reply.map_err(|_| StorageError::Stopping)? {
            Reply::Answer(answer) => Ok(answer),
            Reply::LeftAlone(question) => self.run(move |conn| question.one(conn)).await,
            Reply::Failed(fault) => Err(fault),
        }
    }
}

/// Rows for `json_to_recordset`, each with its number `n`.
pub(super) fn rows<T: Serialize>(all: impl Iterator<Item = T>) -> Result<String, StorageError> {
    #[derive(Serialize)]
    struct Numbered<T> {
        n: usize,
        #[serde(flatten)]
        row: T,
    }
    let all: Vec<_> = all.enumerate().map(|(n, row)| Numbered { n, row }).collect();
    serde_json::to_string(&all).map_err(|fault| StorageError::corrupt("json_to_recordset", all.len(), fault))
}

/// Answers by their numbers, in the order of the questions.
pub(super) fn in_order<A>(size: usize, answers: impl IntoIterator<Item = (i32, A)>) -> Vec<Option<A>> {
    let mut all: Vec<Option<A>> = std::iter::repeat_with(|| None).take(size).collect();
    for (n, answer) in answers {
        if let Some(place) = usize::try_from(n).ok().and_then(|n| all.get_mut(n)) {
            *place = Some(answer);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Asked(usize);

    impl Batch for Asked {
        type Answer = ();
        const LOCKS: bool = false;

        fn queue(_: &Queues) -> &Arc<Queue<Self>> {
            unreachable!("these queues are of the tests' own")
        }

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
        // It comes back, finds nothing to do, and takes nobody's place away.
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
