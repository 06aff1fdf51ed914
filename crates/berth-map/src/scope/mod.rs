//! Which part of a world is asked for: a container, a process, a namespace, an engine.
//!
//! Pure: [`World::select`] answers a [`Selection`], which the text, JSON, SVG and DOT renderers
//! take. The world stays whole, so that what is shared with the rest can still be told.

mod error;
mod selection;

use std::str::FromStr;

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};

use crate::model::Engine;
use crate::translate::{PidError, PidSpec};

pub use error::ScopeError;
pub use selection::{Role, Selection};

/// What a user asks to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All containers of an engine: `docker`.
    Engine(Engine),
    /// A namespace: `net:[4026532300]` or `net:4026532300`.
    Namespace(NamespaceId),
    /// A process and its descendants: `31995`, `host:31995`, `web:7`.
    Process(PidSpec),
    /// A container by name, id, beginning of an id, or engine and one of these: `docker/web`.
    Container(String),
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// The word of an engine is the engine, and a kind of namespace before a colon is a
    /// namespace; a container of such a name is written `berth/docker`, `berth/net:7`.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if let Some(engine) = parse_engine(text) {
            return Ok(Self::Engine(engine));
        }
        if let Some((word, number)) = text.split_once(':')
            && let Some(kind) = parse_kind(word)
        {
            let inode = parse_inode(number).ok_or_else(|| ScopeError::NotANamespace {
                text: escape_untrusted(text).into_owned(),
            })?;
            return Ok(Self::Namespace(NamespaceId { kind, inode }));
        }
        match text.parse::<PidSpec>() {
            Ok(spec) => Ok(Self::Process(spec)),
            // Without a colon, what is no number is a name.
            Err(PidError::NotAPid { .. }) if !text.contains(':') && !is_number(text) => {
                Ok(Self::Container(text.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_engine(word: &str) -> Option<Engine> {
    Engine::ALL
        .into_iter()
        .find(|engine| engine.as_str() == word)
}

fn parse_kind(word: &str) -> Option<NamespaceKind> {
    NamespaceKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

fn parse_inode(text: &str) -> Option<u64> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let digits = inner.unwrap_or(text);
    let plain = is_number(digits);
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use berth_base::HostPid;

    use super::*;

    fn parse(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_is_told_apart() {
        let net = NamespaceId {
            kind: NamespaceKind::Net,
            inode: 4_026_532_300,
        };
        assert_eq!(parse("net:[4026532300]"), Scope::Namespace(net));
        assert_eq!(parse("net:4026532300"), Scope::Namespace(net));
        assert_eq!(parse("docker"), Scope::Engine(Engine::Docker));
        assert_eq!(parse("berth"), Scope::Engine(Engine::Berth));
        assert_eq!(parse("web"), Scope::Container("web".to_owned()));
        let named = Scope::Container("berth/docker".to_owned());
        assert_eq!(parse("berth/docker"), named);
        let host = PidSpec::Host(HostPid::new(31_995).unwrap());
        assert_eq!(parse("31995"), Scope::Process(host.clone()));
        assert_eq!(parse("host:31995"), Scope::Process(host));
        let inside = PidSpec::Inside {
            container: "berth/net".to_owned(),
            pid: 7,
        };
        assert_eq!(parse("berth/net:7"), Scope::Process(inside));
    }

    #[test]
    fn what_is_none_of_them_is_said_so() {
        for (text, word) in [
            ("net:[x]", "not a namespace"),
            ("net:", "not a namespace"),
            ("net:[1", "not a namespace"),
            ("web:x", "not a PID"),
            ("0", "PID 0"),
            ("99999999999", "not a PID"),
            ("\x1b:\x1b", "not a PID"),
        ] {
            let message = text.parse::<Scope>().unwrap_err().to_string();
            assert!(message.contains(word), "{text:?}: {message}");
            assert!(!message.contains('\x1b'));
        }
    }
}
