//! The names that resources have in `resource` and `aud` (RFC 8707 §2), and how they are compared.

/// Finds the known name that `asked` refers to: the identical one, otherwise the same bare origin with or without a
/// trailing slash. Both are the same URL (RFC 3986 §6.2.3), and clients that use a URL parser send the one with the
/// slash. All other names are compared byte for byte.
pub fn known_as<'a>(mut known: impl Iterator<Item = &'a str> + Clone, asked: &str) -> Option<&'a str> {
    known.clone().find(|one| *one == asked).or_else(|| known.find(|one| canonical(one) == canonical(asked)))
}

/// The form that all names of one resource share, for lookups.
pub fn canonical(identifier: &str) -> &str {
    bare_origin(identifier).unwrap_or(identifier)
}

/// A web address without path, query and fragment, and without its trailing slash; `None` for any other identifier.
fn bare_origin(identifier: &str) -> Option<&str> {
    let origin = identifier.strip_suffix('/').unwrap_or(identifier);
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let is_bare = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\']);
    is_bare.then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_origin_is_the_same_with_and_without_its_slash() {
        for (known, asked, expected) in [
            (&["https://mcp.example"][..], "https://mcp.example", Some("https://mcp.example")),
            (&["https://mcp.example"], "https://mcp.example/", Some("https://mcp.example")),
            (&["https://mcp.example/"], "https://mcp.example", Some("https://mcp.example/")),
            (&["http://localhost:3000"], "http://localhost:3000/", Some("http://localhost:3000")),
            (&["https://mcp.example", "https://mcp.example/"], "https://mcp.example/", Some("https://mcp.example/")),
            (&["https://mcp.example/", "https://mcp.example"], "https://mcp.example", Some("https://mcp.example")),
            (&["urn:mcp", "https://a.example", "https://b.example"], "https://b.example/", Some("https://b.example")),
            (&["https://mcp.example"], "https://mcp.example//", None),
            (&["https://mcp.example"], "https://mcp.example/?", None),
            (&["https://mcp.example"], "https://mcp.example/#", None),
            (&["https://mcp.example"], "https://MCP.example/", None),
            (&["https://mcp.example"], "https://mcp.example:443/", None),
            (&["https://mcp.example"], "http://mcp.example/", None),
            (&["https://mcp.example"], "https://mcp.example.evil.example/", None),
            (&["https://mcp.example/tools"], "https://mcp.example/tools/", None),
            (&["https://mcp.example/?tenant=a"], "https://mcp.example/?tenant=a/", None),
            (&["https://mcp.example?tenant=a"], "https://mcp.example?tenant=a/", None),
            (&["https://me@mcp.example"], "https://me@mcp.example/", None),
            (&["urn:mcp"], "urn:mcp/", None),
            (&["mcp"], "mcp/", None),
            (&["https:"], "https:/", None),
            (&["https://"], "https:///", None),
            (&[], "https://mcp.example", None),
        ] {
            assert_eq!(known_as(known.iter().copied(), asked), expected, "{asked} among {known:?}");
        }
    }
}
