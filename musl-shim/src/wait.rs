use libposix_poll::errno::Errno;
use vfs_hooks::Events;
use crate::files::OpenFile;
pub fn until(_d: u64) -> Result<usize, Errno> { todo!() }
pub fn for_file(_f: &OpenFile, _e: Events) -> Result<(), Errno> { todo!() }
