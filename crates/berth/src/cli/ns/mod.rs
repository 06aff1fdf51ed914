//! `berth ns`: every namespace of the host, with who lives in it and who holds it.

mod columns;

use berth_base::NamespaceKind;
use berth_map::json::{NsDocument, Residents};
use berth_map::model::{Wanted, WantedThreads, World};
use berth_map::ns_table::{Branch, NsFilter, NsRow, Relation, rows, tree};
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
use columns::{Cells, Column, PROCESSES, TABLE};

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
    #[arg(short = 'T', long, value_name = "REL", num_args = 0..=1, require_equals = true, default_missing_value = "owner")]
    tree: Option<TreeRelation>,
    /// A list, as without --tree
    #[arg(short = 'l', long, conflicts_with = "tree", hide = true)]
    list: bool,
    /// Which columns, separated by commas; +LIST adds to the usual ones
    #[arg(short = 'o', long, value_name = "LIST")]
    output: Option<String>,
    /// All columns
    #[arg(long, conflicts_with = "output")]
    output_all: bool,
    /// One space between cells, spaces in them as \x20
    #[arg(short = 'r', long)]
    raw: bool,
    /// No headings
    #[arg(short = 'n', long)]
    noheadings: bool,
    /// Do not cut lines at the width of the terminal
    #[arg(short = 'u', long)]
    notruncate: bool,
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

/// What a tree hangs together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TreeRelation {
    Process,
    Parent,
    Owner,
}

/// What this command shows beyond processes.
fn wanted() -> Wanted {
    Wanted {
        threads: WantedThreads::Strays,
        holders: true,
        ..Wanted::default()
    }
}

impl Ns {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let sources = sources(context)?;
        let inode = match &self.namespace {
            Some(text) => Some(parse_namespace(text).ok_or_else(|| not_a_namespace(text))?),
            None => None,
        };
        let task = match &self.task {
            Some(text) => {
                Some(find_process(&sources, &process_spec(context, &sources, text)?)?.pid)
            }
            None => None,
        };
        let world = discover(&sources, &wanted())?;
        if let Some(pid) = task {
            existing(&world, pid)?;
        }
        if let (Some(text), Some(inode)) = (&self.namespace, inode) {
            find_namespace(&world, text, inode)?;
        }
        let filter = NsFilter {
            kinds: self.kinds.iter().map(|kind| kind.kind()).collect(),
            process: task,
            persistent: self.persistent,
            inode,
        };
        let table = rows(&world, &filter);
        if let Some(text) = self.namespace.as_ref().filter(|_| table.is_empty()) {
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
        let cells = Cells::new(&world, &sources.proc);
        let text = match inode {
            Some(_) => self.processes(&cells, &table, context)?,
            None => self.table(&cells, &table, context)?,
        };
        context.out.text(&text)?;
        context.out.flush()?;
        warn(context, &world);
        Ok(0)
    }

    /// The namespaces.
    fn table(&self, cells: &Cells, table: &[NsRow], context: &Context) -> Result<String, Failure> {
        let columns = self.columns(&TABLE)?;
        let (branches, drawn) = match self.tree {
            Some(relation) => (tree(cells.world, table, relation.relation()), true),
            None => (flat(table.len()), false),
        };
        let marks = stems(&branches, speaks_unicode(|name| std::env::var(name).ok()));
        let rows: Vec<Vec<String>> = branches
            .iter()
            .zip(&marks)
            .filter_map(|(branch, stem)| Some((table.get(branch.row)?, stem)))
            .map(|(row, stem)| {
                let cell = |column: &Column| match (column, drawn) {
                    (Column::Ns, true) => stem.clone() + &cells.of_namespace(row, *column),
                    _ => cells.of_namespace(row, *column),
                };
                columns.iter().map(cell).collect()
            })
            .collect();
        let heading = |column: &Column| match (column, drawn) {
            (Column::Ns, true) => ("NS", Align::Left),
            _ => column.heading(),
        };
        let headings: Vec<Heading> = columns.iter().map(heading).collect();
        Ok(lay_out(&headings, &rows, self.layout(context)))
    }

    /// The processes that live in the namespaces of the table.
    fn processes(
        &self,
        cells: &Cells,
        table: &[NsRow],
        context: &Context,
    ) -> Result<String, Failure> {
        let columns = self.columns(&PROCESSES)?;
        let lives = |row: &NsRow| {
            let id = row.namespace.id;
            residents(cells.world, id)
        };
        let rows: Vec<Vec<String>> = table
            .iter()
            .flat_map(lives)
            .map(|process| {
                columns
                    .iter()
                    .map(|c| cells.of_process(process, *c))
                    .collect()
            })
            .collect();
        let headings: Vec<Heading> = columns.iter().map(|c| c.heading()).collect();
        Ok(lay_out(&headings, &rows, self.layout(context)))
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

/// The processes that live in a namespace.
fn residents(
    world: &World,
    id: berth_base::NamespaceId,
) -> impl Iterator<Item = &berth_map::Process> {
    let all = world.processes().iter();
    all.filter(move |process| process.namespaces.of(id.kind) == Some(id))
}

fn not_a_namespace(text: &str) -> Failure {
    Failure::usage(format!(
        "not a namespace: {text:?}; write its number as in 4026532193, or net:[4026532193]"
    ))
    .on(text)
}

/// The rows as they are.
fn flat(rows: usize) -> Vec<Branch> {
    let branch = |row| Branch {
        row,
        depth: 0,
        is_last: true,
    };
    (0..rows).map(branch).collect()
}

/// The lines that lead from the root to each branch.
fn stems(branches: &[Branch], unicode: bool) -> Vec<String> {
    let (tee, corner, bar) = if unicode {
        ("├─", "└─", "│ ")
    } else {
        ("|-", "`-", "| ")
    };
    let mut open: Vec<bool> = Vec::new();
    let mut stems = Vec::with_capacity(branches.len());
    for branch in branches {
        open.truncate(branch.depth);
        let mut stem = String::new();
        if branch.depth > 0 {
            for is_open in open.iter().skip(1) {
                stem.push_str(if *is_open { bar } else { "  " });
            }
            stem.push_str(if branch.is_last { corner } else { tee });
        }
        open.push(!branch.is_last);
        stems.push(stem);
    }
    stems
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

impl TreeRelation {
    const fn relation(self) -> Relation {
        match self {
            Self::Process => Relation::Process,
            Self::Parent => Relation::Parent,
            Self::Owner => Relation::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_follow_the_tree() {
        let branch = |row, depth, is_last| Branch {
            row,
            depth,
            is_last,
        };
        let branches = [
            branch(0, 0, true),
            branch(1, 1, false),
            branch(2, 2, true),
            branch(3, 1, true),
            branch(4, 2, true),
        ];
        assert_eq!(stems(&branches, true), ["", "├─", "│ └─", "└─", "  └─"]);
        assert_eq!(stems(&branches, false), ["", "|-", "| `-", "`-", "  `-"]);
    }
}
