//! Lists of texts as columns.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, Queryable};
use diesel::sql_types::{Array, Text};

/// A `text[]` without NULL elements, which is the only kind we write.
pub struct Texts(Vec<String>);

impl<DB> Queryable<Array<Text>, DB> for Texts
where
    DB: Backend,
    Vec<String>: FromSql<Array<Text>, DB>,
{
    type Row = Vec<String>;
    fn build(row: Vec<String>) -> deserialize::Result<Self> {
        Ok(Self(row))
    }
}

impl From<Texts> for Vec<String> {
    fn from(texts: Texts) -> Self {
        texts.0
    }
}
