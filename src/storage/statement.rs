//! Hand-written SQL that PostgreSQL plans once per connection.
//!
//! `diesel::sql_query` is prepared again on every call (one more round trip and planning). A statement made by
//! [`statement!`](crate::statement) has a static query id, so diesel caches it. The parameters are listed once, and the
//! text refers to them by number (`$1`, `$2`, …) as often as it needs: they are bound in an unused leading `WITH`.

/// Defines a cached statement: a struct of parameters, the SQL types of its answer, and the text.
///
/// The text continues a `WITH` list: begin with `", name AS (…) SELECT …"` or with `"SELECT …"`.
#[macro_export]
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $rust:ty => $sql:ty),+ $(,)? } -> $answer:ty, $text:expr
    ) => {
        $(#[$doc])*
        struct $name { $($field: $rust),+ }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                out.push_sql("WITH parameters AS (SELECT ");
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        out.push_sql(", ");
                    }
                    out.push_bind_param::<$sql, _>(&self.$field)?;
                )+
                let _ = first;
                out.push_sql(") ");
                out.push_sql($text);
                Ok(())
            }
        }

        impl diesel::query_builder::QueryId for $name {
            type QueryId = Self;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::Query for $name {
            type SqlType = $answer;
        }

        impl diesel::RunQueryDsl<diesel::PgConnection> for $name {}
    };
}
