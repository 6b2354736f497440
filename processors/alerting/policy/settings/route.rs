//! `route`: the tree that says who is told of which alerts, together with which, and when.

use std::collections::{BTreeMap, BTreeSet};

use catchment_pipeline::alerts::{Labels, Matcher};
use catchment_pipeline::config::Section;

use super::interval::Interval;
use super::{DEFAULT, HOUR, MINUTE, SECOND, matchers, nanos};

/// Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Route {
    /// What notifications' group keys begin with, as in Alertmanager: `{}/{severity="page"}`.
    pub key: String,
    /// Different for each route, and the same as long as the tree around it is.
    pub id: String,
    pub matchers: Vec<Matcher>,
    pub receiver: String,
    pub group_by: GroupBy,
    pub group_wait: i64,
    pub group_interval: i64,
    pub repeat_interval: i64,
    pub mute: Vec<String>,
    pub active: Vec<String>,
    /// `escalate`: who else is told when nobody acknowledges.
    pub ladder: Vec<Step>,
    /// `continue`.
    pub goes_on: bool,
    /// Positions in [`super::Settings::routes`].
    pub children: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    All,
    Labels(BTreeSet<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Since the group was first told of; nanoseconds.
    pub after: i64,
    pub receiver: String,
}

impl Default for Route {
    fn default() -> Route {
        Route {
            key: "{}".to_owned(),
            id: "{}".to_owned(),
            matchers: Vec::new(),
            receiver: DEFAULT.to_owned(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait: 30 * SECOND,
            group_interval: 5 * MINUTE,
            repeat_interval: 4 * HOUR,
            mute: Vec::new(),
            active: Vec::new(),
            ladder: Vec::new(),
            goes_on: false,
            children: Vec::new(),
        }
    }
}

impl Route {
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.iter().filter(|(name, _)| names.contains(*name)).collect(),
        }
    }

    /// As its parent says, but for what is not inherited.
    pub(super) fn child(&self, matchers: Vec<Matcher>, position: usize) -> Route {
        Route {
            key: format!("{}/{}", self.key, matchers::text(&matchers)),
            id: format!("{}/{}/{position}", self.id, matchers::text(&matchers)),
            matchers,
            goes_on: false,
            mute: Vec::new(),
            active: Vec::new(),
            children: Vec::new(),
            ..self.clone()
        }
    }
}

/// Of the whole tree, and how deep it may be.
const MOST: usize = 10_000;
const DEEPEST: usize = 32;

pub fn read_all(section: &mut Section, intervals: &BTreeMap<String, Vec<Interval>>) -> Vec<Route> {
    let mut tree = Tree { routes: Vec::new(), intervals };
    match section.section("route") {
        Some(root) => tree.root(root),
        None => tree.routes.push(Route::default()),
    }
    tree.routes
}

struct Tree<'a> {
    routes: Vec<Route>,
    intervals: &'a BTreeMap<String, Vec<Interval>>,
}

impl Tree<'_> {
    fn root(&mut self, mut section: Section) {
        for key in ["matchers", "match", "match_re", "continue", "mute_time_intervals", "active_time_intervals"] {
            if section.has(key) {
                section.mistake(
                    key,
                    format!("the root route takes every alert, and cannot have `{key}`"),
                    "move it to a route below, under `routes:`",
                );
            }
            section.get::<catchment_pipeline::config::Node>(key);
        }
        let mut root = Route::default();
        self.settings(&mut section, &mut root);
        self.add(root, section, 0);
    }

    fn add(&mut self, route: Route, mut section: Section, depth: usize) -> usize {
        let index = self.routes.len();
        self.routes.push(route);
        for (position, child) in section.list("routes").into_iter().enumerate() {
            if depth + 1 >= DEEPEST || self.routes.len() >= MOST {
                child.mistake(
                    "",
                    format!("the tree of routes has more than {MOST} routes or {DEEPEST} levels"),
                    "make it smaller",
                );
                break;
            }
            let below = self.child(index, child, position, depth + 1);
            if let Some(route) = self.routes.get_mut(index) {
                route.children.push(below);
            }
        }
        index
    }

    fn child(&mut self, parent: usize, mut section: Section, position: usize, depth: usize) -> usize {
        let matchers = matchers::read(&mut section, "");
        let parent = self.routes.get(parent).cloned().unwrap_or_default();
        let mut route = parent.child(matchers, position);
        route.goes_on = section.or("continue", false);
        route.mute = self.names(&mut section, "mute_time_intervals");
        route.active = self.names(&mut section, "active_time_intervals");
        self.settings(&mut section, &mut route);
        self.add(route, section, depth)
    }

    fn names(&self, section: &mut Section, key: &str) -> Vec<String> {
        let names = section.get::<Vec<String>>(key).unwrap_or_default();
        for name in names.iter().filter(|name| !self.intervals.contains_key(*name)) {
            let mend = format!("add it under `time_intervals:` - name: {name}");
            section.mistake(key, format!("there is no time interval called \"{name}\""), mend);
        }
        names
    }

    fn settings(&self, section: &mut Section, route: &mut Route) {
        if let Some(receiver) = section.get::<String>("receiver") {
            route.receiver = receiver;
        }
        if let Some(names) = section.get::<Vec<String>>("group_by") {
            let all = names.iter().any(|name| name == "...");
            if all && names.len() > 1 {
                section.mistake(
                    "group_by",
                    "'...' stands for all labels, and others are beside it",
                    "write group_by: ['...']",
                );
            }
            route.group_by = if all { GroupBy::All } else { GroupBy::Labels(names.into_iter().collect()) };
        }
        route.group_wait = nanos(section, "group_wait", route.group_wait, false);
        route.group_interval = nanos(section, "group_interval", route.group_interval, true);
        route.repeat_interval = nanos(section, "repeat_interval", route.repeat_interval, true);
        if section.has("escalate") {
            route.ladder = ladder(section);
        }
    }
}

fn ladder(section: &mut Section) -> Vec<Step> {
    let mut steps = Vec::<Step>::new();
    for mut item in section.list("escalate") {
        let after = item.required::<std::time::Duration>("after");
        let (Some(after), Some(receiver)) = (after, item.required::<String>("receiver")) else { continue };
        let after = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
        if steps.last().is_some_and(|last| last.after > after) {
            item.mistake(
                "after",
                "a later step of the ladder comes before the one above it",
                "order the steps by `after`, each counted from the first notification",
            );
        }
        steps.push(Step { after, receiver });
    }
    steps
}
