//! From what a user typed to a container: full id, then name, then unique prefix of an id.

use berth_base::{ContainerId, ContainerName};

use super::{Store, StoreError};

impl Store {
    /// Finds a container. An ambiguous prefix lists its matches.
    pub(crate) fn resolve(&self, reference: &str) -> Result<ContainerId, StoreError> {
        // As inspect shows names, and Docker takes them.
        let reference = reference.strip_prefix('/').unwrap_or(reference);
        if let Ok(id) = reference.parse::<ContainerId>()
            && self.exists(&id)
        {
            return Ok(id);
        }
        if let Ok(name) = reference.parse::<ContainerName>()
            && let Some(id) = self.holder(&name)?
        {
            return Ok(id);
        }
        let is_prefix = !reference.is_empty()
            && reference
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_prefix {
            return self.resolve_lost(reference);
        }
        let mut matches: Vec<ContainerId> = self
            .ids()?
            .into_iter()
            .filter(|id| id.as_str().starts_with(reference))
            .collect();
        matches.sort();
        match matches.len() {
            0 => self.resolve_lost(reference),
            1 => Ok(matches.remove(0)),
            _ => Err(StoreError::Ambiguous {
                reference: reference.to_owned(),
                matches: matches.iter().map(|id| self.describe(id)).collect(),
            }),
        }
    }

    /// A name to which no file leads; rare, and so is what costs a look at all containers.
    fn resolve_lost(&self, reference: &str) -> Result<ContainerId, StoreError> {
        let name = reference.parse::<ContainerName>().ok();
        name.and_then(|name| self.called(&name))
            .ok_or_else(|| StoreError::NoContainer(reference.escape_default().to_string()))
    }

    /// `0123456789ab (name)`.
    fn describe(&self, id: &ContainerId) -> String {
        match self.read_settings(id) {
            Ok(Some(settings)) => format!("{} ({})", id.short(), settings.name),
            _ => id.short().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_with(ids: &[&str]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("root"), dir.path().join("state"));
        store.ensure().unwrap();
        for id in ids {
            std::fs::create_dir(store.containers().join(id)).unwrap();
        }
        (dir, store)
    }

    fn padded(prefix: &str) -> String {
        format!("{prefix:0<64}")
    }

    #[test]
    fn a_name_goes_before_a_prefix_and_a_full_id_before_a_name() {
        let (a, b) = (padded("ab"), padded("cd"));
        let (_dir, store) = store_with(&[&a, &b]);
        let names = store.lock_names().unwrap();
        let holder: ContainerId = b.parse().unwrap();
        store
            .claim_name(&names, &"ab".parse().unwrap(), &holder)
            .unwrap();
        store
            .claim_name(&names, &a.parse().unwrap(), &holder)
            .unwrap();
        assert_eq!(store.resolve("ab").unwrap().as_str(), b);
        assert_eq!(store.resolve(&a).unwrap().as_str(), a);
        assert_eq!(store.resolve("c").unwrap().as_str(), b);
    }

    #[test]
    fn an_ambiguous_prefix_lists_its_matches() {
        let (a, b) = (padded("ab1"), padded("ab2"));
        let (_dir, store) = store_with(&[&a, &b, ".tmp-x", ".removing-y"]);
        insta::assert_snapshot!(store.resolve("ab").unwrap_err(), @r#"the reference "ab" is ambiguous: it matches ab1000000000, ab2000000000; give more digits of the id"#);
        assert!(store.resolve("ab2").is_ok());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (_dir, store) = store_with(&[]);
        for reference in ["", "nope", "ab", "../..", "a\nb"] {
            let error = store.resolve(reference).unwrap_err();
            assert!(matches!(error, StoreError::NoContainer(_)), "{error}");
            assert!(!error.to_string().contains('\n'));
        }
    }
}
