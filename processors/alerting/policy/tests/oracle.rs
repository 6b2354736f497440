//! What Alertmanager's documentation says of routes, groups, repetition, inhibition, silences and mute times, as plainly as can be: nothing is indexed, nothing is
//! remembered but what must be. Times are whole seconds. Shares no code with what it is held against.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<&'static str, &'static str>;
/// Label, value, and whether it must be that.
pub type Condition = (&'static str, &'static str, bool);

pub fn hold(conditions: &[Condition], labels: &Labels) -> bool {
    conditions.iter().all(|(name, value, equal)| (labels.get(name).copied().unwrap_or("") == *value) == *equal)
}

/// What is `None` is inherited.
#[derive(Clone, Debug, Default)]
pub struct Route {
    pub conditions: Vec<Condition>,
    pub receiver: Option<&'static str>,
    pub group_by: Option<Vec<&'static str>>,
    pub group_wait: Option<i64>,
    pub group_interval: Option<i64>,
    pub repeat_interval: Option<i64>,
    pub goes_on: bool,
    pub muted: bool,
    pub routes: Vec<Route>,
}

/// A route with all that it inherited, and its place in the tree as group keys have it.
#[derive(Clone, Debug)]
struct Way {
    key: String,
    receiver: &'static str,
    group_by: Vec<&'static str>,
    wait: i64,
    interval: i64,
    repeat: i64,
    muted: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub root: Route,
    /// Source, target, equal.
    pub inhibit: Vec<(Vec<Condition>, Vec<Condition>, Vec<&'static str>)>,
    /// Seconds of the day in which muted routes tell nothing.
    pub mute: (i64, i64),
    /// Receivers that do not want to know what was resolved.
    pub no_resolved: Vec<&'static str>,
}

struct Alert {
    ends: i64,
    assumed: bool,
    acknowledged: bool,
}

struct Group {
    way: Way,
    labels: Labels,
    next: i64,
    members: BTreeSet<Labels>,
    log: Option<(i64, BTreeSet<Labels>, BTreeSet<Labels>)>,
}

/// When, the receiver, the group's key, what fires, what was resolved.
pub type Told = (i64, String, String, BTreeSet<String>, BTreeSet<String>);

pub struct Oracle {
    world: World,
    alerts: BTreeMap<Labels, Alert>,
    groups: Vec<Group>,
    /// Id, conditions, from, to.
    pub silences: Vec<(String, Vec<Condition>, i64, i64)>,
    pub told: Vec<Told>,
}

/// `{a="b", c="d"}`.
pub fn text(labels: &Labels) -> String {
    format!("{{{}}}", labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(", "))
}

impl Oracle {
    pub fn new(world: World) -> Oracle {
        Oracle { world, alerts: BTreeMap::new(), groups: Vec::new(), silences: Vec::new(), told: Vec::new() }
    }

    /// Without an end it is assumed to be over in five minutes.
    pub fn post(&mut self, now: i64, labels: &Labels, ends: Option<i64>) {
        let is_known =
            self.alerts.get(labels).is_some_and(|_| self.groups.iter().any(|group| group.members.contains(labels)));
        let (mut new, assumed) = (ends.unwrap_or(now + 300), ends.is_none());
        if !is_known && new <= now {
            return;
        }
        let old = self.alerts.get(labels).filter(|old| is_known && old.ends > now);
        let acknowledged = old.is_some_and(|old| old.acknowledged);
        // An end that somebody said stands until a later one is said, or until it is over.
        if let Some(old) = old.filter(|old| new > now && !old.assumed) {
            new = new.max(old.ends);
        }
        self.alerts.insert(labels.clone(), Alert { ends: new, assumed, acknowledged });
        if new <= now {
            return;
        }
        let (root, parent) = (self.world.root.clone(), Way::root());
        for way in ways(&root, &parent, labels) {
            let by: Labels = labels
                .iter()
                .filter(|(name, _)| way.group_by.contains(name) || way.group_by == ["..."])
                .map(|(n, v)| (*n, *v))
                .collect();
            let found = self.groups.iter_mut().find(|group| group.way.key == way.key && group.labels == by);
            match found {
                Some(group) => group.members.insert(labels.clone()),
                None => {
                    let (next, members) = (now + way.wait, BTreeSet::from([labels.clone()]));
                    self.groups.push(Group { way, labels: by, next, members, log: None });
                    true
                }
            };
        }
    }

    pub fn acknowledge(&mut self, now: i64, conditions: &[Condition]) {
        let open = self.alerts.iter_mut().filter(|(labels, alert)| alert.ends > now && hold(conditions, labels));
        open.for_each(|(_, alert)| alert.acknowledged = true);
    }

    /// All flushes up to now.
    pub fn run(&mut self, now: i64) {
        loop {
            let first = self.groups.iter().enumerate().min_by_key(|(_, group)| group.next).map(|(index, _)| index);
            let Some(mut group) = first.map(|index| self.groups.remove(index)) else { return };
            if group.next > now {
                return self.groups.push(group);
            }
            let at = group.next;
            group.next += group.way.interval;
            self.flush(at, &mut group);
            group.members.retain(|labels| self.alerts[labels].ends > at);
            if !group.members.is_empty() {
                self.groups.push(group);
            }
        }
    }

    fn flush(&mut self, at: i64, group: &mut Group) {
        let unmuted: Vec<_> =
            group.members.iter().filter(|labels| !self.is_muted(at, group, labels)).cloned().collect();
        let (firing, resolved): (BTreeSet<_>, BTreeSet<_>) =
            unmuted.into_iter().partition(|labels| self.alerts[labels].ends > at);
        let send_resolved = !self.world.no_resolved.contains(&group.way.receiver);
        let news = match &group.log {
            _ if firing.is_empty() && resolved.is_empty() => false,
            None => !firing.is_empty(),
            Some((_, before, _)) if !firing.is_subset(before) => true,
            Some((_, before, _)) if firing.is_empty() => !before.is_empty(),
            Some((_, _, before)) if send_resolved && !resolved.is_subset(before) => true,
            Some((last, _, _)) => {
                at - last >= group.way.repeat && firing.iter().any(|labels| !self.alerts[labels].acknowledged)
            }
        };
        if news {
            let texts = |set: &BTreeSet<Labels>| set.iter().map(text).collect::<BTreeSet<_>>();
            if send_resolved || !firing.is_empty() {
                let resolved = if send_resolved { texts(&resolved) } else { BTreeSet::new() };
                let key = format!("{}:{}", group.way.key, text(&group.labels));
                self.told.push((at, group.way.receiver.to_owned(), key, texts(&firing), resolved));
            }
            group.log = Some((at, firing, resolved));
        }
    }

    fn is_muted(&self, at: i64, group: &Group, labels: &Labels) -> bool {
        let of_day = at % 86_400;
        group.way.muted && of_day >= self.world.mute.0 && of_day < self.world.mute.1
            || self.silences.iter().any(|(_, conditions, from, to)| *from <= at && at < *to && hold(conditions, labels))
            || self.world.inhibit.iter().any(|(source, target, equal)| {
                hold(target, labels)
                    && self.alerts.iter().any(|(other, alert)| {
                        let both = hold(source, labels) && hold(target, other);
                        alert.ends > at
                            && hold(source, other)
                            && !both
                            && equal.iter().all(|name| other.get(name) == labels.get(name))
                    })
            })
    }
}

impl Way {
    fn root() -> Way {
        let (key, group_by) = ("".to_owned(), Vec::new());
        Way { key, receiver: "default", group_by, wait: 30, interval: 300, repeat: 4 * 3600, muted: false }
    }
}

/// Depth first; the first that matches, and the next ones after one that continues.
fn ways(route: &Route, parent: &Way, labels: &Labels) -> Vec<Way> {
    if !hold(&route.conditions, labels) {
        return Vec::new();
    }
    let mut conditions: Vec<_> =
        route.conditions.iter().map(|(name, value, equal)| (name, value, if *equal { "=" } else { "!=" })).collect();
    conditions.sort();
    let conditions: Vec<_> = conditions.iter().map(|(name, value, op)| format!("{name}{op}\"{value}\"")).collect();
    let way = Way {
        key: format!("{}{}{{{}}}", parent.key, if parent.key.is_empty() { "" } else { "/" }, conditions.join(",")),
        receiver: route.receiver.unwrap_or(parent.receiver),
        group_by: route.group_by.clone().unwrap_or(parent.group_by.clone()),
        wait: route.group_wait.unwrap_or(parent.wait),
        interval: route.group_interval.unwrap_or(parent.interval),
        repeat: route.repeat_interval.unwrap_or(parent.repeat),
        muted: route.muted,
    };
    let mut found = Vec::new();
    for child in &route.routes {
        let below = ways(child, &way, labels);
        let matched = !below.is_empty();
        found.extend(below);
        if matched && !child.goes_on {
            break;
        }
    }
    if found.is_empty() { vec![way] } else { found }
}
