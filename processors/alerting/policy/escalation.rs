//! The ladder: who else is told when nobody acknowledges. A group's incident begins when it is first told that something fires and ends when it is told that
//! nothing does.

use std::sync::Arc;

use super::Policy;
use super::flush::{Message, Unmuted};
use super::groups::{Group, GroupId};
use super::settings::Route;

impl Policy {
    pub(super) fn escalate(&mut self, at: i64, route: &Route, id: &Arc<GroupId>, group: &mut Group, unmuted: &Unmuted) {
        // A step that could not be taken is tried again with each flush.
        if group.escalate_at.is_some_and(|due| due <= at) {
            group.escalate_at = None;
        }
        let Some(since) = group.since else { return };
        let firing = &unmuted.firing;
        while let Some(step) = route.ladder.get(group.steps as usize) {
            let due = since.saturating_add(step.after);
            if due > at {
                group.escalate_at = Some(due);
                return;
            }
            if firing.is_empty() || self.all_taken_on(firing) {
                return;
            }
            group.steps += 1;
            let receiver = self.settings.receiver(&step.receiver);
            let of = Unmuted { firing: firing.clone(), ..Unmuted::default() };
            self.tell(at, Message { route, id, step: group.steps, acknowledged_by: None }, &receiver, &of);
            group.tell(at, group.steps, unmuted);
        }
    }
}
