//! Many callers, one statement: what is asked of the database while it is busy is asked together as soon as it is free.
//!
//! Nobody waits for company. A question that comes alone goes at once, alone; with it go those of the tasks that are ready on
//! its thread, and those that come while it is under way make the next [batch](super::batch). So a lightly loaded server is as
//! quick as without, and a loaded one pays for planning, messages, threads and the write to the disk once for a batch instead of
//! once for each.
//!
//! What must always hold: who gave up gets nothing done behind its back (but for what tells of something that has happened);
//! what a batch left alone is tried again by itself, where its caller alone waits and learns why not.

use diesel::r2d2::R2D2Connection as _;
use tokio::sync::oneshot;

use super::batch::{Batch, Locked};
use super::db::{Db, Work};
use super::queue::{Caller, Lane, Reply};
use super::{StorageError, error};

impl Db {
    /// Asks a question together with whoever asks one of its kind at the same time. `None` when a condition does not hold.
    ///
    /// # Errors
    /// As [`Db::run`] has them.
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

/// Sets a lane to work: as a task of its own, which runs after those that are ready on this thread, so that their questions
/// come along.
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
