//! Writes the changes of a start into the database.
//!
//! Invariant: a start that is refused has changed nothing in any database, except for the schema, which a newer version
//! migrates before. So everything that can refuse the start comes first, and all changes are written in one
//! transaction.

use diesel::{Connection as _, PgConnection};

use super::{StartError, declared, master_key, relying_parties};
use crate::bridge;
use crate::bridge::stored::WantedKeys;
use crate::clients::{self, Clients};
use crate::clock::Time;
use crate::config::Config;
use crate::domain::webhook::Receiver;
use crate::key_plan::{KeyPlan, wanted_algorithms};
use crate::resources::{self, Resources};
use crate::storage as stored;
use crate::tokens::Keys;

/// The parameters of a start.
pub(super) struct Start<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The name of the configuration, stored with the rows that it declares.
    pub source: &'a str,
    /// Whether the database is a private cluster.
    pub private: bool,
    /// The receivers of events.
    pub receivers: Vec<Receiver>,
    /// The time of the start.
    pub now: Time,
}

impl Start<'_> {
    /// Makes a database with all tables agree with the configuration, and opens its keys. Call it under the start-up lock.
    pub(super) fn prepare(
        &self,
        conn: &mut PgConnection,
        rooms: (&Clients, &Resources),
        plan: &mut KeyPlan,
    ) -> Result<Keys, StartError> {
        conn.transaction(|conn| {
            let master = master_key::settle(conn, self.config, self.private, self.now)?;
            relying_parties::settle(conn, self.config)?;
            self.declare(conn, rooms, plan)?;
            plan.apply(conn, &master, &plan.at_start, self.now)?;
            Ok(Keys::open_within(conn, master, self.now)?.following(master_key::file(self.config)))
        })
    }

    fn declare(
        &self,
        conn: &mut PgConnection,
        (clients, resources): (&Clients, &Resources),
        plan: &mut KeyPlan,
    ) -> Result<(), StartError> {
        let Self { config, source, now, .. } = *self;
        clients::apply_configuration(conn, &declared::clients(config), source, now)?;
        clients.replace(stored::clients::all(conn)?);
        resources::apply_configuration(conn, &config.resources, source, now)?;
        resources.replace(stored::resources::all(conn)?);
        bridge::declared::apply_configuration(conn, &declared::definitions(config), source, now)?;
        plan.want_bridges(WantedKeys::of(&stored::bridges::all(conn)?, config.issuer()));
        stored::event_receivers::apply(conn, &self.receivers, source, now)?;
        plan.want(wanted_algorithms(clients, resources));
        Ok(())
    }
}
