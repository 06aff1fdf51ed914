//! Which engines there are files of, and where those are.
//!
//! Places come from packages' defaults, from the engine's configuration file, from the caller
//! ([`EngineRoots`]), and from the command lines of running daemons. The last are hints: a place
//! is looked at, nothing is believed for being named there.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::facts::{Daemon, SHIM};
use super::record::Search;
use super::storage::Storage;
use super::tree::{Tree, USERS};
use super::{containerd, docker, docker_socket, flatpak, nspawn, storage};
use crate::attribute::programs::option;
use crate::discover::ProcRoot;
use crate::model::Engine;

/// Where the files of other engines are looked for.
#[derive(Clone, Debug, Default)]
pub struct EngineRoots {
    /// The root of the file system below which the usual places are, `/` on a host. `None` reads
    /// no engine's files; cgroups and programs still tell containers apart.
    pub root: Option<PathBuf>,
    /// Further places, below that root.
    pub more: Vec<EngineRoot>,
}

/// One engine's folders, where they are not the usual ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineRoot {
    /// Whose. Docker's `data` is its data root and `state` its socket, containerd's `state` its state folder; podman's
    /// and CRI-O's `data` and `state` are graph root and run root.
    pub engine: Engine,
    /// What outlives a reboot.
    pub data: Option<PathBuf>,
    /// What does not.
    pub state: Option<PathBuf>,
}

impl EngineRoots {
    /// The host's own root.
    pub fn host() -> Self {
        Self {
            root: Some(PathBuf::from("/")),
            more: Vec::new(),
        }
    }

    /// The root, opened.
    pub(super) fn open(&self, proc: &ProcRoot) -> Option<Tree> {
        Tree::host(proc, self.root.as_deref()?)
    }
}

/// Folders of one engine, relative to the root; empty where it has none of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) data: String,
    pub(super) state: String,
    /// The one container there that is looked for, `NAMESPACE/ID` of containerd.
    pub(super) only: Option<String>,
}

impl Place {
    fn data(path: &str) -> Self {
        Self {
            data: relative(path),
            ..Self::default()
        }
    }

    fn state(path: &str) -> Self {
        Self {
            state: relative(path),
            ..Self::default()
        }
    }
}

impl From<&EngineRoot> for Place {
    fn from(root: &EngineRoot) -> Self {
        let text = |path: &Option<PathBuf>| {
            let text = path.as_deref().map(Path::to_string_lossy);
            text.map_or_else(String::new, |text| relative(&text))
        };
        Self {
            data: text(&root.data),
            state: text(&root.state),
            only: None,
        }
    }
}

fn relative(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

/// One kind of state files.
pub(super) struct Row {
    /// The engines that write such.
    pub(super) engines: &'static [Engine],
    /// Programs, by `comm`, whose command lines name places.
    pub(super) daemons: &'static [&'static str],
    /// Where they are when nobody says otherwise, or the configuration file does.
    pub(super) usual: fn(&Tree) -> Vec<Place>,
    /// What a daemon tells.
    pub(super) hinted: fn(&Tree, &Daemon) -> Vec<Place>,
    /// Reads one place.
    pub(super) read: fn(&mut Search, &Place),
}

/// In this order: where two have the same first process, the earlier says more.
pub(super) const TABLE: &[Row] = &[
    Row {
        engines: &[Engine::Docker],
        daemons: &["dockerd"],
        usual: usual_docker,
        hinted: |_, daemon| hinted_docker(&daemon.arguments),
        read: |search, place| docker::read(search, &place.data, &place.state),
    },
    Row {
        engines: &[Engine::Containerd, Engine::Docker],
        daemons: &["containerd", SHIM],
        usual: usual_containerd,
        hinted: hinted_containerd,
        read: |search, place| containerd::read(search, &place.state, place.only.as_deref()),
    },
    Row {
        engines: &[Engine::Podman, Engine::Crio],
        daemons: &["conmon", "crio"],
        usual: usual_storage,
        hinted: |_, daemon| hinted_storage(&daemon.arguments),
        read: |search, place| {
            let (graph, run) = (place.data.clone(), place.state.clone());
            storage::read(search, &Storage { graph, run });
        },
    },
    Row {
        engines: &[Engine::Flatpak],
        daemons: &[],
        usual: |tree| {
            users(tree)
                .iter()
                .map(|u| Place::state(&u.runtime))
                .collect()
        },
        hinted: |_, _| Vec::new(),
        read: |search, place| flatpak::read(search, &place.state),
    },
    Row {
        engines: &[Engine::Nspawn],
        daemons: &[],
        usual: |_| vec![Place::default()],
        hinted: |_, _| Vec::new(),
        read: |search, _| nspawn::read(search),
    },
];

/// Runtime folders of users that are looked at.
const MAX_USERS: usize = 256;
/// No configuration file is longer.
const MAX_CONFIGURATION_BYTES: u64 = 256 * 1024;

/// What `/etc/docker/daemon.json` may say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DockerConfiguration {
    data_root: Option<String>,
    exec_root: Option<String>,
}

fn usual_docker(tree: &Tree) -> Vec<Place> {
    let mut places = vec![Place::data(docker::DATA)];
    if tree.has(docker_socket::PID_FILE) {
        places
            .iter_mut()
            .for_each(|place| place.state = docker_socket::SOCKET.to_owned());
    }
    let configuration = read_configuration(tree, "etc/docker/daemon.json");
    let configuration: DockerConfiguration =
        serde_json::from_str(&configuration).unwrap_or_default();
    places.extend(configuration.data_root.as_deref().map(Place::data));
    let homes = users(tree).into_iter().filter_map(|user| user.home);
    places.extend(homes.map(|home| Place::data(&format!("{home}/.local/share/docker"))));
    places
}

fn hinted_docker(arguments: &[String]) -> Vec<Place> {
    let data = option(arguments, &["--data-root", "--graph", "-g"]);
    let host = option(arguments, &["--host", "-H"]);
    let socket = host
        .as_deref()
        .and_then(|host| host.strip_prefix("unix://"));
    let place = |data: &String| Place {
        state: socket.map(relative).unwrap_or_default(),
        ..Place::data(data)
    };
    data.iter().map(place).collect()
}

fn usual_containerd(tree: &Tree) -> Vec<Place> {
    let mut places: Vec<Place> = containerd::STATES.into_iter().map(Place::state).collect();
    let docker: DockerConfiguration =
        serde_json::from_str(&read_configuration(tree, "etc/docker/daemon.json"))
            .unwrap_or_default();
    let own = docker
        .exec_root
        .map(|root| format!("{root}/containerd/daemon"));
    let configured = find_setting(
        &read_configuration(tree, "etc/containerd/config.toml"),
        "state",
    );
    places.extend(
        own.iter()
            .chain(&configured)
            .map(|state| Place::state(state)),
    );
    for user in users(tree) {
        places.push(Place::state(&format!("{}/containerd", user.runtime)));
        places.push(Place::state(&format!(
            "{}/docker/containerd/daemon",
            user.runtime
        )));
    }
    places
}

fn hinted_containerd(tree: &Tree, daemon: &Daemon) -> Vec<Place> {
    if let Some((state, only)) = containerd::split_task(&daemon.folder) {
        return vec![Place {
            only: Some(only.to_owned()),
            ..Place::state(state)
        }];
    }
    let arguments = daemon.arguments.as_slice();
    let file = option(arguments, &["--config", "-c"]);
    let file = file.map(|file| read_configuration(tree, &relative(&file)));
    let configured = file.and_then(|text| find_setting(&text, "state"));
    let state = option(arguments, &["--state"]).or(configured);
    state.iter().map(|state| Place::state(state)).collect()
}

fn usual_storage(tree: &Tree) -> Vec<Place> {
    let pair = |graph: &str, run: &str| Place {
        data: relative(graph),
        state: relative(run),
        only: None,
    };
    let mut places = vec![pair(storage::GRAPH, storage::RUN)];
    let configuration = read_configuration(tree, "etc/containers/storage.conf");
    let graph = find_setting(&configuration, "graphroot");
    let run = find_setting(&configuration, "runroot");
    if graph.is_some() || run.is_some() {
        let graph = graph.as_deref().unwrap_or(storage::GRAPH);
        places.push(pair(graph, run.as_deref().unwrap_or(storage::RUN)));
    }
    for user in users(tree) {
        let home = user.home.unwrap_or_default();
        let graph = format!("{home}/.local/share/containers/storage");
        places.push(pair(&graph, &format!("{}/containers", user.runtime)));
    }
    places
}

/// conmon is told where the bundle and the PID file are, three and four folders below the roots.
fn hinted_storage(arguments: &[String]) -> Vec<Place> {
    let up = |path: &str, count: usize| {
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.truncate(parts.len().saturating_sub(count));
        parts.join("/")
    };
    let bundle = option(arguments, &["-b", "--bundle"]);
    let file = option(arguments, &["-p", "--container-pidfile"]);
    match (bundle, file) {
        (Some(bundle), Some(file)) => vec![Place {
            data: relative(&up(&bundle, 3)),
            state: relative(&up(&file, 4)),
            only: None,
        }],
        _ => Vec::new(),
    }
}

/// A user who is logged in.
struct User {
    /// `/run/user/UID`.
    runtime: String,
    home: Option<String>,
}

/// The users with a runtime folder.
fn users(tree: &Tree) -> Vec<User> {
    let Ok(uids) = tree.list(USERS) else {
        return Vec::new();
    };
    if uids.is_empty() {
        return Vec::new();
    }
    let passwd = read_configuration(tree, "etc/passwd");
    let home = |uid: &str| {
        // passwd(5): name, password, uid, gid, comment, home, shell.
        let mut lines = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let found = lines.find(|fields| fields.get(2) == Some(&uid))?;
        found.get(5).map(|home| (*home).to_owned())
    };
    let users = uids.into_iter().take(MAX_USERS).map(|uid| User {
        home: home(&uid),
        runtime: format!("{USERS}/{uid}"),
    });
    users.collect()
}

/// A configuration file as text; empty when it cannot be read, which its engine will say.
fn read_configuration(tree: &Tree, path: &str) -> String {
    let file = tree
        .read_up_to(path, MAX_CONFIGURATION_BYTES)
        .ok()
        .flatten();
    file.map_or_else(String::new, |file| {
        String::from_utf8_lossy(&file.bytes).into_owned()
    })
}

/// The text that a TOML file gives a key, wherever it stands: these keys are unique, and a wrong
/// place is looked at in vain.
fn find_setting(text: &str, key: &str) -> Option<String> {
    let found = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then_some(value.trim())
    })?;
    let quote = found.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = found.get(1..)?.split(quote).next()?;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn command_lines_name_places() {
        let docker = hinted_docker(&words("dockerd --data-root=/srv/d --exec-root /srv/e"));
        assert_eq!(docker, [Place::data("/srv/d")]);
        let line = "conmon -c ab -b /g/overlay-containers/ab/userdata -p /r/overlay-containers/ab/userdata/pidfile -n web";
        let place = Place {
            data: "g".to_owned(),
            state: "r".to_owned(),
            only: None,
        };
        assert_eq!(hinted_storage(&words(line)), [place]);
        assert!(hinted_storage(&words("conmon -b")).is_empty());
    }

    #[test]
    fn settings_are_found_with_either_quotes() {
        let text = "version = 2\n#state = \"/no\"\n  state = '/run/x' # here\n[grpc]\n";
        assert_eq!(find_setting(text, "state").as_deref(), Some("/run/x"));
        assert_eq!(find_setting("state = 7", "state"), None);
    }
}
