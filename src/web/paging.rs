//! Pagination: `limit`, an opaque `cursor`, and the path of the next page.
//!
//! A cursor names the last item shown, so items that are added or removed in between neither shift nor repeat a page.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Datelike as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::wrong_field::wrong_field;
use crate::clock::Time;
use crate::domain::json::holds_nul;
use crate::web::error::{Failure, Problem};
use crate::web::form::Form;

/// Maximum page size.
const MOST: i64 = 200;
/// Default page size.
const USUAL: i64 = 50;

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items on this page.
    pub items: Vec<T>,
    /// The path of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The query of a list. Each parameter can be sent only once.
#[derive(Debug)]
pub struct Query {
    path: String,
    text: String,
    form: Form,
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.query_string().to_owned();
        ready(Form::parse(text.as_bytes()).map_err(Problem).map(|form| Self {
            path: request.path().to_owned(),
            text,
            form,
        }))
    }
}

impl Query {
    /// One parameter.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.form.find(name)
    }

    /// Refuses unknown parameters: a misspelled filter would show everything.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        self.only_of(&[&["limit", "cursor"], known].concat())
    }

    /// Like [`only`](Self::only), for a list without paging or filters.
    pub fn none(&self) -> Result<(), Failure> {
        self.only_of(&[])
    }

    fn only_of(&self, known: &[&str]) -> Result<(), Failure> {
        for (name, value) in url::form_urlencoded::parse(self.text.as_bytes()) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let cure =
                    if known.is_empty() { "leave it out".to_owned() } else { format!("use {}", known.join(", ")) };
                return Err(wrong_field("query", "has a parameter that this list does not know", cure));
            };
            // An empty filter, for example from an unset variable, would show everything.
            if value.is_empty() {
                return Err(wrong_field(name, "is empty", "give it a value, or leave it out"));
            }
        }
        Ok(())
    }

    /// The requested page size.
    pub fn limit(&self) -> Result<i64, Failure> {
        let Some(text) = self.find("limit") else { return Ok(USUAL) };
        text.parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| wrong_field("limit", "is out of range", format!("write a whole number from 1 to {MOST}")))
    }

    /// The item after which the page begins.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Failure> {
        let Some(text) = self.find("cursor") else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let key = bytes
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .filter(|key| !holds_nul(key) && is_in_time(key));
        let key = key.and_then(|key| serde_json::from_value(key).ok());
        key.map(Some).ok_or_else(|| wrong_field("cursor", "is none of ours", "follow `next` as it is"))
    }

    /// The page, made from one item more than requested.
    pub fn page<T, V, K: Serialize>(
        &self,
        mut found: Vec<T>,
        key: impl Fn(&T) -> K,
        view: impl Fn(T) -> V,
    ) -> Result<Page<V>, Failure> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| self.path_of_next(&key(last)));
        Ok(Page { items: found.into_iter().map(view).collect(), next })
    }

    /// The path of the page that follows the item named by `key`.
    pub fn path_of_next(&self, key: &impl Serialize) -> String {
        let cursor = URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default());
        let kept = url::form_urlencoded::parse(self.text.as_bytes()).filter(|(name, _)| name != "cursor");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("cursor", &cursor)
            .finish();
        format!("{}?{query}", self.path)
    }
}

/// Whether all times in a cursor are within the years 0 to 9999, as in every cursor that we issue.
fn is_in_time(value: &Value) -> bool {
    match value {
        Value::String(text) => text.parse::<Time>().map_or(true, |time| (0..=9999).contains(&time.year())),
        Value::Array(items) => items.iter().all(is_in_time),
        Value::Object(members) => members.values().all(is_in_time),
        _ => true,
    }
}
