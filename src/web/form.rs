//! Form bodies, read as pairs. A repeated parameter is refused; the first never silently wins (RFC 6749 §3.2).

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_core::future::LocalBoxFuture;

use super::body::{Body, has_type};
use super::error::{Failure, Kind, OAuthFailure, Problem};

/// Maximum number of parameters in a form.
const MOST: usize = 64;
/// Parameters that can be sent several times (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a form, as they were sent. Empty values count as absent (RFC 6749 §3.1).
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads an `application/x-www-form-urlencoded` body.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if pairs.len() == MOST {
                return Err(too_many());
            }
            if pairs.iter().any(|(sent, _)| *sent == name) && !REPEATABLE.contains(&name.as_ref()) {
                return Err(Failure::new(Kind::InvalidRequest, "A parameter was sent more than once."));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter, if it is present and not empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter that can be sent several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs().filter(move |(sent, _)| *sent == name).map(|(_, value)| value)
    }

    /// All parameters that are not empty, with their values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(|(_, value)| !value.is_empty())
    }

    /// A required parameter.
    pub fn get(&self, name: &'static str) -> Result<&str, Failure> {
        self.find(name).ok_or_else(|| Failure::new(Kind::InvalidRequest, format!("The parameter `{name}` is missing.")))
    }
}

fn too_many() -> Failure {
    Failure::new(Kind::InvalidRequest, "The form has more than 64 parameters.")
}

fn not_a_form() -> Failure {
    Failure::new(Kind::UnsupportedMediaType, "Send this request with Content-Type: application/x-www-form-urlencoded.")
}

async fn parse(typed: bool, query: bool, body: Body) -> Result<Form, Failure> {
    if !typed {
        return Err(not_a_form());
    }
    if query {
        return Err(Failure::new(
            Kind::InvalidRequest,
            "Parameters belong into the body, never into the address, where logs keep them.",
        ));
    }
    Form::parse(&body.read().await?)
}

/// A form posted to an OAuth endpoint.
#[derive(Debug)]
pub struct OAuthForm(pub Form);

impl FromRequest for OAuthForm {
    type Error = OAuthFailure;
    type Future = LocalBoxFuture<'static, Result<Self, OAuthFailure>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = has_type(request, "application/x-www-form-urlencoded");
        let query = !request.query_string().is_empty();
        let body = Body::of(request, payload);
        Box::pin(async move { Ok(Self(parse(typed, query, body).await?)) })
    }
}

/// A form posted to a path under `/v1`, whose refusals are problem documents.
#[derive(Debug)]
pub struct ApiForm(pub Form);

impl FromRequest for ApiForm {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = has_type(request, "application/x-www-form-urlencoded");
        let query = !request.query_string().is_empty();
        let body = Body::of(request, payload);
        Box::pin(async move { Ok(Self(parse(typed, query, body).await?)) })
    }
}

/// A form posted to an OAuth endpoint that also accepts an empty body.
#[derive(Debug)]
pub struct MaybeForm(pub Option<Form>);

impl FromRequest for MaybeForm {
    type Error = OAuthFailure;
    type Future = LocalBoxFuture<'static, Result<Self, OAuthFailure>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = has_type(request, "application/x-www-form-urlencoded");
        let body = Body::of(request, payload);
        Box::pin(async move {
            let body = body.read().await?;
            match (typed, body.is_empty()) {
                (_, true) => Ok(Self(None)),
                (true, false) => Ok(Self(Some(Form::parse(&body)?))),
                (false, false) => Err(not_a_form().into()),
            }
        })
    }
}

/// A form that another site's page may post: its pairs as sent, for handlers that judge repeated parameters themselves.
#[derive(Debug)]
pub struct ForeignForm(pub Vec<(String, String)>);

impl ForeignForm {
    /// Reads the form. Handlers take it as an argument; `site::form` answers faults with a page.
    pub fn read(request: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<Self, Failure>> + use<> {
        let typed = has_type(request, "application/x-www-form-urlencoded");
        let body = Body::of(request, payload);
        async move {
            if !typed {
                return Err(not_a_form());
            }
            let body = body.read().await?;
            let pairs: Vec<_> = url::form_urlencoded::parse(&body).into_owned().take(MOST + 1).collect();
            if pairs.len() > MOST { Err(too_many()) } else { Ok(Self(pairs)) }
        }
    }
}

/// A form posted by one of our pages.
#[derive(Debug)]
pub struct PageForm(pub Form);

impl PageForm {
    /// Reads the form. Handlers take it as an argument; `site::form` answers faults with a page.
    pub fn read(request: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<Self, Failure>> + use<> {
        let typed = has_type(request, "application/x-www-form-urlencoded");
        let body = Body::of(request, payload);
        async move { Ok(Self(parse(typed, false, body).await?)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_comes_once() {
        let form = Form::parse(b"a=1&b=&c=%20x").unwrap();
        assert_eq!((form.find("a"), form.find("b"), form.find("c")), (Some("1"), None, Some(" x")));
        assert!(Form::parse(b"a=1&a=1").is_err());
        assert!(Form::parse(b"a=1&a=").is_err());
        let twice = Form::parse(b"resource=a&resource=b").unwrap();
        assert_eq!(twice.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        let many = (0..65).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many.as_bytes()).is_err());
        assert!(Form::parse(b"").unwrap().get("a").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_read_has_each_parameter_once(
            noise in prop::collection::vec(any::<u8>(), 0..300),
            pairs in "([a-z]{1,2}|resource|audience)(=[a-z%+0-9]{0,3})?(&([a-z]{1,2}|resource)=[a-z%+0-9]{0,3}){0,70}",
        ) {
            for body in [noise, pairs.into_bytes()] {
                let Ok(form) = Form::parse(&body) else { continue };
                let sent = url::form_urlencoded::parse(&body).count();
                prop_assert!(sent <= MOST);
                prop_assert_eq!(form.0.len(), sent, "nothing is dropped");
                for (name, _) in &form.0 {
                    let times = form.0.iter().filter(|(other, _)| other == name).count();
                    prop_assert!(times == 1 || REPEATABLE.contains(&name.as_str()), "{} came twice", name);
                }
            }
        }
    }
}
