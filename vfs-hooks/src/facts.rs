// SPDX-License-Identifier: BSD-2-Clause
//! What the root server tells of a process to whoever asks (PROCESS_FACTS, PROCESS_TEXT): what `ps` shows.
#![forbid(unsafe_code)]

/// Words of [`Facts`].
pub const WORDS: usize = 15;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its number.
    pub pid: u64,
    /// Parent, group, session.
    pub ids: [u64; 3],
    /// As /proc/PID/stat has it: `R`, `S`, `T` or `Z`.
    pub state: u8,
    /// Threads that have not ended.
    pub threads: u64,
    /// When it began, CLOCK_MONOTONIC nanoseconds.
    pub started: u64,
    /// Pages that it has mapped.
    pub resident: u64,
    /// Most that it had mapped at a time.
    pub peak: u64,
    /// Bytes of addresses that it has mapped or reserved.
    pub size: u64,
    /// Pages that came when they were touched.
    pub faults: u64,
    /// Wait status, if it has ended.
    pub status: u64,
    /// Nanoseconds of processor time, as it is counted: from its beginning on.
    pub time: u64,
    /// Those of children that it has waited for, and of theirs.
    pub children_time: u64,
    /// Most pages that one of these had.
    pub children_peak: u64,
}

impl Facts {
    /// As words of a reply.
    pub fn words(&self) -> [u64; WORDS] {
        let [parent, group, session] = self.ids;
        [
            self.pid,
            parent,
            group,
            session,
            self.state.into(),
            self.threads,
            self.started,
            self.resident,
            self.peak,
            self.size,
            self.faults,
            self.status,
            self.time,
            self.children_time,
            self.children_peak,
        ]
    }

    /// From words of a reply.
    pub fn from_words(words: &[u64; WORDS]) -> Facts {
        let [
            pid,
            parent,
            group,
            session,
            state,
            threads,
            started,
            resident,
            peak,
            size,
            faults,
            status,
            time,
            children_time,
            children_peak,
        ] = *words;
        Facts {
            pid,
            ids: [parent, group, session],
            state: state as u8,
            threads,
            started,
            resident,
            peak,
            size,
            faults,
            status,
            time,
            children_time,
            children_peak,
        }
    }
}

/// Texts of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Path of its program.
    Path,
    /// Its arguments, each with a NUL behind it, as they are in its memory now.
    Arguments,
    /// Its environment when it began, likewise.
    Environment,
    /// Name of its first thread.
    Name,
}

impl Text {
    /// In messages.
    pub fn number(self) -> u64 {
        match self {
            Text::Path => 0,
            Text::Arguments => 1,
            Text::Environment => 2,
            Text::Name => 3,
        }
    }

    /// The text with this number.
    pub fn of(number: u64) -> Option<Text> {
        let all = [Text::Path, Text::Arguments, Text::Environment, Text::Name];
        all.into_iter().find(|text| text.number() == number)
    }
}

/// A program's name, which its first thread has until it is given another: the last part of its path, at most 15 bytes.
pub fn name_of(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let name = &path[start..];
    &name[..name.len().min(15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_go_through_words() {
        let words = core::array::from_fn(|i| i as u64 + 60);
        assert_eq!(Facts::from_words(&words).words(), words);
    }

    #[test]
    fn texts_have_numbers() {
        for text in [Text::Path, Text::Arguments, Text::Environment, Text::Name] {
            assert_eq!(Text::of(text.number()), Some(text));
        }
        assert_eq!(Text::of(4), None);
    }

    #[test]
    fn names_are_the_last_part_of_paths() {
        assert_eq!(name_of(b"/bin/redis-server"), b"redis-server");
        assert_eq!(name_of(b"/a/exactly-sixteen!"), b"exactly-sixteen");
        assert_eq!(name_of(b"plain"), b"plain");
    }
}
