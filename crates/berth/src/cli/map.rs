//! `berth map`: the processes of the host as a tree, one PID column per level.

mod live;
mod serve;
mod watch;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use berth_base::{ErrorClass, NamespaceKind, escape_untrusted};
use berth_map::discover::Sources;
use berth_map::draw::{Color, Inodes, KernelThreads, MapOptions, Style, Threads, map};
use berth_map::json::{Layout, MapDocument, MapRequest, to_text};
use berth_map::model::{Wanted, WantedThreads, World};
use berth_map::scope::{Scope, ScopeError, Selection};
use berth_map::svg::PictureOptions;
use berth_map::translate::PidSpec;
use berth_map::{dot, svg};
use clap::Args;

use super::failure::Failure;
use super::pid::{check_runs, sources};
use super::{Context, Outcome};
use crate::terminal::terminal_size;

/// Width of the picture where no terminal gives one.
const WIDTH: usize = 100;

/// Draw all processes, their namespaces and their PIDs at each level.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "\
  berth map                  the whole host
  berth map web              container web, and what is above it
  berth map web:7            PID 7 in web, and what it started
  berth map net:4026532300   who lives in a namespace
  berth map docker --ns net  Docker's containers by network namespace
  berth map --svg map.svg    the picture for a browser
  berth map --serve          live, as a web page
  berth map --watch          live, full screen; ? shows the keys
  berth map --record FILE    write what happens; --replay FILE shows it")]
pub(crate) struct Map {
    /// The documented, versioned JSON instead of the picture
    #[arg(long, conflicts_with_all = ["svg", "dot"])]
    json: bool,
    /// Write an SVG picture to FILE; - for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "dot")]
    svg: Option<String>,
    /// A graph for Graphviz instead of the picture
    #[arg(long)]
    dot: bool,
    /// Watch it live, full screen: search, scroll, details
    #[arg(long, conflicts_with_all = ["json", "svg", "dot"])]
    watch: bool,
    /// Write what happens to FILE until Ctrl-C; with --watch, meanwhile
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "svg", "dot"])]
    record: Option<PathBuf>,
    /// Watch what was written to FILE instead of this host
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "svg", "dot", "record"])]
    replay: Option<PathBuf>,
    /// Draw boxes for this kind of namespace
    #[arg(long = "ns", value_name = "KIND", default_value = "pid", value_parser = parse_kind)]
    lens: NamespaceKind,
    /// A line for each thread
    #[arg(long)]
    threads: bool,
    /// With --json, the mounts of every mount namespace
    #[arg(long, requires = "json")]
    mounts: bool,
    /// A line for each kernel thread
    #[arg(short, long)]
    all: bool,
    /// Show the numbers of namespaces
    #[arg(long)]
    inodes: bool,
    /// Draw with ASCII characters alone
    #[arg(long)]
    ascii: bool,
    /// No colours, though a terminal could show them
    #[arg(long)]
    no_color: bool,
    /// Width in characters; the terminal's when absent
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    #[command(flatten)]
    page: serve::PageFlags,
    /// A container, a PID (31995, web:7), a namespace (net:4026532300) or an engine (docker)
    #[arg(value_name = "SCOPE")]
    scope: Option<String>,
}

impl Map {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if self.page.is_asked() {
            return self.serve(context);
        }
        if self.watch || self.replay.is_some() {
            return self.watch(context);
        }
        if self.record.is_some() {
            return self.record(context);
        }
        let scope = self.scope.as_deref().map(str::parse::<Scope>).transpose()?;
        if let Some(container) = scope.as_ref().and_then(container_of) {
            check_runs(context, container)?;
        }
        let (world, selection) = self.look(&sources(context)?, scope.as_ref())?;
        if self.json {
            // Indented for eyes; a program reads the compact form in half the time.
            let layout = match context.out.is_terminal() {
                true => Layout::Indented,
                false => Layout::Compact,
            };
            let text = self.document(&world, &selection, layout)?;
            context.out.line(&text)?;
            return Ok(0);
        }
        if self.dot {
            context
                .out
                .text(&dot::write(&world, &self.picture(selection)))?;
        } else if let Some(file) = &self.svg {
            let text = svg::write(&world, &self.picture(selection));
            self.save(context, file, &text)?;
        } else {
            let options = self.options(selection, context.out.is_terminal());
            // The drawing has escaped all that is not its own.
            context.out.bytes(map(&world, &options).as_bytes())?;
        }
        context.out.flush()?;
        context.warn_all(world.warnings());
        Ok(0)
    }

    /// Reads the host, and selects what is to be shown. The mounts of the namespaces that are
    /// part of it take a second reading: the first one tells which those are.
    fn look(
        &self,
        sources: &Sources,
        scope: Option<&Scope>,
    ) -> Result<(World, Selection), Failure> {
        let mut wanted = self.wanted();
        if self.mounts {
            let world = discover(sources, &Wanted::default())?;
            let selection = select(&world, scope)?;
            let all = world.namespaces().map(|namespace| namespace.id);
            let all = all.filter(|id| id.kind == NamespaceKind::Mnt);
            wanted.mounts = all.filter(|id| selection.has_namespace(*id)).collect();
        }
        let world = discover(sources, &wanted)?;
        let selection = select(&world, scope)?;
        Ok((world, selection))
    }

    /// Which details to read.
    fn wanted(&self) -> Wanted {
        Wanted {
            threads: match self.threads {
                true => WantedThreads::All,
                false => WantedThreads::Strays,
            },
            id_maps: self.json,
            ..Wanted::everything()
        }
    }

    fn document(
        &self,
        world: &World,
        selection: &Selection,
        layout: Layout,
    ) -> Result<String, Failure> {
        let request = MapRequest {
            scope: self.scope.as_deref(),
            selection,
        };
        to_text(&MapDocument::new(world, &request), layout)
            .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))
    }

    fn save(&self, context: &mut Context, file: &str, text: &str) -> Result<(), Failure> {
        if file == "-" {
            return context.out.text(text);
        }
        let written = File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            let name = escape_untrusted(file).into_owned();
            let message = format!("cannot write the picture to {name}: {error}");
            Failure::new(ErrorClass::Unavailable, message).on(name)
        })
    }

    fn options(&self, selection: Selection, is_terminal: bool) -> MapOptions {
        let terminal = match terminal_size() {
            (_, 0) => WIDTH,
            (_, columns) => usize::from(columns),
        };
        let variable = |name: &str| std::env::var(name).ok();
        MapOptions {
            width: self.width.map_or(terminal, usize::from),
            style: if self.ascii || !speaks_unicode(variable) {
                Style::Ascii
            } else {
                Style::Unicode
            },
            color: if is_terminal && !self.no_color && wants_color(variable) {
                Color::Always
            } else {
                Color::Never
            },
            lens: self.lens,
            selection,
            kernel_threads: self.kernel_threads(),
            threads: self.wanted_threads(),
            inodes: self.inodes(),
        }
    }

    fn picture(&self, selection: Selection) -> PictureOptions {
        PictureOptions {
            lens: self.lens,
            selection,
            kernel_threads: self.kernel_threads(),
            threads: self.wanted_threads(),
            inodes: self.inodes(),
        }
    }

    fn kernel_threads(&self) -> KernelThreads {
        if self.all {
            KernelThreads::Listed
        } else {
            KernelThreads::Folded
        }
    }

    fn wanted_threads(&self) -> Threads {
        if self.threads {
            Threads::All
        } else {
            Threads::Strays
        }
    }

    fn inodes(&self) -> Inodes {
        if self.inodes {
            Inodes::Shown
        } else {
            Inodes::Hidden
        }
    }
}

/// Reads the host, and of its details those that are wanted.
fn discover(sources: &Sources, wanted: &Wanted) -> Result<World, Failure> {
    Ok(World::discover_with(sources, wanted)?)
}

fn select(world: &World, scope: Option<&Scope>) -> Result<Selection, Failure> {
    match scope {
        Some(scope) => Ok(world.select(scope)?),
        None => Ok(Selection::default()),
    }
}

/// The container that a scope names.
fn container_of(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::Container(container) | Scope::Process(PidSpec::Inside { container, .. }) => {
            Some(container)
        }
        Scope::Engine(_) | Scope::Namespace(_) | Scope::Process(PidSpec::Host(_)) => None,
    }
}

fn parse_kind(text: &str) -> Result<NamespaceKind, String> {
    let mut kinds = NamespaceKind::ALL.into_iter();
    kinds.find(|kind| kind.as_str() == text).ok_or_else(|| {
        let names = NamespaceKind::ALL.map(NamespaceKind::as_str);
        format!("must be one of {}", names.join(", "))
    })
}

impl From<ScopeError> for Failure {
    fn from(error: ScopeError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

/// Whether the environment lets a terminal be coloured (no-color.org; a dumb terminal cannot).
fn wants_color(variable: impl Fn(&str) -> Option<String>) -> bool {
    let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !refused && !dumb
}

/// Whether the locale is a UTF-8 one (locale(7): LC_ALL, else LC_CTYPE, else LANG).
pub(super) fn speaks_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(pairs: &[(&str, &str)], ask: impl Fn(&dyn Fn(&str) -> Option<String>) -> T) -> T {
        ask(&|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_locale_decides() {
        let unicode = |pairs: &[(&str, &str)]| with(pairs, |variable| speaks_unicode(variable));
        assert!(unicode(&[("LANG", "de_DE.UTF-8")]));
        assert!(unicode(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!unicode(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
        assert!(unicode(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]));
        assert!(!unicode(&[]));
    }

    #[test]
    fn colour_can_be_refused() {
        let color = |pairs: &[(&str, &str)]| with(pairs, |variable| wants_color(variable));
        assert!(color(&[("TERM", "xterm-256color")]));
        assert!(color(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!color(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!color(&[("TERM", "dumb")]));
        assert!(!color(&[]));
    }
}
