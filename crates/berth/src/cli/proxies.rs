//! Proxies: from the environment, else from `[proxies]` of the configuration files.

use berth_image::registry::{NoProxy, Proxies, ProxySetting};
use serde::Deserialize;

/// `[proxies]`, with the names that Docker's daemon.json has.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct ProxySection {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
}

/// Without the values, which can hold passwords.
impl std::fmt::Debug for ProxySection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxySection").finish_non_exhaustive()
    }
}

impl ProxySection {
    /// These settings, completed by those of `other`. An empty text is a setting: no proxy.
    pub(super) fn over(self, other: Self) -> Self {
        Self {
            http_proxy: self.http_proxy.or(other.http_proxy),
            https_proxy: self.https_proxy.or(other.https_proxy),
            no_proxy: self.no_proxy.or(other.no_proxy),
        }
    }

    /// What holds with an environment. A variable wins; one that is empty says nothing, as with Go
    /// and curl.
    pub(super) fn under(self, environment: &dyn Fn(&str) -> Option<String>) -> Proxies {
        let variable = |name: &str| {
            let names = [name.to_owned(), name.to_ascii_lowercase()];
            let mut set = names.into_iter().filter_map(|name| {
                let value = environment(&name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            });
            set.next()
        };
        let proxy = |name: &str, key: &str, configured: Option<String>| {
            let set = variable(name).or_else(|| variable("ALL_PROXY"));
            let (source, url) = match (set, configured) {
                (Some(set), _) => set,
                (None, Some(url)) => (format!("{key} in config.toml"), url),
                (None, None) => return None,
            };
            (!url.trim().is_empty()).then_some(ProxySetting { url, source })
        };
        let except = variable("NO_PROXY").map(|(_, value)| value);
        let except = except.or(self.no_proxy).unwrap_or_default();
        Proxies {
            http: proxy("HTTP_PROXY", "http-proxy", self.http_proxy),
            https: proxy("HTTPS_PROXY", "https-proxy", self.https_proxy),
            except: NoProxy::parse(&except),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(section: &str, variables: &[(&str, &str)]) -> Proxies {
        let section: ProxySection = toml::from_str(section).unwrap();
        section.under(&|name| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| (*value).to_owned())
        })
    }

    fn shown(setting: Option<ProxySetting>) -> String {
        setting.map_or_else(String::new, |s| format!("{} {}", s.source, s.url))
    }

    #[test]
    fn variables() {
        let both = with(
            "",
            &[
                ("HTTP_PROXY", "a"),
                ("https_proxy", "b"),
                ("HTTPS_PROXY", "c"),
            ],
        );
        assert_eq!(shown(both.http), "HTTP_PROXY a");
        assert_eq!(shown(both.https), "HTTPS_PROXY c");
        let all = with(
            "",
            &[("all_proxy", "a"), ("HTTP_PROXY", ""), ("https_proxy", "b")],
        );
        assert_eq!(shown(all.http), "all_proxy a");
        assert_eq!(shown(all.https), "https_proxy b");
        assert_eq!(with("", &[("HTTP_PROXY", " ")]), Proxies::default());
        let no = with("", &[("no_proxy", "x.example")]);
        assert_eq!(no.except, NoProxy::parse("x.example"));
    }

    #[test]
    fn files() {
        let file = "http-proxy = \"a\"\nhttps-proxy = \"b\"\nno-proxy = \"x\"\n";
        let both = with(file, &[("HTTPS_PROXY", "c"), ("NO_PROXY", "")]);
        assert_eq!(shown(both.http), "http-proxy in config.toml a");
        assert_eq!(shown(both.https), "HTTPS_PROXY c");
        assert_eq!(both.except, NoProxy::parse("x"));
        let system: ProxySection = toml::from_str(file).unwrap();
        let user: ProxySection = toml::from_str("http-proxy = \"\"\nno-proxy = \"y\"\n").unwrap();
        let secret: ProxySection = toml::from_str("http-proxy = \"hidden\"").unwrap();
        assert!(!format!("{secret:?}").contains("hidden"));
        let over = user.over(system).under(&|_| None);
        assert_eq!(over.http, None);
        assert_eq!(shown(over.https), "https-proxy in config.toml b");
        assert_eq!(over.except, NoProxy::parse("y"));
        assert!(toml::from_str::<ProxySection>("ftp-proxy = \"a\"").is_err());
    }
}
