//! Which part of the host is shown.

use berth_base::escape_untrusted;
use berth_map::scope::{Scope, Selection};
use berth_map::{Container, World};

/// A part of the host, by the words of `berth map SCOPE`.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// As it was written, escaped.
    pub(crate) text: String,
    scope: Scope,
    /// Why nothing is shown, where nothing is.
    pub(crate) nothing: Option<String>,
}

impl Filter {
    /// Reads a filter; the error is one line, escaped.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let scope: Scope = text.trim().parse().map_err(|e| format!("{e}"))?;
        Ok(Self {
            text: escape_untrusted(text.trim()).into_owned(),
            scope,
            nothing: None,
        })
    }

    /// Reads a filter that was checked before.
    pub(super) fn parse_any(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// The part of a snapshot. Where it has nothing of the kind, that is remembered, and nothing
    /// is selected.
    pub(super) fn select(&mut self, world: &World) -> Selection {
        let found = world.select(&self.scope);
        let found = found.or_else(|error| match self.namesake(world) {
            Some(scope) => world.select(&scope),
            None => Err(error),
        });
        match found {
            Ok(selection) => {
                self.nothing = None;
                selection
            }
            Err(error) => {
                self.nothing = Some(error.to_string());
                Selection::nothing()
            }
        }
    }

    /// The one container of any engine that has the name that was written. Other commands take a
    /// bare name for one of Berth's, since they act; this one only looks.
    fn namesake(&self, world: &World) -> Option<Scope> {
        let Scope::Container(name) = &self.scope else {
            return None;
        };
        let mut all = world.containers().iter().filter(|c| c.name == *name);
        let (first, more) = (all.next()?, all.next());
        let engine = first.engine.as_str();
        let scope = Scope::Container(format!("{engine}/{}", first.id));
        more.is_none().then_some(scope)
    }

    /// The next engine that has containers, after the one that is filtered by; none after the
    /// last one.
    pub(super) fn next_engine(current: Option<&Self>, world: &World) -> Option<Self> {
        let mut engines: Vec<_> = world.containers().iter().map(|c| c.engine).collect();
        engines.sort_unstable();
        engines.dedup();
        let at = match current.map(|filter| &filter.scope) {
            Some(Scope::Engine(engine)) => {
                let place = engines.iter().position(|e| e == engine);
                place.map_or(0, |at| at + 1)
            }
            _ => 0,
        };
        engines.get(at).map(|engine| Self {
            text: engine.to_string(),
            scope: Scope::Engine(*engine),
            nothing: None,
        })
    }

    /// One container.
    pub(super) fn container(container: &Container) -> Self {
        // By id: names can be taken by several.
        let engine = container.engine.as_str();
        Self {
            text: escape_untrusted(&container.display_name()).into_owned(),
            scope: Scope::Container(format!("{engine}/{}", container.id)),
            nothing: None,
        }
    }

    /// Whether it is one container.
    pub(super) fn is_container(&self) -> bool {
        matches!(self.scope, Scope::Container(_))
    }
}
