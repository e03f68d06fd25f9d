// SPDX-License-Identifier: BSD-2-Clause
//! Process groups, as a terminal minds them.

use alloc::vec::Vec;

use super::{Family, Member, Pid};

impl Family {
    /// The members of a process group that have not ended.
    pub fn members_of(&self, group: Pid) -> Vec<Pid> {
        let living = self.members.iter().filter(|(_, m)| m.status.is_none());
        let members = living.filter(|(_, m)| m.group == group);
        members.map(|(pid, _)| *pid).collect()
    }

    /// The session of a process group; `None`: there is no such group.
    pub fn session_of_group(&self, group: Pid) -> Option<Pid> {
        let mut members = self.members.values();
        members.find(|m| m.group == group).map(|m| m.session)
    }

    /// Whether no member of the group has a parent in another group of its session.
    pub fn is_orphaned(&self, group: Pid) -> bool {
        let minds = |member: &Member| {
            let parent = self.members.get(&member.parent);
            parent.is_some_and(|p| p.session == member.session && p.group != member.group)
        };
        let mut members = self.members.values();
        !members.any(|m| m.group == group && m.status.is_none() && minds(m))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_orphaned_when_nobody_outside_of_it_is_a_parent() {
        let mut family = Family::new(1);
        let (job, alone) = (family.birth(1).unwrap(), family.birth(1).unwrap());
        family.set_group(1, job, 0).unwrap();
        let child = family.birth(job).unwrap();
        assert!(family.is_orphaned(1) && !family.is_orphaned(job));
        assert_eq!(family.members_of(job), [job, child]);
        assert_eq!(family.session_of_group(job), Some(1));
        family.new_session(alone).unwrap();
        assert!(
            family.is_orphaned(alone),
            "its parent is of another session"
        );
        family.end(job, 0);
        assert!(!family.is_orphaned(job), "init has taken the child over");
        family.end(child, 0);
        assert!(family.is_orphaned(job) && family.members_of(job).is_empty());
    }
}
