//! Who may ask: whoever holds the token, under a name that is ours. Pure.

use crate::problem::{Problem, Result};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// What decides about requests.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    token: String,
    /// Names under which the server may be asked for, besides those of this machine itself.
    names: Vec<String>,
    /// The name of the cookie: servers on other ports of this machine have others.
    cookie: String,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Answer,
    /// It opens the page with the token in its address: it gets a cookie instead, and an address without the token.
    Settle,
    /// It asks for another name than ours, as pages do that have a name of their own lead to this machine.
    Stranger,
    /// It brought no token.
    Unknown,
}

impl Guard {
    /// With a token of its own.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(super) fn new(address: SocketAddr, mut names: Vec<String>) -> Result<Self> {
        let mut bytes = [0; 24];
        let source = Path::new("/dev/urandom");
        let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|e| Problem::os("read", source, &e))?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        // Of all addresses of this machine, none is known by name.
        if !address.ip().is_unspecified() {
            names.push(match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        Ok(Self { token, names, cookie: format!("ablate-{}", address.port()) })
    }

    /// The address to open.
    pub(super) fn address(&self, at: SocketAddr) -> String {
        let host = match at.ip().is_unspecified() {
            true => format!("localhost:{}", at.port()),
            false => at.to_string(),
        };
        format!("http://{host}/?token={}", self.token)
    }

    /// The cookie that a browser keeps instead of the token in its address.
    pub(super) fn cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.token)
    }

    /// Decides about a request by its `Host`, its path with the query, and what else it brought.
    pub(super) fn judge(
        &self,
        host: Option<&str>,
        address: &str,
        (cookies, authorization): (Option<&str>, Option<&str>),
    ) -> Verdict {
        // The port may be another one: that of a tunnel.
        let name = host.map(without_port);
        if !name.is_some_and(|name| self.names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            return Verdict::Stranger;
        }
        let own = format!("{}=", self.cookie);
        let kept = cookies.into_iter().flat_map(|all| all.split(';'));
        let kept = kept.filter_map(|cookie| cookie.trim().strip_prefix(&own));
        let bearer = authorization.and_then(|text| text.strip_prefix("Bearer "));
        if kept.chain(bearer).any(|token| self.is_token(token)) {
            return Verdict::Answer;
        }
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let given = query.split('&').filter_map(|part| part.strip_prefix("token="));
        match given.into_iter().any(|token| self.is_token(token)) {
            true if path == "/" => Verdict::Settle,
            true => Verdict::Answer,
            false => Verdict::Unknown,
        }
    }

    /// Compares digests, so that the time it takes tells nothing of the token.
    fn is_token(&self, given: &str) -> bool {
        blake3::hash(given.as_bytes()) == blake3::hash(self.token.as_bytes())
    }
}

/// `localhost:8642` → `localhost`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new("127.0.0.1:8642".parse().unwrap(), vec!["box.lab".to_owned()]).unwrap()
    }

    #[test]
    fn only_the_names_of_this_machine_are_answered_on_any_port() {
        let guard = guard();
        let cookie = guard.cookie();
        let by = |host| guard.judge(host, "/", (Some(&cookie), None));
        for host in ["127.0.0.1:8642", "localhost", "LOCALHOST:9000", "[::1]:8642", "box.lab:1"] {
            assert_eq!(by(Some(host)), Verdict::Answer, "{host}");
        }
        for host in
            ["evil.example", "evil.example:8642", "localhost.evil.example", "", "127.0.0.1.x"]
        {
            assert_eq!(by(Some(host)), Verdict::Stranger, "{host}");
        }
        assert_eq!(by(None), Verdict::Stranger);
    }

    #[test]
    fn without_the_token_nothing_is_answered() {
        let guard = guard();
        let of = |address: &str, cookie: Option<String>, bearer: Option<String>| {
            guard.judge(Some("localhost"), address, (cookie.as_deref(), bearer.as_deref()))
        };
        let token = guard.token.clone();
        assert_eq!(token.len(), 48);
        for (address, cookie) in [
            ("/".to_owned(), None),
            ("/?token=".to_owned(), None),
            (format!("/?token={token}0"), None),
            ("/".to_owned(), Some("ablate-8642=1; other=2".to_owned())),
            ("/".to_owned(), Some(format!("ablate-1={token}"))),
        ] {
            assert_eq!(
                of(&address, cookie.clone(), None),
                Verdict::Unknown,
                "{address} {cookie:?}"
            );
        }
        assert_eq!(of("/", Some(format!("a=b; ablate-8642={token}")), None), Verdict::Answer);
        assert_eq!(of("/", None, Some(format!("Bearer {token}"))), Verdict::Answer);
        assert_eq!(of(&format!("/?token={token}"), None, None), Verdict::Settle);
        assert_eq!(of(&format!("/api/x?a=1&token={token}&b=2"), None, None), Verdict::Answer);
        // Nothing of the address goes into where the browser is sent.
        assert_eq!(of(&format!("//evil.example?token={token}"), None, None), Verdict::Answer);
    }

    #[test]
    fn two_servers_have_two_tokens() {
        assert_ne!(guard().token, guard().token);
    }
}
