//! Addresses: which of them are one server, where a redirect leads, what messages may show.

use ureq::http::Uri;
use ureq::http::uri::Authority;

use crate::text::foreign;

/// Scheme, host and port: what has to be equal for two addresses to be of one server.
pub fn origin(address: &Uri) -> (String, String, u16) {
    let scheme = address
        .scheme_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let host = address.host().unwrap_or_default().to_ascii_lowercase();
    let default = if scheme == "https" { 443 } else { 80 };
    (scheme, host, address.port_u16().unwrap_or(default))
}

/// The address that `location` means in an answer of `base`; never one that gives up its encryption.
pub fn join(base: &Uri, location: &str) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    let target: Uri = if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}").parse()
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}").parse()
    } else if location.starts_with("http://") || location.starts_with("https://") {
        location.parse()
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}").parse()
    }
    .ok()?;
    let is_safe = scheme == "http" || target.scheme_str() == Some("https");
    (target.host().is_some() && is_safe).then_some(target)
}

/// The address for messages: without the signature or the password that it may hold.
pub fn shown(address: &Uri) -> String {
    let scheme = address.scheme_str().unwrap_or_default();
    let authority = address.authority().map_or("", Authority::as_str);
    foreign(&format!(
        "{scheme}://{}{}",
        after_user(authority),
        address.path()
    ))
}

/// The hub's address for messages: without all that stands before the last `@`, also where it is malformed.
pub fn shown_endpoint(endpoint: &str) -> String {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| endpoint.contains('@') && endpoint.starts_with(scheme));
    foreign(&(scheme.unwrap_or_default().to_owned() + after_user(endpoint)))
}

fn after_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let joined = |location: &str| {
            let base = "https://hub:8443/org/name/resolve/a/b?x=1".parse().unwrap();
            join(&base, location).map(|target| target.to_string())
        };
        for (location, expected) in [
            ("https://cdn/b?sig=1", "https://cdn/b?sig=1"),
            ("//cdn/b", "https://cdn/b"),
            ("/api/b", "https://hub:8443/api/b"),
            ("c?x=2", "https://hub:8443/org/name/resolve/a/c?x=2"),
        ] {
            assert_eq!(joined(location).as_deref(), Some(expected));
        }
        for location in ["http://cdn/b", "https://", "https:///b", "//", "/a b"] {
            assert_eq!(joined(location), None, "{location}");
        }
    }

    #[test]
    fn server_is_scheme_host_and_port() {
        let of = |address: &str| origin(&address.parse().unwrap());
        assert_eq!(of("https://hub/a"), of("https://HUB:443/b"));
        for other in [
            "http://hub",
            "https://hub:8443",
            "https://hub.x",
            "https://x.hub",
        ] {
            assert_ne!(of("https://hub"), of(other));
        }
    }
    #[test]
    fn what_may_be_a_password_is_not_shown() {
        for (endpoint, expected) in [
            ("https://hub:8443/sub", "https://hub:8443/sub"),
            ("https://user:secret@hub/sub", "https://hub/sub"),
            ("https://user:secret@b@hub", "https://hub"),
            ("http://user:sec/ret@hub", "http://hub"),
            ("user:secret@hub", "hub"),
            ("https:/user:secret@hub", "hub"),
            ("https://user:secret@", "https://"),
        ] {
            assert_eq!(shown_endpoint(endpoint), expected);
        }
        let address = "https://user:secret@cdn:8443/b?sig=1".parse().unwrap();
        assert_eq!(shown(&address), "https://cdn:8443/b");
        // An address may hold some control characters.
        let address = "https://cdn/\u{9b}31m".parse().unwrap();
        assert_eq!(shown(&address), "https://cdn/\\u{9b}31m");
    }
}
