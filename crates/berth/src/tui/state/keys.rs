//! What keys do.

use berth_base::NamespaceKind;
use berth_map::draw::{Inodes, KernelThreads, Order};

use super::{Action, Clock, Filter, LENSES, Matches, Panel, State};
use crate::tui::input::{Input, Key};
use crate::tui::layout::timeline_columns;
use crate::tui::view::{help_lines, help_window};

/// The longest text that a prompt takes.
const MOST_TEXT: usize = 200;

impl State {
    /// The user did something.
    pub(crate) fn input(&mut self, input: Input) -> Action {
        let action = match input {
            Input::Key(key) => self.key(key),
            Input::Click(pointer) => self.click(pointer),
            Input::Drag(pointer) => self.drag(pointer),
            Input::Wheel(pointer, lines) => self.wheel(pointer, lines),
        };
        self.divide();
        action
    }

    fn key(&mut self, key: Key) -> Action {
        match key {
            Key::Control('c') => return Action::Quit,
            Key::Control('z') => return Action::Suspend,
            Key::Control('l') => return Action::Repaint,
            _ => {}
        }
        match self.panel {
            Panel::None => return self.key_in_tree(key),
            Panel::Search { .. } => self.key_in_search(key),
            Panel::Filter { .. } => self.key_in_filter(key),
            Panel::Help { .. } => self.key_in_help(key),
        }
        Action::Paint
    }

    fn key_in_tree(&mut self, key: Key) -> Action {
        match key {
            Key::Char('q') => return Action::Quit,
            Key::Escape => return self.escape(),
            Key::Up | Key::Char('k') | Key::Control('p') => self.tree.go(-1),
            Key::Down | Key::Char('j') | Key::Control('n') => self.tree.go(1),
            Key::PageUp | Key::Control('b' | 'u') => self.tree.page(-1),
            Key::PageDown | Key::Control('f' | 'd') => self.tree.page(1),
            Key::Char('g') => self.tree.go(isize::MIN),
            Key::Char('G') => self.tree.go(isize::MAX),
            Key::Enter | Key::Char(' ') => self.tree.toggle(),
            Key::Char('z') => self.tree.toggle_boxes(),
            Key::Left => self.step(-1),
            Key::Right => self.step(1),
            Key::Home => match self.play_from(|played| played.span.0) {
                Some(action) => return action,
                None => self.travel(Clock::go_back),
            },
            Key::End => match self.play_from(|played| played.span.1) {
                Some(action) => return action,
                None => self.travel(Clock::go_live),
            },
            Key::Char(c @ ('p' | '<' | '>' | '{' | '}')) => return self.play(c),
            Key::Tab => self.turn_lens(1),
            Key::BackTab => self.turn_lens(LENSES.len() - 1),
            Key::Char(c) => self.letter(c),
            _ => {}
        }
        self.details_top = match key {
            Key::Char('J' | 'K') => self.details_top,
            _ => 0,
        };
        Action::Paint
    }

    fn letter(&mut self, letter: char) {
        match letter {
            '/' => {
                self.panel = Panel::Search {
                    text: String::new(),
                    matches: Matches::default(),
                    chosen: 0,
                }
            }
            'n' => self.next_match(1),
            'N' => self.next_match(-1),
            'f' => {
                self.panel = Panel::Filter {
                    text: String::new(),
                    error: None,
                }
            }
            'e' => self.filter_by_engine(),
            'c' => self.filter_by_container(),
            '[' => self.travel(|clock| clock.step_event(false)),
            ']' => self.travel(|clock| clock.step_event(true)),
            's' => self.turn_order(),
            'd' => self.details = Some(!self.shows_details()),
            'J' => self.details_top = self.details_top.saturating_add(1),
            'K' => self.details_top = self.details_top.saturating_sub(1),
            'v' => self.toggle_commands(),
            'a' => self.toggle_kernel_threads(),
            'i' => self.toggle_inodes(),
            '?' | 'h' => self.panel = Panel::Help { top: 0 },
            _ => {}
        }
    }

    /// Takes back what was done last; leaves where there is nothing.
    fn escape(&mut self) -> Action {
        if self.found.take().is_some() {
            return Action::Paint;
        }
        if self.clock.ago().is_some() {
            self.travel(Clock::go_live);
            return Action::Paint;
        }
        Action::Quit
    }

    /// Moves by a column of the timeline.
    fn step(&mut self, columns: isize) {
        let area = self.layout.and_then(|layout| layout.timeline);
        let width = area.map_or(self.screen.width, |area| timeline_columns(area).width);
        self.travel(|clock| clock.step(columns, width));
    }

    fn turn_lens(&mut self, by: usize) {
        let at = LENSES.iter().position(|lens| *lens == self.lens);
        let next = at.map_or(0, |at| (at + by) % LENSES.len());
        if let Some(lens) = LENSES.get(next) {
            self.set_lens(*lens);
        }
    }

    pub(super) fn set_lens(&mut self, lens: NamespaceKind) {
        let chosen = self.chosen_pid();
        self.lens = lens;
        self.redraw();
        if let Some(pid) = chosen {
            self.tree.reveal(pid);
        }
    }

    fn turn_order(&mut self) {
        self.order = match self.order {
            Order::Pid => Order::Start,
            Order::Start => Order::Name,
            Order::Name => Order::Processes,
            Order::Processes => Order::Container,
            Order::Container => Order::Pid,
        };
        self.redraw();
    }

    fn filter_by_engine(&mut self) {
        let Some(world) = self.world() else { return };
        let next = Filter::next_engine(self.filter.as_ref(), world);
        if next.is_none() && self.filter.is_none() {
            self.notify("no engine has containers here");
        }
        self.set_filter(next);
    }

    /// Shows the container of the chosen line alone; everything, when that is shown already.
    fn filter_by_container(&mut self) {
        if self.filter.as_ref().is_some_and(Filter::is_container) {
            return self.set_filter(None);
        }
        let container = self
            .world()
            .zip(self.chosen_pid())
            .and_then(|(world, pid)| {
                let index = world.owner(pid)?;
                Some(Filter::container(world.container(index)?))
            });
        match container {
            Some(filter) => self.set_filter(Some(filter)),
            None => self.notify("the chosen line belongs to no container"),
        }
    }

    pub(super) fn set_filter(&mut self, filter: Option<Filter>) {
        let chosen = self.chosen_pid();
        self.filter = filter;
        self.redraw();
        if let Some(pid) = chosen {
            self.tree.reveal(pid);
        }
    }

    fn toggle_commands(&mut self) {
        self.commands = !self.commands;
        if self.commands {
            self.details = Some(true);
        }
    }

    fn toggle_kernel_threads(&mut self) {
        self.settings.kernel_threads = match self.settings.kernel_threads {
            KernelThreads::Folded => KernelThreads::Listed,
            KernelThreads::Listed => KernelThreads::Folded,
        };
        self.redraw();
    }

    fn toggle_inodes(&mut self) {
        self.settings.inodes = match self.settings.inodes {
            Inodes::Hidden => Inodes::Shown,
            Inodes::Shown => Inodes::Hidden,
        };
        self.redraw();
    }

    fn key_in_help(&mut self, key: Key) {
        match key {
            Key::Down | Key::Char('j') => self.scroll_help(1),
            Key::Up | Key::Char('k') => self.scroll_help(-1),
            Key::PageDown | Key::Char(' ') => self.scroll_help(10),
            Key::PageUp => self.scroll_help(-10),
            _ => self.panel = Panel::None,
        }
    }

    pub(super) fn scroll_help(&mut self, lines: isize) {
        let most = help_lines(self).saturating_sub(help_window(self.screen));
        if let Panel::Help { top } = &mut self.panel {
            *top = top.saturating_add_signed(lines).min(most);
        }
    }

    fn key_in_filter(&mut self, key: Key) {
        let Panel::Filter { text, error } = &mut self.panel else {
            return;
        };
        match key {
            Key::Enter if text.trim().is_empty() => {
                self.panel = Panel::None;
                self.set_filter(None);
            }
            Key::Enter => match Filter::parse(text) {
                Ok(filter) => {
                    self.panel = Panel::None;
                    self.set_filter(Some(filter));
                }
                Err(why) => *error = Some(why),
            },
            Key::Escape => self.panel = Panel::None,
            _ => {
                *error = None;
                edit(text, key);
            }
        }
    }

    fn key_in_search(&mut self, key: Key) {
        let Panel::Search {
            text,
            matches,
            chosen,
        } = &mut self.panel
        else {
            return;
        };
        let last = matches.all.len().saturating_sub(1);
        match key {
            Key::Up | Key::BackTab | Key::Control('p') => *chosen = chosen.saturating_sub(1),
            Key::Down | Key::Tab | Key::Control('n') => *chosen = (*chosen + 1).min(last),
            Key::PageUp => *chosen = chosen.saturating_sub(10),
            Key::PageDown => *chosen = (*chosen + 10).min(last),
            Key::Enter => {
                let (matches, chosen) = (std::mem::take(matches), *chosen);
                self.panel = Panel::None;
                self.go_to(matches, chosen);
            }
            Key::Escape => self.panel = Panel::None,
            _ => {
                edit(text, key);
                *chosen = 0;
                self.search_again();
            }
        }
    }

    /// Looks again for what is being looked for: the text or the host has changed.
    pub(super) fn search_again(&mut self) {
        let Some(world) = self.world.clone() else {
            return;
        };
        if let Panel::Search {
            text,
            matches,
            chosen,
        } = &mut self.panel
        {
            *matches = Matches::find(&world, text);
            *chosen = (*chosen).min(matches.all.len().saturating_sub(1));
        }
    }

    /// Goes to a match, and remembers all of them.
    pub(super) fn go_to(&mut self, matches: Matches, chosen: usize) {
        let Some(found) = matches.all.get(chosen) else {
            if !matches.text.is_empty() {
                self.notify(matches.sentence());
            }
            return;
        };
        let pid = found.pid;
        if !self.tree.reveal(pid) && self.filter.is_some() {
            self.filter = None;
            self.redraw();
            self.notify("the filter is off: it hid what was found");
        }
        if !self.tree.reveal(pid) {
            self.notify(format!("{pid} has ended"));
        }
        self.found = Some((matches, chosen));
    }

    fn next_match(&mut self, by: isize) {
        let Some((before, chosen)) = self.found.take() else {
            self.notify("nothing was looked for yet: / begins a search");
            return;
        };
        let Some(world) = self.world() else { return };
        // The host has changed since: look anew, and go on from where we were.
        let matches = Matches::find(world, &before.text);
        let count = matches.all.len();
        if count == 0 {
            self.notify(matches.sentence());
            return;
        }
        let here = before.all.get(chosen).map(|found| found.pid);
        let at = matches.all.iter().position(|m| Some(m.pid) == here);
        let next = match (at, by < 0) {
            (Some(at), false) => (at + 1) % count,
            (Some(at), true) => (at + count - 1) % count,
            (None, _) => chosen.min(count - 1),
        };
        self.go_to(matches, next);
    }
}

/// Types a key into a text.
fn edit(text: &mut String, key: Key) {
    match key {
        Key::Char(c) if text.len() < MOST_TEXT && !c.is_control() => text.push(c),
        Key::Backspace => drop(text.pop()),
        Key::Control('u') => text.clear(),
        Key::Control('w') => {
            let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
            text.truncate(kept);
        }
        _ => {}
    }
}
