//! Which container a text means.

use berth_base::escape_untrusted;

use super::PidError;
use crate::model::{Confidence, Container, Engine, StaleContainer};

/// One container that a text may mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a, T> {
    /// Its engine.
    pub(crate) engine: Engine,
    /// Its full id.
    pub(crate) id: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Whether it belongs to a Kubernetes pod.
    pub(crate) in_pod: bool,
    /// How well it is known, and how deep inside others: the smaller, the better.
    pub(crate) rank: (Confidence, usize),
    /// What the caller knows it by.
    pub(crate) value: T,
}

/// Words for containers of a Kubernetes pod, whatever engine runs them.
const PODS: [&str; 2] = ["k8s", "kubernetes"];

/// Which containers the word in front of a slash means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One engine's.
    Engine(Engine),
    /// Those of pods, and those whose engine only is known to be Kubernetes'.
    Pods,
}

impl Whose {
    /// Whether a candidate is meant.
    fn means<T>(self, candidate: &Candidate<'_, T>) -> bool {
        match self {
            Self::Engine(engine) => candidate.engine == engine,
            Self::Pods => candidate.in_pod || candidate.engine == Engine::Kubernetes,
        }
    }
}

/// Splits `docker/web` into engine and name; without a slash the engine is Berth.
pub(crate) fn split_engine(text: &str) -> Option<(Whose, &str)> {
    match text.split_once('/') {
        None => Some((Whose::Engine(Engine::Berth), text)),
        Some((word, name)) if PODS.contains(&word) => Some((Whose::Pods, name)),
        Some((word, name)) => {
            let engine = Engine::ALL.into_iter().find(|e| e.as_str() == word)?;
            Some((Whose::Engine(engine), name))
        }
    }
}

/// Finds the one candidate that a text means: by full id, then name, then the end of a name behind
/// a slash (`api/web` of `default/api/web`), then beginning of the id.
///
/// Of several with the same id or name the one that is best known counts, and of these the
/// outermost: a container cannot put itself in another's place by taking its name.
pub(crate) fn select<'a, T: Copy + 'a>(
    text: &str,
    candidates: impl Iterator<Item = Candidate<'a, T>>,
) -> Result<T, PidError> {
    let unknown = || PidError::UnknownContainer {
        container: escape_untrusted(text).into_owned(),
    };
    let (whose, wanted) = split_engine(text).ok_or_else(unknown)?;
    if wanted.is_empty() {
        return Err(unknown());
    }
    let candidates: Vec<_> = candidates.filter(|c| whose.means(c)).collect();
    let best = |found: &dyn Fn(&Candidate<'a, T>) -> bool| {
        let all: Vec<_> = candidates.iter().filter(|c| found(c)).collect();
        let rank = all.iter().map(|c| c.rank).min()?;
        let best = all.into_iter().filter(|c| c.rank == rank);
        Some(best.collect::<Vec<_>>())
    };
    let ends = |name: &str| {
        let front = name.strip_suffix(wanted);
        front.is_some_and(|front| front.ends_with('/'))
    };
    let matches = best(&|c| c.id == wanted)
        .or_else(|| best(&|c| c.name == wanted))
        .or_else(|| best(&|c| ends(c.name)))
        .unwrap_or_else(|| {
            let begins = candidates.iter().filter(|c| c.id.starts_with(wanted));
            begins.collect()
        });
    match matches.as_slice() {
        [] => Err(unknown()),
        [one] => Ok(one.value),
        several => Err(PidError::AmbiguousContainer {
            container: escape_untrusted(text).into_owned(),
            matches: several.iter().map(|c| describe(c)).collect(),
        }),
    }
}

/// A candidate as a list of matches shows it.
fn describe<T>(candidate: &Candidate<'_, T>) -> String {
    let short = Container::shorten_id(candidate.id);
    let text = if candidate.name == short {
        short.to_owned()
    } else {
        format!("{short} ({})", candidate.name)
    };
    escape_untrusted(&text).into_owned()
}

/// Turns "unknown" into "not running" where a run file of an ended container matches.
pub(crate) fn explain_stale(unknown: PidError, text: &str, stale: &[StaleContainer]) -> PidError {
    let candidates = stale.iter().map(|s| Candidate {
        engine: Engine::Berth,
        id: &s.id,
        name: &s.name,
        in_pod: false,
        rank: (Confidence::Certain, 0),
        value: s,
    });
    match select(text, candidates) {
        Ok(found) => PidError::NotRunning {
            container: escape_untrusted(&found.name).into_owned(),
            reason: found.reason,
            init: found.init,
        },
        Err(_) => unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(text: &str) -> Result<usize, PidError> {
        let table = [
            (Engine::Berth, "abc1", "web"),
            (Engine::Berth, "abc2", "db"),
            (Engine::Berth, "ffff", "abc"),
            (Engine::Docker, "abc1", "x"),
        ];
        select(
            text,
            table
                .iter()
                .enumerate()
                .map(|(value, (engine, id, name))| Candidate {
                    engine: *engine,
                    id,
                    name,
                    in_pod: false,
                    rank: (Confidence::Certain, 0),
                    value,
                }),
        )
    }

    #[test]
    fn id_comes_before_name_and_name_before_prefix() {
        assert_eq!(pick("abc1").unwrap(), 0);
        assert_eq!(pick("db").unwrap(), 1);
        assert_eq!(pick("abc").unwrap(), 2);
        assert_eq!(pick("ff").unwrap(), 2);
        assert_eq!(pick("docker/abc").unwrap(), 3);
        assert_eq!(pick("berth/web").unwrap(), 0);
    }

    #[test]
    fn what_matches_twice_lists_its_matches() {
        let message = pick("ab").unwrap_err().to_string();
        assert!(message.contains("abc1 (web), abc2 (db)"), "{message}");
    }

    #[test]
    fn nothing_matches_the_empty_text_or_an_unknown_engine() {
        for text in ["", "docker/", "rkt/web", "web/7", "\x1b"] {
            let message = pick(text).unwrap_err().to_string();
            assert!(message.starts_with("no running container"), "{message}");
            assert!(!message.contains('\x1b'));
        }
    }
}
