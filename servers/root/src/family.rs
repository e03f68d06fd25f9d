// SPDX-License-Identifier: BSD-2-Clause
//! Who is whose child, in which group and session, and who has ended but was not waited for (credentials(7), wait(2)).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::errno;

mod groups;

/// A process's number: pid_t, and the badge of its endpoint.
pub type Pid = u32;

/// Numbers are given upwards to here, then from the first again (compare pid_max).
const LAST: Pid = 30_000;
/// Most processes, ended ones included.
const MOST: usize = 4096;

/// Bytes of a process's name.
pub const NAME: usize = 16;

/// One process.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// 0: nobody.
    parent: Pid,
    group: Pid,
    session: Pid,
    /// Wait status, once it has ended.
    status: Option<u32>,
    /// What it used, and its name, once it has ended.
    used: Usage,
    name: [u8; NAME],
    /// What its children used that it waited for.
    children: Usage,
    /// Wait status of its last stop or continuation, until it is waited for.
    change: Option<u32>,
    /// Its children vanish when they end: it ignores SIGCHLD.
    forgets_children: bool,
    /// It runs another program than its parent gave it birth with (setpgid(2): EACCES).
    executed: bool,
}

/// What getrusage(2) counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds.
    pub time: u64,
    /// Most pages at a time.
    pub peak: u64,
}

impl Usage {
    fn add(&mut self, other: Usage) {
        self.time = self.time.saturating_add(other.time);
        self.peak = self.peak.max(other.peak);
    }
}

/// What wait(2) asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Leave it to be waited for again.
    pub keep: bool,
    /// Children that have ended.
    pub ended: bool,
    /// Those that have stopped.
    pub stopped: bool,
    /// Those that have gone on.
    pub continued: bool,
}

impl Wanted {
    /// As the request WAIT has it.
    pub fn of(bits: u64) -> Wanted {
        Wanted {
            keep: bits & 1 != 0,
            ended: bits & 8 == 0,
            stopped: bits & 2 != 0,
            continued: bits & 4 != 0,
        }
    }
}

/// What changes for others when a process ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Those to tell that a child of theirs has ended.
    pub tell: Vec<Pid>,
    /// Those whose parent is now init.
    pub orphans: Vec<Pid>,
}

/// All processes that programs run in.
#[derive(Debug)]
pub struct Family {
    members: BTreeMap<Pid, Member>,
    init: Pid,
    next: Pid,
    /// What the child used of which [`Family::wait`] told last.
    pub waited: Usage,
}

impl Family {
    /// A family of one: init, leader of a group and a session.
    pub fn new(init: Pid) -> Family {
        let first = Member {
            parent: 0,
            group: init,
            session: init,
            status: None,
            used: Usage::default(),
            name: [0; NAME],
            children: Usage::default(),
            change: None,
            forgets_children: false,
            executed: true,
        };
        Family {
            members: BTreeMap::from([(init, first)]),
            init,
            next: init + 1,
            waited: Usage::default(),
        }
    }

    /// How many there are, ended ones included.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// A new child of `parent`. EAGAIN: there are too many.
    pub fn birth(&mut self, parent: Pid) -> Result<Pid, u64> {
        let Some(&of) = self.members.get(&parent) else {
            return Err(errno::ESRCH);
        };
        if self.members.len() >= MOST {
            return Err(errno::EAGAIN);
        }
        // A group or session that outlives its leader keeps the number from being used.
        while self.is_used(self.next) {
            self.advance();
        }
        let pid = self.next;
        self.advance();
        let child = Member {
            parent,
            children: Usage::default(),
            change: None,
            forgets_children: false,
            executed: false,
            ..of
        };
        self.members.insert(pid, child);
        Ok(pid)
    }

    fn is_used(&self, pid: Pid) -> bool {
        self.members.contains_key(&pid)
            || self
                .members
                .values()
                .any(|m| m.group == pid || m.session == pid)
    }

    fn advance(&mut self) {
        self.next = if self.next >= LAST {
            self.init + 1
        } else {
            self.next + 1
        };
    }

    /// A birth that came to nothing.
    pub fn unborn(&mut self, pid: Pid) {
        self.members.remove(&pid);
    }

    /// Parent, group, session.
    pub fn ids(&self, pid: Pid) -> Result<[Pid; 3], u64> {
        let member = self.members.get(&pid).ok_or(errno::ESRCH)?;
        Ok([member.parent, member.group, member.session])
    }

    /// It has replaced its program.
    pub fn executed(&mut self, pid: Pid) {
        if let Some(member) = self.members.get_mut(&pid) {
            member.executed = true;
        }
    }

    /// Whether its children vanish when they end.
    pub fn forget_children(&mut self, pid: Pid, forget: bool) {
        if let Some(member) = self.members.get_mut(&pid) {
            member.forgets_children = forget;
        }
    }

    /// What a process that is about to end has used, and what it is called.
    pub fn spent(&mut self, pid: Pid, used: Usage, name: [u8; NAME]) {
        if let Some(member) = self.members.get_mut(&pid) {
            (member.used, member.name) = (used, name);
        }
    }

    /// What a process that has ended used, what the children used that a process waited for, and its wait status.
    pub fn usage(&self, pid: Pid) -> (Usage, Usage, Option<u32>) {
        let member = self.members.get(&pid);
        member.map_or_else(Default::default, |m| (m.used, m.children, m.status))
    }

    /// What it was called. ESRCH.
    pub fn name(&self, pid: Pid) -> Result<[u8; NAME], u64> {
        self.members.get(&pid).map(|m| m.name).ok_or(errno::ESRCH)
    }

    /// The lowest number above this one.
    pub fn following(&self, after: Pid) -> Option<Pid> {
        let above = (
            core::ops::Bound::Excluded(after),
            core::ops::Bound::Unbounded,
        );
        self.members.range(above).next().map(|(pid, _)| *pid)
    }

    /// `pid` has ended with `status`.
    pub fn end(&mut self, pid: Pid, status: u32) -> Ending {
        let mut ending = Ending::default();
        let Some(member) = self.members.get_mut(&pid) else {
            return ending;
        };
        member.status = Some(status);
        let parent = member.parent;
        let children: Vec<Pid> = self
            .members
            .iter()
            .filter(|(_, m)| m.parent == pid)
            .map(|(child, _)| *child)
            .collect();
        for child in children {
            let ended = {
                let member = self.members.get_mut(&child).expect("just found");
                member.parent = self.init;
                member.status.is_some()
            };
            if ended {
                self.bury(child, &mut ending);
            } else {
                ending.orphans.push(child);
            }
        }
        if parent == 0 {
            self.members.remove(&pid);
        } else {
            self.bury(pid, &mut ending);
        }
        ending
    }

    /// Leaves an ended child to its parent, unless that wants none.
    fn bury(&mut self, child: Pid, ending: &mut Ending) {
        let parent = self.members.get(&child).map_or(0, |m| m.parent);
        match self.members.get(&parent) {
            Some(of) if of.status.is_none() => {
                if of.forgets_children {
                    self.members.remove(&child);
                }
                if !ending.tell.contains(&parent) {
                    ending.tell.push(parent);
                }
            }
            _ => {
                self.members.remove(&child);
            }
        }
    }

    /// `pid` has stopped or gone on, which gives this wait status. Its parent, if that is to be told.
    pub fn change(&mut self, pid: Pid, status: u32) -> Option<Pid> {
        let member = self.members.get_mut(&pid)?;
        member.change = Some(status);
        Some(member.parent).filter(|&parent| parent != 0)
    }

    /// wait(2) without waiting: a child among those that `which` names as for waitpid(2) of which there is what is wanted, and its status. An ended one is gone then, unless that
    /// is to be kept. ECHILD: there is no such child; EAGAIN: nothing yet.
    pub fn wait(&mut self, caller: Pid, which: i64, wanted: Wanted) -> Result<(Pid, u32), u64> {
        let own = self.members.get(&caller).ok_or(errno::ESRCH)?.group;
        let named = |pid: Pid, m: &Member| {
            m.parent == caller
                && match which {
                    -1 => true,
                    0 => m.group == own,
                    1.. => i64::from(pid) == which,
                    _ => i64::from(m.group) == which.wrapping_neg(),
                }
        };
        let mut children = self.members.iter().filter(|(pid, m)| named(**pid, m));
        let Some(first) = children.next() else {
            return Err(errno::ECHILD);
        };
        let news = |m: &Member| match (m.status, m.change) {
            (Some(status), _) => Some(status).filter(|_| wanted.ended),
            (None, Some(change)) if change & 0xff == 0x7f => {
                Some(change).filter(|_| wanted.stopped)
            }
            (None, change) => change.filter(|_| wanted.continued),
        };
        let found = core::iter::once(first)
            .chain(children)
            .find_map(|(pid, m)| Some((*pid, news(m)?)))
            .ok_or(errno::EAGAIN)?;
        self.waited = self
            .members
            .get(&found.0)
            .map_or_else(Usage::default, |child| {
                let mut all = child.used;
                all.add(child.children);
                all
            });
        if !wanted.keep {
            self.account(caller, found.0);
            match self.members.get_mut(&found.0) {
                Some(member) if member.status.is_none() => member.change = None,
                _ => drop(self.members.remove(&found.0)),
            }
        }
        Ok(found)
    }

    /// A child that has ended counts among its parent's, now that it is waited for.
    fn account(&mut self, parent: Pid, child: Pid) {
        let ended = self.members.get(&child).is_some_and(|m| m.status.is_some());
        if ended && let Some(parent) = self.members.get_mut(&parent) {
            parent.children.add(self.waited);
        }
    }

    /// Those that kill(2) means by `which`; ended ones, which signals do not reach, are left out but count as found. ESRCH.
    pub fn targets(&self, caller: Pid, which: i64) -> Result<Vec<Pid>, u64> {
        let own = self.members.get(&caller).ok_or(errno::ESRCH)?.group;
        let named = |pid: Pid, m: &Member| match which {
            -1 => pid != caller && pid != self.init,
            0 => m.group == own,
            1.. => i64::from(pid) == which,
            _ => i64::from(m.group) == which.wrapping_neg(),
        };
        let mut found = false;
        let mut targets = Vec::new();
        for (pid, member) in self.members.iter().filter(|(pid, m)| named(**pid, m)) {
            found = true;
            if member.status.is_none() {
                targets.push(*pid);
            }
        }
        if found {
            Ok(targets)
        } else {
            Err(errno::ESRCH)
        }
    }

    /// setpgid(2); 0 means the caller, and its own number.
    pub fn set_group(&mut self, caller: Pid, pid: Pid, group: Pid) -> Result<(), u64> {
        let pid = if pid == 0 { caller } else { pid };
        let group = if group == 0 { pid } else { group };
        let own = self.members.get(&caller).ok_or(errno::ESRCH)?.session;
        let member = self.members.get(&pid).ok_or(errno::ESRCH)?;
        if pid != caller && member.parent != caller {
            return Err(errno::ESRCH);
        }
        if member.session != own || member.session == pid {
            return Err(errno::EPERM);
        }
        if pid != caller && member.executed {
            return Err(errno::EACCES);
        }
        let exists = |m: &Member| m.group == group && m.session == own;
        if group != pid && !self.members.values().any(exists) {
            return Err(errno::EPERM);
        }
        if let Some(member) = self.members.get_mut(&pid) {
            member.group = group;
        }
        Ok(())
    }

    /// setsid(2).
    pub fn new_session(&mut self, caller: Pid) -> Result<Pid, u64> {
        if self.members.values().any(|m| m.group == caller) {
            return Err(errno::EPERM);
        }
        let member = self.members.get_mut(&caller).ok_or(errno::ESRCH)?;
        (member.group, member.session) = (caller, caller);
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const TAKE: Wanted = Wanted {
        keep: false,
        ended: true,
        stopped: false,
        continued: false,
    };
    const KEEP: Wanted = Wanted { keep: true, ..TAKE };

    #[test]
    fn stops_and_continuations_are_told_to_who_asks_for_them() {
        let (stopped, continued) = (19 << 8 | 0x7f, 0xffff);
        let mut family = Family::new(1);
        let child = family.birth(1).unwrap();
        assert_eq!(family.change(child, stopped), Some(1));
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::EAGAIN));
        assert_eq!(family.wait(1, -1, Wanted::of(4)), Err(errno::EAGAIN));
        assert_eq!(family.wait(1, -1, Wanted::of(3)), Ok((child, stopped)));
        assert_eq!(family.wait(1, -1, Wanted::of(2)), Ok((child, stopped)));
        assert_eq!(family.wait(1, -1, Wanted::of(2)), Err(errno::EAGAIN));
        family.change(child, continued);
        assert_eq!(family.wait(1, -1, Wanted::of(8 | 2)), Err(errno::EAGAIN));
        assert_eq!(
            family.wait(1, -1, Wanted::of(8 | 4)),
            Ok((child, continued))
        );
        family.change(child, stopped);
        family.end(child, 9);
        assert_eq!(family.wait(1, -1, Wanted::of(8 | 2)), Err(errno::EAGAIN));
        assert_eq!(family.wait(1, -1, Wanted::of(2)), Ok((child, 9)));
    }

    #[test]
    fn a_child_is_waited_for_once() {
        let mut family = Family::new(1);
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::ECHILD));
        let child = family.birth(1).unwrap();
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::EAGAIN));
        assert_eq!(family.end(child, 7 << 8).tell, [1]);
        assert_eq!(family.wait(1, child.into(), KEEP), Ok((child, 7 << 8)));
        assert_eq!(family.wait(1, 0, TAKE), Ok((child, 7 << 8)));
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::ECHILD));
        assert_eq!(family.count(), 1);
    }

    #[test]
    fn orphans_go_to_init_with_those_that_ended_before() {
        let mut family = Family::new(1);
        let child = family.birth(1).unwrap();
        let (living, ended) = (family.birth(child).unwrap(), family.birth(child).unwrap());
        assert_eq!(family.end(ended, 0).tell, [child]);
        let ending = family.end(child, 9);
        assert_eq!((ending.tell, ending.orphans), (vec![1], vec![living]));
        assert_eq!(family.ids(living).unwrap()[0], 1);
        assert_eq!(family.wait(1, ended.into(), TAKE), Ok((ended, 0)));
        assert_eq!(family.wait(1, child.into(), TAKE), Ok((child, 9)));
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::EAGAIN));
    }

    #[test]
    fn who_ignores_its_children_keeps_none() {
        let mut family = Family::new(1);
        family.forget_children(1, true);
        let (a, b) = (family.birth(1).unwrap(), family.birth(1).unwrap());
        assert_eq!(family.end(a, 0).tell, [1]);
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::EAGAIN));
        family.end(b, 0);
        assert_eq!(family.wait(1, -1, TAKE), Err(errno::ECHILD));
    }

    #[test]
    fn groups_and_sessions_keep_their_rules() {
        let mut family = Family::new(1);
        let (a, b) = (family.birth(1).unwrap(), family.birth(1).unwrap());
        assert_eq!(family.set_group(1, a, 0), Ok(()));
        assert_eq!(family.set_group(1, b, a), Ok(()));
        assert_eq!(family.targets(1, -i64::from(a)), Ok(vec![a, b]));
        assert_eq!(family.targets(a, 0), Ok(vec![a, b]));
        assert_eq!(family.set_group(1, b, 77), Err(errno::EPERM));
        assert_eq!(family.set_group(a, b, 0), Err(errno::ESRCH));
        family.executed(b);
        assert_eq!(family.set_group(1, b, 0), Err(errno::EACCES));
        assert_eq!(family.new_session(a), Err(errno::EPERM));
        assert_eq!(family.new_session(b), Ok(b));
        assert_eq!(family.ids(b), Ok([1, b, b]));
        assert_eq!(family.set_group(b, 0, a), Err(errno::EPERM));
        assert_eq!(family.set_group(1, b, 0), Err(errno::EPERM));
        assert_eq!(family.wait(1, -i64::from(a), TAKE), Err(errno::EAGAIN));
        assert_eq!(family.targets(1, 99), Err(errno::ESRCH));
        assert_eq!(family.targets(1, -1), Ok(vec![a, b]));
    }

    #[test]
    fn a_number_is_not_used_again_while_anybody_goes_by_it() {
        let mut family = Family::new(1);
        let leader = family.birth(1).unwrap();
        family.set_group(1, leader, 0).unwrap();
        let member = family.birth(leader).unwrap();
        family.end(leader, 0);
        family.wait(1, leader.into(), TAKE).unwrap();
        for _ in 0..2 * LAST {
            let pid = family.birth(1).unwrap();
            assert!(pid != leader && pid != member && pid != 1);
            family.unborn(pid);
        }
    }

    /// Requests of processes with any numbers: whatever they say, everybody has a parent that there is, and nobody is lost or found twice.
    #[test]
    fn any_requests_leave_a_family() {
        let mut seed = 5u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut family = Family::new(1);
        let (mut born, mut buried) = (0, 0);
        for _ in 0..20_000 {
            let known: Vec<Pid> = family.members.keys().copied().collect();
            let mut pid = || match random(8) {
                0 => random(40_000) as Pid,
                1 => [0, 1, u32::MAX, i32::MAX as Pid][random(4) as usize],
                _ => known[random(known.len() as u64) as usize],
            };
            let (a, b, c) = (pid(), pid(), pid());
            let alive = |pid: Pid, family: &Family| {
                family.members.get(&pid).is_some_and(|m| m.status.is_none())
            };
            match random(9) {
                0 | 1 if known.len() < 60 => {
                    if alive(a, &family) && family.birth(a).is_ok() {
                        born += 1;
                    }
                }
                2 if a != 1 && alive(a, &family) => drop(family.end(a, random(0x10000) as u32)),
                3 | 4 => {
                    let which = [a as i64, -(a as i64), -1, 0, i64::MIN, i64::MAX];
                    let which = which[random(6) as usize];
                    if alive(b, &family) {
                        let wanted = Wanted::of(random(16));
                        let before = family.count();
                        if family.wait(b, which, wanted).is_ok() {
                            buried += before - family.count();
                        }
                        let _ = family.targets(b, which);
                    }
                }
                5 => drop(family.set_group(a, b, c)),
                6 => drop(family.new_session(a)),
                7 => drop(family.change(a, 19 << 8 | 0x7f)),
                _ => family.forget_children(a, random(2) == 0),
            }
            for (pid, member) in &family.members {
                let parent = member.parent;
                assert!(
                    parent == 0 || family.members.contains_key(&parent),
                    "{pid} of {parent}"
                );
                assert!(*pid == 1 || parent != *pid);
            }
            assert!(alive(1, &family));
        }
        assert!(born > 100 && buried > 20, "{born} {buried}");
    }

    #[test]
    fn there_is_a_most() {
        let mut family = Family::new(1);
        while family.birth(1).is_ok() {}
        assert_eq!(family.count(), MOST);
        assert_eq!(family.birth(1), Err(errno::EAGAIN));
        assert_eq!(family.birth(29_999), Err(errno::ESRCH));
    }
}
