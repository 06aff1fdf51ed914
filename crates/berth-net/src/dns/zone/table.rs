//! The names of one network, from its leases. Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use berth_base::ContainerId;

use crate::lease::Lease;

/// Names and addresses of one network.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// What each lease's file says, whether its container runs or not.
    leases: HashMap<Rc<str>, Entry>,
    /// The names of those that run.
    names: HashMap<Box<[u8]>, Group>,
    reverse: HashMap<IpAddr, Rc<str>>,
}

/// What a lease stands for here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    container: ContainerId,
    /// In lower case, without repetition; the first is the container's name.
    names: Vec<Box<[u8]>>,
    /// The container's name as it was given.
    name: Rc<str>,
    addresses: Vec<IpAddr>,
}

/// The containers with one name.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    /// Whose turn it is to be named first. Two, since clients ask for both families in turn, which
    /// would let them see every other member only.
    turns: [usize; 2],
}

#[derive(Debug)]
struct Member {
    file: Rc<str>,
    address: IpAddr,
}

/// The families of addresses that a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
    /// ANY.
    Both,
}

impl Family {
    fn has(self, address: &IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Both => true,
        }
    }
}

impl Entry {
    fn of(lease: &Lease) -> Self {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let aliases = lease.aliases.iter().map(String::as_str);
        let all = [lease.name.as_str(), lease.container.short()];
        for name in all.into_iter().chain(aliases) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let name = name.into_bytes().into_boxed_slice();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        Self {
            container: lease.container.clone(),
            names,
            name: lease.name.as_str().into(),
            addresses: lease.addresses().collect(),
        }
    }
}

impl Table {
    /// Takes in what a lease's file says now; `None`: it is gone. `runs` says which containers'
    /// names count.
    pub(crate) fn set(
        &mut self,
        file: &str,
        lease: Option<&Lease>,
        runs: impl FnOnce(&ContainerId) -> bool,
    ) {
        // A lease with two addresses has a file under each, of which the first counts.
        let key = lease.and_then(|lease| lease.addresses().next());
        let counts = |_: &&Lease| key.is_some_and(|key| key.to_string() == file);
        let entry = lease.filter(counts).map(Entry::of);
        if self.leases.get(file) == entry.as_ref() {
            return;
        }
        if let Some(entry) = self.leases.remove(file) {
            self.hide(file, &entry);
        }
        if let Some(entry) = entry {
            let file: Rc<str> = file.into();
            if runs(&entry.container) {
                self.show(&file, &entry);
            }
            self.leases.insert(file, entry);
        }
    }

    /// Shows or hides the names of a container that began or ended.
    pub(crate) fn set_running(&mut self, container: &ContainerId, runs: bool) {
        let leases = std::mem::take(&mut self.leases);
        for (file, entry) in leases.iter().filter(|(_, e)| e.container == *container) {
            self.hide(file, entry);
            if runs {
                self.show(file, entry);
            }
        }
        self.leases = leases;
    }

    fn show(&mut self, file: &Rc<str>, entry: &Entry) {
        for name in &entry.names {
            let group = self.names.entry(name.clone()).or_default();
            let members = entry.addresses.iter().map(|address| Member {
                file: Rc::clone(file),
                address: *address,
            });
            group.members.extend(members);
        }
        for address in &entry.addresses {
            self.reverse.insert(*address, Rc::clone(&entry.name));
        }
    }

    fn hide(&mut self, file: &str, entry: &Entry) {
        for name in &entry.names {
            if let Some(group) = self.names.get_mut(name) {
                group.members.retain(|member| &*member.file != file);
                if group.members.is_empty() {
                    self.names.remove(name);
                }
            }
        }
        for address in &entry.addresses {
            self.reverse.remove(address);
        }
    }

    /// Takes out what comes from other files than these.
    pub(crate) fn keep(&mut self, files: &[String]) {
        let is_gone = |file: &&Rc<str>| !files.iter().any(|kept| **kept == ***file);
        let gone: Vec<Rc<str>> = self.leases.keys().filter(is_gone).cloned().collect();
        for file in gone {
            self.set(&file, None, |_| false);
        }
    }

    /// The addresses of a name in lower case, each time beginning with the next; `None` when
    /// nothing has that name.
    pub(crate) fn addresses(
        &mut self,
        name: &[u8],
        family: Family,
    ) -> Option<impl Iterator<Item = IpAddr>> {
        let group = self.names.get_mut(name)?;
        let [even, odd] = &mut group.turns;
        let turn = if family == Family::V6 { odd } else { even };
        let members = group.members.iter();
        let addresses = members
            .map(|member| member.address)
            .filter(move |address| family.has(address));
        let count = addresses.clone().count();
        let first = turn.checked_rem(count).unwrap_or(0);
        *turn = first + 1;
        Some(addresses.cycle().skip(first).take(count))
    }

    /// The name of the container that has an address, as it was given.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.reverse.get(&address).map(|name| &**name)
    }
}
