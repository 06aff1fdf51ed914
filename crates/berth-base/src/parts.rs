//! Work on many things, shared among a few threads that have ended afterwards.

use std::num::NonZero;

/// More threads than that wait for each other.
const MOST: usize = 8;

/// Does some work on parts of a list, at once where it is long, and answers what each part came to, in
/// order. A list of fewer than `few` is one part: making a thread would take longer.
///
/// # Panics
/// As `work` does.
pub fn in_parts<'a, T: Sync, R: Send>(
    list: &'a [T],
    few: usize,
    work: impl Fn(&'a [T]) -> R + Sync,
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(MOST);
    if list.len() < few || threads == 1 {
        return vec![work(list)];
    }
    let (mine, others) = list.split_at(list.len().div_ceil(threads));
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = others
            .chunks(mine.len().max(1))
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        let mut done = vec![work(mine)];
        done.extend(others.into_iter().map(|other| {
            // A panic of another is one of ours.
            other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }));
        done
    })
}

#[cfg(test)]
mod tests {
    use super::in_parts;

    #[test]
    fn all_of_it_is_done_once_and_in_order() {
        for length in [0, 1, 2, 3, 7, 64, 1000] {
            let list: Vec<usize> = (0..length).collect();
            for few in [0, 3, 2000] {
                let done = in_parts(&list, few, |part| part.to_vec());
                assert_eq!(done.concat(), list, "{length} {few}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "of a part")]
    fn a_panic_is_passed_on() {
        let list: Vec<usize> = (0..100).collect();
        in_parts(&list, 0, |part| {
            assert!(!part.contains(&99), "of a part");
        });
    }
}
