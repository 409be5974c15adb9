//! Entity tags of administered objects (RFC 9110 §8.8.3, §13.1.1), so that administrators cannot overwrite each other's
//! changes by accident.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::IF_MATCH;
use actix_web::{FromRequest, HttpRequest};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::web::error::{Failure, Kind, Problem};

/// The entity tag of an object as shown. It changes with every visible change.
pub fn etag(view: &impl Serialize) -> String {
    let text = serde_json::to_string(view).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

/// The `If-Match` header of a request.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<String>);

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let values: Option<Vec<&str>> = request.headers().get_all(IF_MATCH).map(|value| value.to_str().ok()).collect();
        ready(match values {
            Some(values) => Ok(Self((!values.is_empty()).then(|| values.join(", ")))),
            None => Err(Problem(Failure::new(Kind::InvalidRequest, "The If-Match header is not text."))),
        })
    }
}

impl IfMatch {
    /// Refuses a request without `If-Match`. Call it before anything is read.
    pub fn required(self) -> Result<Self, Failure> {
        match self.0 {
            Some(_) => Ok(self),
            None => Err(Failure::new(
                Kind::PreconditionRequired,
                "Send the ETag of the version you changed as If-Match (or `If-Match: *` to overwrite whatever is there).",
            )),
        }
    }

    /// Refuses if the object's current version is not among those named. Call it with the row locked.
    pub fn check(&self, view: &impl Serialize) -> Result<(), Failure> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let current = etag(view);
        if wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag == current) {
            return Ok(());
        }
        let detail = "It was changed since you read it. Read it again and repeat your change.";
        Err(Failure::new(Kind::PreconditionFailed, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_version_matches() {
        let (old, new) = (etag(&"old"), etag(&"new"));
        for (name, sent, matches) in [
            ("nothing sent", None, true),
            ("any", Some("*".to_owned()), true),
            ("this one", Some(new.clone()), true),
            ("one of two", Some(format!("{old}, {new}")), true),
            ("the old one", Some(old), false),
            ("a weak tag never matches", Some(format!("W/{new}")), false),
            ("without quotes", Some(new.replace('"', "")), false),
        ] {
            assert_eq!(IfMatch(sent).check(&"new").is_ok(), matches, "{name}");
        }
        assert!(IfMatch(None).required().is_err());
    }
}
