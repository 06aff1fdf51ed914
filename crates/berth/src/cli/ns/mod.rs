//! `berth ns`: every namespace of the host, with who lives in it and who holds it.

mod columns;
mod tree;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::json::{NsDocument, Residents};
use berth_map::model::{Process, Wanted, WantedThreads, World};
use berth_map::ns_table::{Branch, NsFilter, NsRow, Relation, family, rows, tree, with_superiors};
use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::map::speaks_unicode;
use super::pid::sources;
use super::subject::{
    discover, existing, find_namespace, find_process, no_namespace, parse_namespace, process_spec,
    warn,
};
use super::{Context, Outcome};
use crate::terminal::terminal_size;
use crate::view::columns::{Align, Heading, Layout, lay_out};
use crate::view::json;
use columns::{Cells, Column, PROCESSES};
use tree::{TreeWord, flat, stems};

/// List namespaces: who lives in them, who holds them, whose they are.
///
/// PNS is the namespace it was made in, ONS the user namespace that owns it. NPROCS counts
/// processes, HOLDERS what keeps it alive besides: descriptors, sockets, bind mounts. PID is the
/// lowest on the host. With NS, the processes that live in that one.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  berth ns -t net            network namespaces
  berth ns -p web:7          those of PID 7 in container web
  berth ns -P                those in which nothing lives
  berth ns -T                as a tree, below the user namespaces that own them
  berth ns -t pid --tree=parent
  berth ns -rno NS,PATH      for scripts
  berth ns 4026532193        the processes in one

Columns: NS TYPE PATH NPROCS PID PPID COMMAND UID USER NETNSID NSFS PNS ONS
         LEVEL THREADS HOLDERS CONTAINER OWNERUID")]
pub(crate) struct Ns {
    /// Those of this process: a host PID, CONTAINER:PID or CONTAINER
    #[arg(short = 'p', long = "task", value_name = "PID")]
    task: Option<String>,
    /// Of this kind: mnt, net, ipc, user, pid, uts, cgroup or time; may be repeated
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Those in which no process lives
    #[arg(short = 'P', long)]
    persistent: bool,
    /// Draw a tree: process, parent or owner; owner when absent
    #[arg(short = 'T', long, value_name = "REL", num_args = 0..=1, default_missing_value = "owner")]
    tree: Option<TreeWord>,
    /// A list, as without --tree; of processes too
    #[arg(short = 'l', long, conflicts_with = "tree", hide = true)]
    list: bool,
    /// Which columns, separated by commas; +LIST adds to the usual ones
    #[arg(short = 'o', long, value_name = "LIST")]
    output: Option<String>,
    /// All columns
    #[arg(long, conflicts_with = "output")]
    output_all: bool,
    /// One space between cells; spaces, backslashes and unprintable bytes in them as \x20
    #[arg(short = 'r', long)]
    raw: bool,
    /// No headings
    #[arg(short = 'n', long)]
    noheadings: bool,
    /// Do not cut lines at the width of the terminal
    #[arg(short = 'u', long)]
    notruncate: bool,
    /// Accepted, as lsns has it: a cell is one line here
    #[arg(short = 'W', long, hide = true)]
    nowrap: bool,
    /// The documented, versioned JSON
    #[arg(short = 'J', long, conflicts_with_all = ["tree", "raw", "output", "output_all"])]
    json: bool,
    /// A namespace by its number, or as net:[4026532193]
    #[arg(value_name = "NS")]
    namespace: Option<String>,
}

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Mnt,
    Net,
    Ipc,
    User,
    Pid,
    Uts,
    Cgroup,
    Time,
}

/// What these columns, or the document, show beyond processes.
fn wanted(columns: &[Column], json: bool) -> Wanted {
    Wanted {
        threads: WantedThreads::Strays,
        holders: true,
        network_numbers: json || columns.contains(&Column::NetNsId),
        ..Wanted::default()
    }
}

impl Ns {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let sources = sources(context)?;
        let (subject, relation) = self.subject()?;
        let inode = match subject {
            Some(text) => Some(parse_namespace(text).ok_or_else(|| not_a_namespace(text))?),
            None => None,
        };
        let task = match &self.task {
            Some(text) => {
                Some(find_process(&sources, &process_spec(context, &sources, text)?)?.pid)
            }
            None => None,
        };
        let kinds: Vec<NamespaceKind> = self.kinds.iter().map(|kind| kind.kind()).collect();
        let columns = self.columns(match inode {
            Some(_) => &PROCESSES,
            None => columns::usual(&kinds),
        })?;
        let world = discover(&sources, &wanted(&columns, self.json))?;
        if let Some(pid) = task {
            existing(&world, pid)?;
        }
        if let (Some(text), Some(inode)) = (subject, inode) {
            find_namespace(&world, text, inode)?;
        }
        let filter = NsFilter {
            kinds,
            process: task,
            persistent: self.persistent,
            inode,
        };
        let table = rows(&world, &filter);
        if let Some(text) = subject.filter(|_| table.is_empty()) {
            return Err(no_namespace(text));
        }
        if self.json {
            let residents = match inode {
                Some(_) => Residents::Listed,
                None => Residents::Counted,
            };
            let document = NsDocument::new(&world, &table, residents);
            context.out.line(&json::pretty(&document))?;
            return Ok(0);
        }
        let cells = Cells::new(&world, &sources.proc, self.raw);
        let text = match inode {
            Some(_) => self.processes(&cells, &table, &columns, context),
            None => self.table(&cells, table, relation, &columns, context),
        };
        context.out.text(&text)?;
        context.out.flush()?;
        warn(context, &world);
        Ok(0)
    }

    /// The namespace that is asked for, and what a tree hangs together by.
    fn subject(&self) -> Result<(Option<&str>, Option<Relation>), Failure> {
        let subject = self.namespace.as_deref();
        match &self.tree {
            None => Ok((subject, None)),
            Some(TreeWord::Relation(relation)) => Ok((subject, Some(*relation))),
            Some(TreeWord::Other(text)) if subject.is_none() && parse_namespace(text).is_some() => {
                Ok((Some(text), Some(Relation::Owner)))
            }
            Some(TreeWord::Other(text)) => Err(Failure::usage(format!(
                "there is no tree {text:?}; give process, parent or owner"
            ))
            .on("--tree")),
        }
    }

    /// The namespaces.
    fn table(
        &self,
        cells: &Cells,
        mut table: Vec<NsRow>,
        relation: Option<Relation>,
        columns: &[Column],
        context: &Context,
    ) -> String {
        let branches = match relation {
            Some(relation) => {
                table = with_superiors(cells.world, table, relation);
                tree(cells.world, &table, relation)
            }
            None => flat(table.len()),
        };
        let drawn = relation.is_some();
        let rows = lines(&table, &branches, |row, stem| {
            let cell = |column: &Column| match (column, drawn) {
                (Column::Ns, true) => stem.to_owned() + &cells.of_namespace(row, *column),
                _ => cells.of_namespace(row, *column),
            };
            columns.iter().map(cell).collect()
        });
        let heading = |column: &Column| match (column, drawn) {
            (Column::Ns, true) => ("NS", Align::Left),
            _ => column.heading(),
        };
        let headings: Vec<Heading> = columns.iter().map(heading).collect();
        lay_out(&headings, &rows, self.layout(context))
    }

    /// The processes that live in the namespace of the table, their commands as a tree.
    fn processes(
        &self,
        cells: &Cells,
        table: &[NsRow],
        columns: &[Column],
        context: &Context,
    ) -> String {
        let mut rows = Vec::new();
        for row in table {
            let all: Vec<&Process> = residents(cells.world, row.namespace.id).collect();
            let branches = match self.raw || self.list {
                true => flat(all.len()),
                false => family(&all),
            };
            rows.extend(lines(&all, &branches, |process, stem| {
                let cell = |column: &Column| match column {
                    Column::Command => stem.to_owned() + &cells.of_resident(process, row, *column),
                    _ => cells.of_resident(process, row, *column),
                };
                columns.iter().map(cell).collect()
            }));
        }
        let headings: Vec<Heading> = columns.iter().map(|c| c.heading()).collect();
        lay_out(&headings, &rows, self.layout(context))
    }

    fn columns(&self, usual: &[Column]) -> Result<Vec<Column>, Failure> {
        match &self.output {
            Some(list) => columns::parse(list, usual),
            None if self.output_all => Ok(columns::all()),
            None => Ok(usual.to_vec()),
        }
    }

    fn layout(&self, context: &Context) -> Layout {
        let cuts = context.out.is_terminal() && !self.notruncate && !self.raw;
        let width = match terminal_size() {
            (_, 0) => None,
            (_, width) => cuts.then(|| usize::from(width)),
        };
        Layout {
            raw: self.raw,
            bare: self.noheadings,
            width,
        }
    }
}

/// The lines of a tree: what each branch is of, with the lines that lead to it.
fn lines<T>(
    all: &[T],
    branches: &[Branch],
    line: impl Fn(&T, &str) -> Vec<String>,
) -> Vec<Vec<String>> {
    let stems = stems(branches, speaks_unicode(|name| std::env::var(name).ok()));
    let pairs = branches.iter().zip(&stems);
    pairs
        .filter_map(|(branch, stem)| Some(line(all.get(branch.row)?, stem)))
        .collect()
}

/// The processes that live in a namespace.
fn residents(world: &World, id: NamespaceId) -> impl Iterator<Item = &Process> {
    let all = world.processes().iter();
    all.filter(move |process| process.namespaces.of(id.kind) == Some(id))
}

fn not_a_namespace(text: &str) -> Failure {
    Failure::usage(format!(
        "not a namespace: {text:?}; write its number as in 4026532193, or net:[4026532193]"
    ))
    .on(text)
}

impl Kind {
    const fn kind(self) -> NamespaceKind {
        match self {
            Self::Mnt => NamespaceKind::Mnt,
            Self::Net => NamespaceKind::Net,
            Self::Ipc => NamespaceKind::Ipc,
            Self::User => NamespaceKind::User,
            Self::Pid => NamespaceKind::Pid,
            Self::Uts => NamespaceKind::Uts,
            Self::Cgroup => NamespaceKind::Cgroup,
            Self::Time => NamespaceKind::Time,
        }
    }
}
