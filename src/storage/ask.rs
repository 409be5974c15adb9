//! Batches the queries of many callers: what is asked while the database is busy is sent in one statement as soon as it
//! is free.
//!
//! No caller waits for a batch to fill. A query that arrives alone is sent at once, together with those of the tasks
//! that are ready on its thread. Queries that arrive while all lanes are busy form the next [batch](super::batch). A
//! lightly loaded server is therefore as fast as without batching, and a loaded one pays for planning, messages,
//! threads and the write to disk once for each batch instead of once for each query.
//!
//! What must always hold:
//! - Nothing is done for a caller that has given up, except for records of something that has already happened.
//! - A query that a batch left alone is run again by itself: only its own caller waits for it, and gets the final
//!   answer.

use diesel::r2d2::R2D2Connection as _;
use tokio::sync::oneshot;

use super::batch::{Batch, Locked};
use super::db::{Db, Work};
use super::queue::{Caller, Lane, Reply};
use super::{StorageError, error};

impl Db {
    /// Runs a query, in one batch with concurrent queries of its kind. `None` when one of its conditions does not hold.
    ///
    /// # Errors
    /// Those of [`Db::run`].
    pub async fn ask<B: Batch>(&self, question: B) -> Result<Option<B::Answer>, StorageError> {
        let (reply, answer) = oneshot::channel();
        let caller = Caller { question, reply };
        if let Some(lane) = self.queues().of::<B>().join(caller, self.lanes(), self.answer_within())? {
            open(self.clone(), lane);
        }
        let reply = tokio::time::timeout(self.answer_within(), answer).await.map_err(|_| StorageError::NoAnswer)?;
        match reply.map_err(|_| StorageError::Stopping)? {
            Reply::Answer(answer) => Ok(answer),
            Reply::LeftAlone(question) => self.run(move |conn| question.one(conn)).await,
            Reply::Failed(fault) => Err(fault),
        }
    }
}

/// Starts a lane. Its task runs after the tasks that are ready on this thread, so that their queries join the first
/// batch.
fn open<B: Batch>(db: Db, lane: Lane<B>) {
    let work: Work = Box::new(move |db| {
        while let Some(callers) = lane.next() {
            serve(db, callers);
        }
    });
    tokio::spawn(async move { drop(db.on_a_thread(work)) });
}

fn serve<B: Batch>(db: &Db, callers: Vec<Caller<B>>) {
    let (questions, replies): (Vec<B>, Vec<_>) = callers.into_iter().map(|one| (one.question, one.reply)).unzip();
    let asked = db.blocking(|conn| match B::all(conn, &questions, Locked::Skipped) {
        Err(fault) if fault.is_read_only() || conn.ping().is_err() => Err(fault),
        Err(fault) => {
            // One of the queries may be the cause. Run alone, each gets its own result.
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
        // A caller that has gone cannot run the query again by itself.
        if let Err(Reply::LeftAlone(question)) = reply.send(told)
            && B::EVEN_IF_GONE
            && let Err(fault) = db.blocking(|conn| question.one(conn))
        {
            tracing::warn!(error = error::in_one_line(&fault), "what nobody waits for could not be written");
        }
    }
}

/// Reports the same fault to all. When the connection was lost, nobody knows whether the batch was executed, so nothing
/// is tried again.
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
