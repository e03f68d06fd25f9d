// SPDX-License-Identifier: BSD-2-Clause
//! The interest lists of the epoll instances that a program gets: each entry by the places of instance and target among the open files.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use libposix_poll::InstanceId;
use libposix_poll::legacy::Kept;
use vfs_hooks::source::{Edges, SourceId};

use super::{Reader, Writer};
use crate::fd_table::FdTable;
use crate::files::OpenFile;
use crate::poller::core;

/// An entry of an interest list.
#[derive(Debug, PartialEq, Eq)]
pub struct Watched {
    /// Index of the instance's open file,
    pub instance: usize,
    /// and of what it watches.
    pub target: usize,
    /// The rest. Its source means nothing here.
    pub kept: Kept,
}

/// The instances of a table's files, as they are before anything is shared: sharing a source tells all who watch it.
pub struct Instances(Vec<(SourceId, InstanceId, Vec<Kept>)>);

impl Instances {
    pub fn of(table: &FdTable<Rc<OpenFile>>) -> Instances {
        let mut instances: Vec<(SourceId, InstanceId, Vec<Kept>)> = Vec::new();
        for (_, file) in table.iter() {
            if let Some(id) = file.file.epoll()
                && instances.iter().all(|(_, other, _)| *other != id)
            {
                instances.push((file.source(), id, core().kept(id)));
            }
        }
        Instances(instances)
    }

    /// Writes their entries, as far as their targets go along: `indices` says by source where each is. To be called when all is shared.
    pub(super) fn write(self, indices: &BTreeMap<u64, usize>, out: &mut Writer) {
        let (mut entries, mut count) = (Writer(Vec::new()), 0);
        for (source, id, before) in self.0 {
            let Some(instance) = indices.get(&source.0) else {
                continue;
            };
            // The edges of what became a channel just now are those of the channel.
            for (kept, before) in core().kept(id).iter().zip(before) {
                let Some(target) = indices.get(&kept.source.0) else {
                    continue;
                };
                for word in [*instance as u32, *target as u32, kept.fd as u32] {
                    entries.u32(word);
                }
                entries.u32(kept.events);
                entries.u64(kept.data);
                entries.u32(before.queued.into());
                entries.u32(kept.seen.input);
                entries.u32(kept.seen.output);
                count += 1;
            }
        }
        out.u32(count);
        out.0.append(&mut entries.0);
    }
}

/// Reads what [`Instances::write`] wrote about `files` open files.
pub(super) fn read(reader: &mut Reader, files: usize) -> Option<Vec<Watched>> {
    let mut all = Vec::new();
    for _ in 0..reader.u32()? {
        let [instance, target] = [reader.u32()? as usize, reader.u32()? as usize];
        if instance >= files || target >= files {
            return None;
        }
        let kept = Kept {
            source: SourceId::NONE,
            fd: reader.u32()? as i32,
            events: reader.u32()?,
            data: reader.u64()?,
            queued: reader.u32()? != 0,
            seen: Edges {
                input: reader.u32()?,
                output: reader.u32()?,
            },
        };
        all.push(Watched {
            instance,
            target,
            kept,
        });
    }
    Some(all)
}

/// Fills the instances of the program that began.
pub fn put_back(watches: &[Watched], files: &[Option<Rc<OpenFile>>]) {
    for watched in watches {
        let file = |index: usize| files.get(index)?.as_ref();
        let (Some(epoll), Some(target)) = (file(watched.instance), file(watched.target)) else {
            continue;
        };
        if let Some(id) = epoll.file.epoll() {
            let source = target.source();
            // What cannot be watched here was made up.
            let _ = core().put_back(
                id,
                &Kept {
                    source,
                    ..watched.kept
                },
            );
        }
    }
}
