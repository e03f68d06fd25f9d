// SPDX-License-Identifier: BSD-2-Clause
//! One module per subcommand.

pub mod bench;
pub mod cc;
pub mod compare;
pub mod conformance;
pub mod coverage;
pub mod figures;
pub mod kernel;
pub mod run;
pub mod test;
