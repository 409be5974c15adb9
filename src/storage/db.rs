//! The connection pool.
//!
//! Queries run on blocking threads. A semaphore in front of the pool keeps waiting callers off those threads, except
//! for the few lanes of [`ask`](super::ask).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{Error as R2d2Error, ManageConnection, Pool, PooledConnection, R2D2Connection as _};
use diesel::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::StorageError;
use super::queue::Queues;

/// How the pool behaves.
#[derive(Clone, Debug)]
pub struct DbSettings {
    /// libpq URL or keyword string.
    pub url: String,
    /// Maximum number of connections.
    pub pool: u32,
    /// Longest wait for a connection; then the caller answers 503.
    pub wait: Duration,
    /// `statement_timeout`.
    pub statement_timeout: Duration,
    /// `lock_timeout`.
    pub lock_timeout: Duration,
}

/// The database. Cloning shares the pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Manager>,
    breaks: Arc<AtomicU64>,
    failovers: Arc<AtomicU64>,
    permits: Arc<Semaphore>,
    wait: Duration,
    answer_within: Duration,
    queues: Arc<Queues>,
    lanes: usize,
}

/// Time allowed beyond the wait for a connection and the statement timeout: for the way there and back.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// Work with the database on a thread that may block. It is one type, so that the way to that thread and back is
/// compiled once and not for each of hundreds of closures.
pub(super) type Work = Box<dyn FnOnce(&Db) + Send>;

/// Work, and the receiver of its result.
type Parcel<T> = (Work, oneshot::Receiver<Result<T, StorageError>>);

fn parcel<T: Send + 'static>(work: impl FnOnce(&Db) -> Result<T, StorageError> + Send + 'static) -> Parcel<T> {
    let (result, comes_out) = oneshot::channel();
    // A caller that gave up waiting does not need the result.
    (Box::new(move |db| drop(result.send(work(db)))), comes_out)
}

/// A connection of the pool.
struct Tracked {
    conn: PgConnection,
    /// How many failovers had been seen when this connection was made.
    made_at: u64,
    /// How many breaks had been seen when this connection was last known to work.
    good_at: u64,
    broken: bool,
}

/// Makes connections and tells which can no longer be used.
struct Manager {
    url: String,
    prepare: String,
    breaks: Arc<AtomicU64>,
    failovers: Arc<AtomicU64>,
}

impl ManageConnection for Manager {
    type Connection = Tracked;
    type Error = R2d2Error;

    fn connect(&self) -> Result<Tracked, R2d2Error> {
        let (good_at, made_at) = (self.breaks.load(Ordering::Acquire), self.failovers.load(Ordering::Acquire));
        let mut conn = PgConnection::establish(&self.url).map_err(R2d2Error::ConnectionError)?;
        conn.batch_execute(&self.prepare).map_err(R2d2Error::QueryError)?;
        Ok(Tracked { conn, made_at, good_at, broken: false })
    }

    fn is_valid(&self, tracked: &mut Tracked) -> Result<(), R2d2Error> {
        tracked.conn.ping().map_err(R2d2Error::QueryError)
    }

    fn has_broken(&self, tracked: &mut Tracked) -> bool {
        // diesel itself does not notice when a connection is lost while a statement is being prepared.
        std::thread::panicking() || tracked.broken || tracked.conn.is_broken()
    }
}

impl Db {
    /// Opens the pool. Does not wait for a connection: an unreachable database is an error of the first query.
    pub fn open(settings: &DbSettings) -> Result<Self, StorageError> {
        // Nearly all queries use an index. PostgreSQL would keep a plan with a sequential scan, made while a table was
        // small, as the table grows. Where there is no index, it scans all the same.
        let prepare = format!(
            "SET application_name = 'passmint'; SET TIME ZONE 'UTC'; SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = 5000; SET enable_seqscan = off; SET jit = off",
            settings.statement_timeout.as_millis(),
            settings.lock_timeout.as_millis(),
        );
        let (breaks, failovers) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let pool = Pool::builder()
            .max_size(settings.pool)
            .min_idle(Some(1))
            // Saves one round trip per request; see `check_out` for when a connection is tested.
            .test_on_check_out(false)
            .connection_timeout(settings.wait)
            .error_handler(Box::new(LogFault))
            .build_unchecked(Manager {
                url: settings.url.clone(),
                prepare,
                breaks: Arc::clone(&breaks),
                failovers: Arc::clone(&failovers),
            });
        Ok(Self {
            pool,
            breaks,
            failovers,
            permits: Arc::new(Semaphore::new(settings.pool as usize)),
            wait: settings.wait,
            answer_within: settings.wait + settings.statement_timeout + ON_THE_WAY,
            queues: Arc::default(),
            lanes: std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(4)),
        })
    }

    /// Runs `work` on a connection, each statement in its own transaction.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.result_of(parcel(|db| db.blocking(work)), Some(self.answer_within))
    }

    /// Runs `work` on a blocking thread with access to the database: for a step that reads, computes for long, and
    /// writes. Take a connection with [`Db::blocking`] for each part, so that none is held while it computes.
    ///
    /// PostgreSQL enforces its timeouts only while it is running. If it disappears without closing the connection, the
    /// caller still gets an error in time. The work keeps its thread and its permit until the connection is known to be
    /// lost, and may still be done.
    pub fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.result_of(parcel(|db| Ok(work(db))), Some(self.answer_within))
    }

    /// [`Db::run`] for work that runs [`patiently`]: its caller waits [`AT_LENGTH`] longer, for all its statements
    /// together.
    pub fn run_at_length<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.result_of(parcel(|db| db.blocking(work)), Some(self.answer_within + AT_LENGTH))
    }

    /// [`Db::run`] without a limit on the caller's wait, for maintenance: many statements, or generating a key.
    pub fn run_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.result_of(parcel(|db| db.blocking(work)), None)
    }

    async fn result_of<T>(&self, (work, result): Parcel<T>, within: Option<Duration>) -> Result<T, StorageError> {
        self.send_off(work, within).await?;
        result.await.map_err(|_| StorageError::Stopping)?
    }

    /// Waits for a permit, and then until the work is done.
    async fn send_off(&self, work: Work, within: Option<Duration>) -> Result<(), StorageError> {
        let permit = self.permit().await?;
        let span = tracing::Span::current();
        let done = self.on_a_thread(Box::new(move |db| {
            let _in_span = span.enter();
            let _permit = permit;
            work(db);
        }));
        let done = match within {
            Some(within) => tokio::time::timeout(within, done).await.map_err(|_| StorageError::NoAnswer)?,
            None => done.await,
        };
        done.map_err(|error| if error.is_panic() { StorageError::Panicked } else { StorageError::Stopping })
    }

    /// Moves work to a blocking thread without asking for a permit.
    pub(super) fn on_a_thread(&self, work: Work) -> JoinHandle<()> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this))
    }

    /// A permit to use the pool. No timer is started when one is free at once.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, StorageError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        tokio::time::timeout(self.wait, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StorageError::NoConnection(None))?
            .map_err(|_| StorageError::Stopping)
    }

    /// Runs `work` in one transaction. A refusal that must be recorded (a replay, say) is an `Ok` value: an `Err` rolls
    /// back.
    pub fn tx<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.run(|conn| conn.transaction(work))
    }

    /// [`Db::tx`] for work that may affect very many rows: each of its statements may take [`AT_LENGTH`].
    pub fn tx_at_length<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send {
        self.run_at_length(|conn| patiently(conn, AT_LENGTH, work))
    }

    /// [`Db::run`] for code that is already on a blocking thread: the start and the command line.
    pub fn blocking<T>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut tracked = self.check_out()?;
        let result = work(&mut tracked.conn);
        if let Err(fault @ StorageError::Database(_)) = &result {
            self.judge(&mut tracked, fault);
        }
        result
    }

    /// Decides after a fault whether this connection, and the others, can still be used.
    fn judge(&self, tracked: &mut Tracked, fault: &StorageError) {
        if fault.is_read_only() {
            // Another server accepts writes now, behind the same address or among those of the URL. The other
            // connections lead to the old server like this one; those made since the failover are kept.
            tracked.broken = true;
            let seen = tracked.made_at;
            let _ = self.failovers.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire);
        } else if tracked.conn.ping().is_err() {
            tracked.broken = true;
            self.breaks.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A connection that works as far as is known. When one breaks (a restart, a failover), the others most likely did
    /// too, so each is tested before its next use: the break costs one request instead of one per connection. When one
    /// was read-only, the others are replaced without a test, which they would pass.
    fn check_out(&self) -> Result<PooledConnection<Manager>, StorageError> {
        loop {
            let mut tracked = self.pool.get().map_err(|error| StorageError::NoConnection(Some(error)))?;
            if tracked.made_at != self.failovers.load(Ordering::Acquire) {
                tracked.broken = true;
                continue;
            }
            let breaks = self.breaks.load(Ordering::Acquire);
            if tracked.good_at == breaks {
                return Ok(tracked);
            }
            if tracked.conn.ping().is_ok() {
                tracked.good_at = breaks;
                return Ok(tracked);
            }
            tracked.broken = true;
        }
    }

    /// [`Db::tx`] for code that is already on a blocking thread.
    pub fn blocking_tx<T>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.blocking(|conn| conn.transaction(work))
    }

    /// The queues for batched queries; see [`ask`](super::ask).
    pub(super) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// How many batches of one kind may run at once.
    pub(super) const fn lanes(&self) -> usize {
        self.lanes
    }

    /// How long a caller waits for an answer at most.
    pub(super) const fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// Connections open and idle, for the metrics.
    pub fn connections(&self) -> (u32, u32) {
        let state = self.pool.state();
        (state.connections, state.idle_connections)
    }
}

/// Logs connection faults in our own format. The address and user that libpq names in them stay out of answers.
#[derive(Debug)]
struct LogFault;

impl diesel::r2d2::HandleError<R2d2Error> for LogFault {
    fn handle_error(&self, error: R2d2Error) {
        tracing::warn!(error = %error, "a database connection could not be made");
    }
}

/// How long a statement that may affect very many rows may take.
pub const AT_LENGTH: Duration = Duration::from_secs(60);

/// Runs `work` in a transaction in which each statement may take `most`.
pub fn patiently<T, E: From<diesel::result::Error>>(
    conn: &mut PgConnection,
    most: Duration,
    work: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    conn.transaction(|conn| {
        conn.batch_execute(&format!("SET LOCAL statement_timeout = {}", most.as_millis()))?;
        work(conn)
    })
}
