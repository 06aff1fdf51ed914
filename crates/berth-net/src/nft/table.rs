//! The transactions that install the table and change what stands in it.

use super::NftError;
use super::chains::chains;
use super::rules::{Network, Published, Rules, Tag};
use super::sets::{self, Elements, Set};
use super::transaction::Transaction;
use super::wire::INET;

/// The comment of the table. The number goes up with every change to chains, rules or the shape of
/// sets, so that a table of another version of ours is told apart.
pub(super) const COMMENT: &str = "berth: layout 2";

/// Installs everything from nothing, or in place of what there is: at no moment is a rule missing.
///
/// # Errors
/// A name, a subnet or a port of the rules is none.
pub fn install(rules: &Rules) -> Result<Transaction, NftError> {
    let mut transaction = Transaction::new(INET, &rules.tag.table());
    // To delete what may not be there, it is made first.
    transaction.make_table(COMMENT);
    transaction.delete_table();
    transaction.make_table(COMMENT);
    for set in Set::ALL {
        transaction.make_set(set);
    }
    let chains = chains(rules.transit);
    for chain in &chains {
        transaction.make_chain(chain.name, chain.entry);
    }
    for chain in &chains {
        for (text, expressions) in &chain.rules {
            transaction.add_rule(chain.name, None, text, expressions);
        }
    }
    transaction.add_elements(&elements(rules)?);
    Ok(transaction)
}

/// Every element that the rules ask for.
pub(super) fn elements(rules: &Rules) -> Result<Elements, NftError> {
    let mut elements = Elements::new();
    for network in &rules.networks {
        elements.extend(sets::of_network(network)?);
    }
    for port in &rules.published {
        elements.push(sets::of_published(port)?);
    }
    Ok(elements)
}

/// Removes the table; for one that is not there it does nothing.
#[must_use]
pub fn uninstall(tag: &Tag) -> Transaction {
    let mut transaction = Transaction::new(INET, &tag.table());
    transaction.make_table(COMMENT);
    transaction.delete_table();
    transaction
}

/// Adds a network to the installed table; one that is there already stays.
///
/// # Errors
/// A name or a subnet of it is none.
pub fn add_network(tag: &Tag, network: &Network) -> Result<Transaction, NftError> {
    let mut transaction = Transaction::new(INET, &tag.table());
    transaction.add_elements(&sets::of_network(network)?);
    Ok(transaction)
}

/// Takes a network out of the table. One that is not whole in there refuses the transaction
/// ([`NftError::Missing`]): install the table anew then.
///
/// # Errors
/// A name or a subnet of it is none.
pub fn remove_network(tag: &Tag, network: &Network) -> Result<Transaction, NftError> {
    let mut transaction = Transaction::new(INET, &tag.table());
    transaction.delete_elements(&sets::of_network(network)?);
    Ok(transaction)
}

/// Adds the published ports of a container, whatever there may be: see [`super::publish`], which
/// also clears away what a dead container left.
///
/// # Errors
/// A port is of one family and its container's address of the other.
pub(super) fn add_published(tag: &Tag, ports: &[Published]) -> Result<Transaction, NftError> {
    let mut transaction = Transaction::new(INET, &tag.table());
    let elements: Result<_, _> = ports.iter().map(sets::of_published).collect();
    transaction.add_elements(&elements?);
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use berth_base::{PublishedPort, Transport};

    use super::*;

    fn rules(containers: u8) -> Rules {
        let network = Network {
            bridge: "berth0".to_owned(),
            shards: Vec::new(),
            subnets: vec!["10.0.0.0/24".parse().unwrap()],
            internal: false,
            masquerade: true,
        };
        let published = (2..2 + containers)
            .map(|number| Published {
                port: PublishedPort {
                    transport: Transport::Tcp,
                    host_address: [0, 0, 0, 0].into(),
                    host_port: 8000 + u16::from(number),
                    container_port: 80,
                },
                container: [10, 0, 0, number].into(),
                owner: String::new(),
            })
            .collect();
        Rules {
            networks: vec![network],
            published,
            ..Rules::default()
        }
    }

    #[test]
    fn what_comes_and_goes_costs_the_same_whatever_there_is() {
        let rules = rules(200);
        let tag = &rules.tag;
        let one = add_published(tag, &rules.published[..1]).unwrap();
        assert_eq!(one.size(), (1, 1));
        let three = add_published(tag, &rules.published[..3]).unwrap();
        assert_eq!(three.size(), (1, 3));
        assert_eq!(add_published(tag, &[]).unwrap().size(), (0, 0));
        let network = &rules.networks[0];
        // Its bridge, its bridge twice, and both ends of its addresses in two sets.
        assert_eq!(add_network(tag, network).unwrap().size(), (4, 6));
        assert_eq!(remove_network(tag, network).unwrap().size(), (4, 6));
    }

    #[test]
    fn a_shard_belongs_to_its_network_in_every_set() {
        let mut network = rules(0).networks.remove(0);
        network.internal = true;
        let before = sets::of_network(&network).unwrap();
        network.shards = vec!["berth1".to_owned(), "berth2".to_owned()];
        let with = sets::of_network(&network).unwrap();
        let count = |set| with.iter().filter(|(s, _)| *s == set).count();
        assert_eq!(count(Set::Bridges), 3);
        assert_eq!(count(Set::Internal), 3);
        assert_eq!(count(Set::Within), 9);
        assert_eq!(count(Set::Shards), 2);
        assert!(before.iter().all(|element| with.contains(element)));
    }

    #[test]
    fn containers_are_elements_and_nothing_else() {
        let size = |containers| install(&rules(containers)).unwrap().size();
        let (messages, elements) = size(1);
        assert_eq!(size(200), (messages, elements + 199));
    }

    #[test]
    fn what_is_no_name_reaches_no_kernel() {
        let mut bad = rules(1);
        bad.networks[0].bridge = "a name that is too long".to_owned();
        assert!(install(&bad).is_err());
    }
}
