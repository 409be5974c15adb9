//! Sign-in initiated by a third party (OpenID Connect Core §4): a link of ours to an app takes the person there, signed
//! in.

use url::Url;

use crate::domain::client::Client;

/// The URL of a link to an app: the address where the app starts a sign-in with us, if it has one. `target` is the page
/// of the app that the person wants to see.
pub fn login_url(client: &Client, issuer: &str, target: Option<&str>) -> Option<String> {
    let mut address = Url::parse(client.definition.initiate_login_uri.as_deref()?).ok()?;
    address.query_pairs_mut().append_pair("iss", issuer);
    if let Some(target) = target {
        address.query_pairs_mut().append_pair("target_link_uri", target);
    }
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientDefinition;

    #[test]
    fn the_app_learns_who_sends_and_where_to() {
        let mut client = Client {
            id: "app".to_owned(),
            definition: ClientDefinition::default(),
            secret: None,
            previous_secret: None,
            unverified_since: None,
        };
        assert_eq!(login_url(&client, "https://id.example", None), None);
        client.definition.initiate_login_uri = Some("https://app.example/login?from=portal".to_owned());
        assert_eq!(
            login_url(&client, "https://id.example", Some("https://app.example/a?b")).as_deref(),
            Some(
                "https://app.example/login?from=portal&iss=https%3A%2F%2Fid.example&target_link_uri=https%3A%2F%2Fapp.example%2Fa%3Fb"
            )
        );
    }
}
