//! Finds the cluster that another process runs, for commands used beside a live server.

use std::fs;
use std::path::Path;

use super::error::ClusterError;
use super::place::Place;
use super::{postmaster, url_of, written_by};

/// What a directory holds at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A cluster that accepts connections, by this libpq URL.
    Running(String),
    /// A cluster that nobody runs, or that is just starting or stopping.
    Stopped,
    /// No cluster.
    Absent,
}

/// Looks at `directory`.
pub(super) fn attach(directory: &Path) -> Result<Attachment, ClusterError> {
    let (place, owner) = Place::choose(directory)?;
    if written_by(&place, &owner)?.is_none() {
        return Ok(Attachment::Absent);
    }
    let Some(sockets) = postmaster::socket_of_ready(&place.data) else { return Ok(Attachment::Stopped) };
    // The server accepts the users that it knew when it started; root is not among them if it runs as another user.
    let access = fs::read_to_string(place.data.join("pg_ident.conf")).unwrap_or_default();
    let known = format!("own \"{}\" passmint", owner.ours.name);
    if access.lines().any(|line| line == known) {
        Ok(Attachment::Running(url_of(&sockets)))
    } else {
        Err(ClusterError::OtherUser { directory: place.directory, user: owner.server.name })
    }
}
