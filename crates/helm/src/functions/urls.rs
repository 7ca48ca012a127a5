//! URLs: `urlParse` and `urlJoin`, by the rules of Go's `net/url`.

use std::collections::BTreeMap;

use gotmpl::{FuncError, Function, Kind, Map, Str, Type, Value};

use super::arguments::{NIL_POINTER, Outcome, kind_name, map, text};
use super::pure;
use super::strings::find;
use crate::host::Host;

pub(super) const TABLE: &[Function<Host>] = &[
    // Helm finds no host unless it is told to ask DNS; templates here never do.
    pure("getHostByName", &[Type::String], |_| Ok(Value::string(""))),
    pure("urlJoin", &[Type::Map], join),
    pure("urlParse", &[Type::String], |args| {
        let url =
            Url::parse(text(args, 0)?).map_err(|error| FuncError::new(format!("unable to parse url: {error}")))?;
        Ok(url.into_value())
    }),
];

/// Whether a text is a URL with a scheme, or why it is no URL, in Go's words.
pub(crate) fn check_url(text: &str) -> Result<bool, String> {
    let url = Url::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    if url.host_name().contains(&b':') && !url.host.starts_with(b"[") {
        return Err("ipv6 address not enclosed in brackets".to_owned());
    }
    Ok(!url.scheme.is_empty())
}

/// Why a text is not a URL, in Go's words.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("net/url: invalid control character in URL")]
    AcceptControl,
    #[error("missing protocol scheme")]
    FindScheme,
    #[error("first path segment in URL cannot contain colon")]
    AcceptColon,
    #[error("net/url: invalid userinfo")]
    AcceptUser,
    #[error("invalid IP-literal")]
    AcceptAddress,
    #[error("missing ']' in host")]
    FindBracket,
    #[error("invalid port {0} after host")]
    AcceptPort(String),
    #[error("invalid host: ParseAddr({0}): unable to parse IP")]
    ParseAddress(String),
    #[error("invalid URL escape {0}")]
    Unescape(String),
    #[error("invalid character {0} in host name")]
    AcceptCharacter(String),
    #[error("parse {url}: {source}")]
    Parse { url: String, source: Box<Self> },
}

fn quote(text: &[u8]) -> String {
    gotmpl::quote(text).to_lossy().into_owned()
}

/// A part of a URL, which decides what must be escaped in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    /// The zone of an IPv6 address.
    Zone,
    Fragment,
}

impl Part {
    /// Whether `byte` stands for itself.
    fn allows(self, byte: u8) -> bool {
        let reserved: &[u8] = match self {
            Self::Path => b"$&+,/:;=@",
            Self::User => b"$&+,;=",
            Self::Host | Self::Zone => b"!$&'()*+,;=:[]<>\"",
            Self::Fragment => b"$&+,/:;=?@!()*",
        };
        byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || reserved.contains(&byte)
    }

    fn escape(self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for byte in text {
            if self.allows(*byte) {
                out.push(*byte);
            } else {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
        out
    }

    fn unescape(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, others)) = rest.split_first() {
            if *first != b'%' {
                if matches!(self, Self::Host | Self::Zone) && first.is_ascii() && !self.allows(*first) {
                    return Err(Error::AcceptCharacter(quote(&[*first])));
                }
                out.push(*first);
                rest = others;
                continue;
            }
            let escape = &rest[..rest.len().min(3)];
            let byte = escaped_byte(escape).filter(|byte| self.may_be_escaped(*byte));
            out.push(byte.ok_or_else(|| Error::Unescape(quote(escape)))?);
            rest = &rest[3..];
        }
        Ok(out)
    }

    /// In a host, escapes are for what is not ASCII, and for the percent sign before a zone.
    fn may_be_escaped(self, byte: u8) -> bool {
        match self {
            Self::Host => !byte.is_ascii() || byte == b'%',
            Self::Zone => matches!(byte, b'%' | b' ') || self.allows(byte),
            Self::Path | Self::User | Self::Fragment => true,
        }
    }
}

fn escaped_byte(escape: &[u8]) -> Option<u8> {
    let [b'%', high, low] = escape else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The parts of a URL, unescaped where templates see them so.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

/// A user name and perhaps a password.
struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl User {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
        if !text.iter().all(valid) {
            return Err(Error::AcceptUser);
        }
        let (name, password) = cut(text, b':');
        let password = password.map(|password| Part::User.unescape(password)).transpose()?;
        Ok(Self { name: Part::User.unescape(name)?, password })
    }

    fn escaped(&self) -> Vec<u8> {
        let mut text = Part::User.escape(&self.name);
        if let Some(password) = &self.password {
            text.push(b':');
            text.extend(Part::User.escape(password));
        }
        text
    }
}

/// The text before the first `separator`, and what follows it if it is there.
fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

impl Url {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let in_url = |url: &[u8], source| Error::Parse { url: quote(url), source: Box::new(source) };
        let (body, fragment) = cut(text, b'#');
        let mut url = Self::parse_body(body).map_err(|error| in_url(body, error))?;
        url.fragment = Part::Fragment.unescape(fragment.unwrap_or_default()).map_err(|error| in_url(text, error))?;
        Ok(url)
    }

    fn parse_body(text: &[u8]) -> Result<Self, Error> {
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err(Error::AcceptControl);
        }
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = cut(rest, b'?');
        let mut url =
            Self { scheme: scheme.to_ascii_lowercase(), query: query.unwrap_or_default().to_vec(), ..Self::default() };
        let mut path = rest;
        if !rest.starts_with(b"/") {
            if !scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err(Error::AcceptColon);
            }
        } else if let Some(authority) = rest.strip_prefix(b"//")
            && (!scheme.is_empty() || !authority.starts_with(b"/"))
        {
            let end = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
            url.parse_authority(&authority[..end])?;
            path = &authority[end..];
        }
        url.path = Part::Path.unescape(path)?;
        Ok(url)
    }

    fn parse_authority(&mut self, authority: &[u8]) -> Result<(), Error> {
        match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => {
                self.host = self.parse_host(&authority[at + 1..])?;
                self.user = Some(User::parse(&authority[..at])?);
            }
            None => self.host = self.parse_host(authority)?,
        }
        Ok(())
    }

    fn parse_host(&self, host: &[u8]) -> Result<Vec<u8>, Error> {
        match host.iter().rposition(|byte| *byte == b'[') {
            Some(0) => return parse_bracketed_host(host),
            Some(_) => return Err(Error::AcceptAddress),
            None => {}
        }
        let web = matches!(self.scheme.as_slice(), b"http" | b"https");
        let is_colon = |byte: &u8| *byte == b':';
        let colon = if web { host.iter().position(is_colon) } else { host.iter().rposition(is_colon) };
        if let Some(colon) = colon {
            check_port(&host[colon..])?;
        }
        Part::Host.unescape(host)
    }

    fn host_name(&self) -> &[u8] {
        let colon = self.host.iter().rposition(|byte| *byte == b':');
        let name = match colon {
            Some(colon) if check_port(&self.host[colon..]).is_ok() => &self.host[..colon],
            _ => &self.host,
        };
        name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name)
    }

    fn into_value(self) -> Value {
        let user = self.user.as_ref().map(User::escaped).unwrap_or_default();
        let entries = [
            ("fragment", self.fragment.as_slice()),
            ("host", &self.host),
            ("hostname", self.host_name()),
            ("opaque", &self.opaque),
            ("path", &self.path),
            ("query", &self.query),
            ("scheme", &self.scheme),
            ("userinfo", &user),
        ];
        let entries: BTreeMap<Str, Value> =
            entries.into_iter().map(|(key, value)| (key.into(), Value::string(value))).collect();
        Map::any(entries).into()
    }

    /// `URL.String`.
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(Part::Fragment.escape(&self.fragment));
        }
        out
    }

    fn write_hierarchy(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || (!self.scheme.is_empty() && !self.path.is_empty()) {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend(user.escaped());
            out.push(b'@');
        }
        out.extend(Part::Host.escape(&self.host));
        let path = if self.path == b"*" { self.path.clone() } else { Part::Path.escape(&self.path) };
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            out.push(b'/');
        }
        // A colon in the first segment of a relative path would look like a scheme.
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend(path);
    }
}

fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let scheme_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let end = text.iter().position(|byte| !scheme_byte(byte)).unwrap_or(text.len());
    match (text.get(end), text.first()) {
        (Some(b':'), Some(b':')) => Err(Error::FindScheme),
        (Some(b':'), Some(first)) if first.is_ascii_alphabetic() => Ok((&text[..end], &text[end + 1..])),
        _ => Ok((b"", text)),
    }
}

/// Checks what follows a host: nothing, or a colon and digits.
fn check_port(port: &[u8]) -> Result<(), Error> {
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(Error::AcceptPort(quote(port))),
    }
}

/// Reads `[address]:port`, where the address may have a zone behind `%25`.
fn parse_bracketed_host(host: &[u8]) -> Result<Vec<u8>, Error> {
    let closing = host.iter().rposition(|byte| *byte == b']').ok_or(Error::FindBracket)?;
    let port = &host[closing + 1..];
    check_port(port)?;
    let inside = &host[1..closing];
    let (address, zone) = inside.split_at(find(inside, b"%25").unwrap_or(inside.len()));
    let mut name = Part::Host.unescape(address)?;
    name.extend(Part::Zone.unescape(zone)?);
    let (address, zone) = cut(&name, b'%');
    let is_ip4 = std::str::from_utf8(address).is_ok_and(|address| address.parse::<std::net::Ipv4Addr>().is_ok());
    if is_ip4 {
        return Err(Error::AcceptAddress);
    }
    let is_ip6 = std::str::from_utf8(address).is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if !is_ip6 || zone.is_some_and(<[u8]>::is_empty) {
        return Err(Error::ParseAddress(quote(&name)));
    }
    Ok([b"[", name.as_slice(), b"]", port].concat())
}

fn join(args: &[Value]) -> Outcome {
    let parts = map(args, 0)?;
    let part = |key: &str| match parts.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.as_bytes().to_vec()),
        Some(other) if other.kind() == Kind::Invalid => Err(FuncError::new(NIL_POINTER)),
        Some(other) => {
            let kind = kind_name(other.kind());
            Err(FuncError::new(format!("unable to parse {key} key, must be of type string, but {kind} found")))
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        user: None,
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        let parsed = Url::parse(&[b"proto://", user.as_slice(), b"@host"].concat());
        let parsed = parsed.map_err(|error| FuncError::new(format!("unable to parse userinfo in dict: {error}")))?;
        url.user = parsed.user;
    }
    Ok(Value::string(url.write()))
}
