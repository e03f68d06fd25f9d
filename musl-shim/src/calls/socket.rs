use crate::dispatch::Call; pub const CALLS: &[Call] = &[];
